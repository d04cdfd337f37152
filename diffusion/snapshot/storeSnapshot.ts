import type { Tensor } from "../../engine/index.ts";
import { type LazyTensor, memoryFolder, readWhole, type StoredFile, writeTensors } from "../../engine/io/index.ts";
import { type SnapshotDtype, type SnapshotInfo, snapshotMetadata } from "./snapshot.ts";

/**
 * Writes a network to a safetensors file, whole or not at all, under the names that PyTorch's state dictionary has. Fixed features
 * and weights alike are rounded to `dtype`.
 * @throws EvenkeelError `file` if it can't be kept.
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

/** The same file in memory, for whoever takes files as bytes: what a page offers for download. */
export async function snapshotBytes(
  info: SnapshotInfo,
  weights: ReadonlyMap<string, Tensor>,
  dtype: SnapshotDtype,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = memoryFolder().file("snapshot.safetensors");
  await storeSnapshot(file, info, weights, dtype);
  return readWhole(file);
}
