import type { Tensor } from "../../engine/index.ts";
import { type LazyTensor, writeSafetensors } from "../../engine/io/node.ts";
import { type SnapshotDtype, type SnapshotInfo, snapshotMetadata } from "./snapshot.ts";

/**
 * Writes a network to a safetensors file, whole or not at all, under the names that PyTorch's state dictionary has. Fixed features
 * and weights alike are rounded to `dtype`.
 * @throws EvenkeelError `file` if the file system refuses.
 */
export async function writeSnapshot(
  path: string,
  info: SnapshotInfo,
  weights: ReadonlyMap<string, Tensor>,
  dtype: SnapshotDtype,
): Promise<void> {
  const lazy = [...weights].map(([name, tensor]): [string, LazyTensor] => [
    name,
    { dtype, shape: tensor.shape, data: async () => (await tensor.data()) as Float32Array },
  ]);
  await writeSafetensors(path, lazy, { metadata: snapshotMetadata(info) });
}
