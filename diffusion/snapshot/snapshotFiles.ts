import type { Tensor } from "../../engine/index.ts";
import { diskFile } from "../../engine/io/node.ts";
import { findStoredSnapshot, type FoundSnapshot, readStoredSnapshot } from "./readStoredSnapshot.ts";
import type { Snapshot, SnapshotDtype, SnapshotInfo } from "./snapshot.ts";
import { storeSnapshot } from "./storeSnapshot.ts";

/**
 * Looks at the network in the file at `path`, as `findStoredSnapshot` does. @throws EvenkeelError `file`.
 * @example
 * ```ts
 * const { network, readWeights } = await findSnapshot("network-snapshot-0008388-0.100.pkl");
 * console.log(network.unet.imageResolution, (await readWeights()).size); // 16 63
 * ```
 */
export function findSnapshot(path: string): Promise<FoundSnapshot> {
  return findStoredSnapshot(diskFile(path));
}

/**
 * Reads a network with its weights. @throws EvenkeelError as `findSnapshot`.
 * @example
 * ```ts
 * const { network, weights } = await readSnapshot("network-snapshot-0008388-0.100.pkl");
 * console.log(network.unet.imageResolution, weights.get("unet.out_gain")?.shape); // 16 []
 * ```
 */
export function readSnapshot(path: string): Promise<Snapshot> {
  return readStoredSnapshot(diskFile(path));
}

/**
 * Writes a network to a safetensors file, as `storeSnapshot` does. @throws EvenkeelError `file` if the file system refuses.
 * @example
 * ```ts
 * import { randomKey } from "evenkeel/engine";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 0, modelChannels: 8, channelMult: [1] });
 * const untrained = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const info = { network, nimg: 0, sigmaRel: null, classNames: null };
 * await writeSnapshot("untrained.safetensors", info, new Map(Object.entries(untrained)), "F16");
 * console.log((await readSnapshot("untrained.safetensors")).network.unet.modelChannels); // 8
 * ```
 */
export function writeSnapshot(
  path: string,
  info: SnapshotInfo,
  weights: ReadonlyMap<string, Tensor>,
  dtype: SnapshotDtype,
): Promise<void> {
  return storeSnapshot(diskFile(path), info, weights, dtype);
}
