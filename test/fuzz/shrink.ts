import { attempt, type Finding } from "./attempt.ts";
import type { Target } from "./target.ts";

/** A shorter file with the same kind of fault: pieces are left out, from halves down to single bytes, as long as tries are left. */
export async function shrink(target: Target, file: Uint8Array, { kind }: Finding, tries = 600): Promise<Uint8Array> {
  let smallest = file;
  for (let piece = Math.ceil(file.length / 2); piece >= 1; piece = piece === 1 ? 0 : Math.ceil(piece / 2)) {
    for (let at = 0; at < smallest.length && tries > 0; ) {
      tries--;
      const without = new Uint8Array(Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + piece)]));
      const outcome = await attempt(target, without);
      if (typeof outcome !== "string" && outcome.kind === kind) smallest = without;
      else at += piece;
    }
  }
  return smallest;
}
