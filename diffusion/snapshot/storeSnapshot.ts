import type { Tensor } from "../../engine/index.ts";
import { type LazyTensor, memoryFolder, readWhole, type StoredFile, writeTensors } from "../../engine/io/index.ts";
import { type SnapshotDtype, type SnapshotInfo, snapshotMetadata } from "./snapshot.ts";

/**
 * Writes a network to a safetensors file, whole or not at all, under the names that PyTorch's state dictionary has. Fixed features
 * and weights alike are rounded to `dtype`.
 * @throws EvenkeelError `file` if it can't be kept.
 * @example
 * ```ts
 * import { randomKey } from "evenkeel/engine";
 * import { memoryFolder } from "evenkeel/engine/io";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 0, modelChannels: 8, channelMult: [1] });
 * const untrained = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const file = memoryFolder().file("network.safetensors");
 * const info = { network, nimg: 0, sigmaRel: null, classNames: null };
 * await storeSnapshot(file, info, new Map(Object.entries(untrained)), "F16");
 * console.log((await readStoredSnapshot(file)).weights.get("unet.out_gain")?.dtype); // F16
 * ```
 */
export async function storeSnapshot(
  file: StoredFile,
  info: SnapshotInfo,
  weights: ReadonlyMap<string, Tensor>,
  dtype: SnapshotDtype,
): Promise<void> {
  const lazy = [...weights].map(([name, tensor]): [string, LazyTensor] => [
    name,
    { dtype, shape: tensor.shape, data: () => tensor.data("f32") },
  ]);
  await writeTensors(file, lazy, { metadata: snapshotMetadata(info) });
}

/**
 * The same file in memory, for whoever takes files as bytes: what a page offers for download.
 * @example
 * ```ts
 * import { parseSafetensors, randomKey } from "evenkeel/engine";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 0, modelChannels: 8, channelMult: [1] });
 * const untrained = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const info = { network, nimg: 0, sigmaRel: null, classNames: null };
 * const bytes = await snapshotBytes(info, new Map(Object.entries(untrained)), "F16");
 * console.log(parseSafetensors(bytes).entries.has("unet.out_gain")); // true
 * ```
 */
export async function snapshotBytes(
  info: SnapshotInfo,
  weights: ReadonlyMap<string, Tensor>,
  dtype: SnapshotDtype,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = memoryFolder().file("snapshot.safetensors");
  await storeSnapshot(file, info, weights, dtype);
  return readWhole(file);
}
