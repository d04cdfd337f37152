import { Option } from "@commander-js/extra-typings";
import { parseShard } from "../../diffusion/sample/index.ts";
import { orInvalid } from "../orInvalid.ts";
import { type ReadShard, readShard } from "./readShard.ts";

/** A share as it was asked for; what it is known from is empty if it was written out. */
const parse = orInvalid(
  (text: string): ReadShard => (text === "auto" ? readShard(process.env) : { shard: parseShard(text), from: "" }),
);

/** `--shard i/N` or `--shard auto`. @param what the share is of */
export function shardOption(what: string) {
  const help = `do the i-th of N shares of ${what}; "auto": as Slurm, Kubernetes, MPI, ... say; without it: what is missing, and the result`;
  return new Option("--shard <i/N>", help).argParser(parse);
}

/** A line that says which share it is, and how that is known. */
export function describeShard({ shard, from }: ReadShard): string {
  return `Shard ${shard.index} of ${shard.count}${from === "" ? "" : `: ${from}`}`;
}
