import { tensor, type Tensor } from "../../engine/index.ts";
import { type Folder, toFloat32, withTensors } from "../../engine/io/index.ts";
import { checkParameters, flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser, type NetworkConfig } from "../network/index.ts";
import { checkpointName, newestCheckpoint } from "./checkpoint.ts";

/** A network as training left it, averaged over nothing. */
export type RawNetwork = { readonly nimg: number; readonly weights: NamedParameters };

/**
 * The raw weights in the newest checkpoint of a run folder; of the checkpoint no more is read. Null if there is none.
 * @param network the run's.
 * @throws EvenkeelError `file` if it can't be read, `shape` if it is of another network.
 * @example
 * ```ts
 * import { presetNetwork, presetOf } from "evenkeel/diffusion";
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * // The folder of a run of this network; before its first checkpoint there are no weights.
 * console.log(await readRawNetwork(memoryFolder(), presetNetwork("G", presetOf("smoke")))); // null
 * ```
 */
export async function readRawNetwork(folder: Folder, network: NetworkConfig): Promise<RawNetwork | null> {
  const nimg = await newestCheckpoint(folder);
  if (nimg === 0) return null;
  return withTensors(folder.file(checkpointName(nimg)), async (file) => {
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
    const places = new Map(
      Object.keys(specs).flatMap((name) =>
        // As `Trainer.readState` calls them.
        [`weights.${name}`, `buffers.${name}`].filter((path) => file.entries.has(path)).map((path) => [name, path]),
      ),
    );
    const found = new Map<string, Tensor>();
    for (const [name, path] of places) {
      const stored = await file.tensor(path);
      found.set(name, tensor(toFloat32(stored), { shape: stored.shape }));
    }
    checkParameters(specs, found, file.path);
    return { nimg, weights: Object.fromEntries(Object.keys(specs).map((name) => [name, found.get(name) as Tensor])) };
  });
}
