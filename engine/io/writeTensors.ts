import type { Shape } from "../graph/shape.ts";
import type { FileDType } from "./fileDtype.ts";
import { checkLittleEndianHost } from "./fileError.ts";
import type { StoredFile } from "./folder.ts";
import {
  encodedChunks,
  type SafetensorsOptions,
  type WritableDataOf,
  type WritableTensor,
} from "./safetensorsEncoding.ts";
import { layOutSafetensors, type NamedEntries } from "./safetensorsLayout.ts";

type LazyTensorOf<D extends FileDType> = {
  readonly dtype: D;
  readonly shape: Shape;
  /** Called once, when the tensor's turn to be written has come; so only one needs to be on the host at a time. */
  readonly data: () => WritableDataOf[D] | Promise<WritableDataOf[D]>;
};

/** A tensor whose elements are fetched when they are written, for weights that live on a device. */
export type LazyTensor = { [D in FileDType]: LazyTensorOf<D> }[FileDType];

/**
 * Writes a safetensors file, tensor by tensor, whole or not at all. The same tensors and metadata give the same bytes as
 * `serializeSafetensors`.
 * @throws EvenkeelError `file` if it can't be kept; `value`, `dtype`, `shape` for what can't be written.
 * @example
 * ```ts
 * const file = memoryFolder().file("weights.safetensors");
 * // An array that is asked for when it is its turn, so that not all need be in memory at once.
 * await writeTensors(file, { w: { dtype: "F32", shape: [2], data: () => Promise.resolve(Float32Array.of(1, 2)) } });
 * console.log(await withTensors(file, ({ entries }) => [...entries.keys()])); // [ 'w' ]
 * ```
 */
export async function writeTensors(
  file: StoredFile,
  tensors: NamedEntries<WritableTensor | LazyTensor>,
  options: SafetensorsOptions = {},
): Promise<void> {
  checkLittleEndianHost("writeTensors");
  const { head, placed } = layOutSafetensors(tensors, options.metadata ?? {});
  await file.write(async (sink) => {
    await sink.write(head);
    for (const item of placed) {
      const { data } = item.tensor;
      const elements = typeof data === "function" ? await data() : data;
      for (const chunk of encodedChunks(item, elements)) await sink.write(chunk);
    }
  });
}
