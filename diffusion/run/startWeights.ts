import { stat } from "node:fs/promises";
import { EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { snapshotsIn } from "../ema/index.ts";
import { type NetworkConfig, tensorsOfWeights } from "../network/index.ts";
import { findSnapshot } from "../snapshot/node.ts";

/** What changes nothing of what the arrays are or mean. */
const freeOptions = new Set(["dropout", "activations"]);

/** A stored network that a run is to begin with, of which only what it is has been read. */
export type StartWeights = {
  /** Its file. */
  readonly file: string;
  /** @throws EvenkeelError `value` unless a run of this network can begin with it, with the first option that differs. */
  requireFits(network: NetworkConfig): void;
  /** Its arrays. @throws EvenkeelError as `requireFits`; `file` for what can't be read. */
  read(network: NetworkConfig): Promise<NamedParameters>;
};

/**
 * Looks for the network that a run is to begin with, so that what can't be is told before anything else is done.
 * @param path a network's file, or the folder of a finished run: its newest post-hoc average.
 * @throws EvenkeelError `file` for what can't be read, and for a folder with no post-hoc average or several of one time.
 * @example
 * ```ts
 * import { networkConfig } from "evenkeel/diffusion/network";
 *
 * const start = await findStartWeights("network-snapshot-0008388-0.100.pkl");
 * try {
 *   start.requireFits(networkConfig({ unet: { imageResolution: 64, imageChannels: 3, labelDim: 0 } }));
 * } catch (error) {
 *   console.log(String(error).includes("can't be begun with")); // true
 * }
 * ```
 */
export async function findStartWeights(path: string): Promise<StartWeights> {
  const entry = await stat(path).catch(() => null);
  const file = entry?.isDirectory() === true ? await newestAverage(path) : path;
  const found = await findSnapshot(file);
  const theirs = optionsOf(found.network);
  const requireFits = (network: NetworkConfig): void => {
    const ours = optionsOf(network);
    const differing = [...ours.keys()].find((name) => ours.get(name) !== theirs.get(name));
    if (differing === undefined) return;
    throw new EvenkeelError(
      "value",
      `train: ${file} can't be begun with: ${differing} of its network is ${theirs.get(differing) ?? "unset"}, of this run's ` +
        `${ours.get(differing) ?? "unset"}. Train with the settings of the run that it is from.`,
    );
  };
  return {
    file,
    requireFits,
    read: async (network) => {
      requireFits(network);
      return tensorsOfWeights(network, await found.readWeights(), file);
    },
  };
}

async function newestAverage(folder: string): Promise<string> {
  const averages = await snapshotsIn(diskFolder(folder), { prefix: "phema" });
  const newest = Math.max(...averages.map(({ profile }) => profile.nimg));
  const [first, ...more] = averages.filter(({ profile }) => profile.nimg === newest);
  if (first !== undefined && more.length === 0) return first.path;
  const what =
    first === undefined
      ? "has no post-hoc average (phema-*.safetensors), which a run makes when it is finished"
      : `has several post-hoc averages of ${newest} images: ${[first, ...more].map(({ path }) => path).join(", ")}`;
  throw new EvenkeelError("file", `train: ${folder} ${what}. Name a network's file to begin with.`);
}

/** Options by name as JSON, but for those that are free. */
function optionsOf({ unet, ...rest }: NetworkConfig): ReadonlyMap<string, string> {
  const all = Object.entries({ ...unet, ...rest }).filter(([name]) => !freeOptions.has(name));
  return new Map(all.map(([name, value]) => [name, JSON.stringify(value)]));
}
