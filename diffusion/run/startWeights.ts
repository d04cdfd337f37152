import { EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { snapshotsIn } from "../ema/index.ts";
import { type NetworkConfig, tensorsOfWeights } from "../network/index.ts";
import { findSnapshot } from "../snapshot/node.ts";

/** What changes nothing of what the arrays are or mean. */
const freeOptions = new Set(["dropout", "activations"]);

/**
 * The arrays of a stored network, for a run that begins with them.
 * @param path a network's file, or the folder of a finished run: its newest post-hoc average.
 * @param network what is trained; dropout and the format of activations may be others.
 * @throws EvenkeelError `value` if the stored network is another, with the first option that differs; `file` for what can't be read, and for a
 * folder with no post-hoc average or several of one time.
 * @example
 * ```ts
 * import { readSnapshot } from "evenkeel/diffusion/node";
 *
 * const file = "network-snapshot-0008388-0.100.pkl";
 * const { network } = await readSnapshot(file);
 * console.log((await readStartWeights(file, network))["unet.out_gain"]?.shape); // []
 * ```
 */
export async function readStartWeights(path: string, network: NetworkConfig): Promise<NamedParameters> {
  const file = /\.(safetensors|pkl)$/i.test(path) ? path : await newestAverage(path);
  const found = await findSnapshot(file);
  const [theirs, ours] = [optionsOf(found.network), optionsOf(network)];
  const differing = [...ours.keys()].find((name) => ours.get(name) !== theirs.get(name));
  if (differing !== undefined) {
    throw new EvenkeelError(
      "value",
      `train: ${file} can't be begun with: ${differing} of its network is ${theirs.get(differing) ?? "unset"}, of this run's ` +
        `${ours.get(differing) ?? "unset"}. Train with the settings of the run that it is from.`,
    );
  }
  return tensorsOfWeights(network, await found.readWeights(), file);
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
