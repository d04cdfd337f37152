import type { SafetensorsFile } from "../safetensors.ts";
import type { SafetensorsOptions, WritableTensor } from "../safetensorsEncoding.ts";
import type { NamedEntries } from "../safetensorsLayout.ts";
import { openChecked, readTensors, TensorReader } from "../safetensorsReader.ts";
import { type LazyTensor, writeTensors } from "../writeTensors.ts";
import { diskFile } from "./diskFolder.ts";

/** An open safetensors file, of which single tensors are read on demand. Close it, or hold it by `await using`. */
export class SafetensorsReader extends TensorReader implements AsyncDisposable {
  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a safetensors file and reads and checks its header, no data.
 * @throws EvenkeelError `file` if it can't be read or deviates from the format; see `parseHeader`.
 * @example
 * ```ts
 * await writeSafetensors("weights.safetensors", { w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * const reader = await openSafetensors("weights.safetensors");
 * console.log([...reader.entries.keys()], (await reader.tensor("w")).data); // [ 'w' ] Float32Array(2) [ 1, 2 ]
 * await reader.close();
 * ```
 */
export async function openSafetensors(path: string): Promise<SafetensorsReader> {
  const { file, header } = await openChecked(diskFile(path));
  return new SafetensorsReader(path, header, file);
}

/**
 * Reads a whole safetensors file into memory, for files that are small or needed entirely.
 * @throws EvenkeelError `file` if it can't be read or deviates from the format; see `parseHeader`.
 * @example
 * ```ts
 * await writeSafetensors("weights.safetensors", { w: { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } });
 * const file = await readSafetensors("weights.safetensors");
 * console.log(file.tensor("w").data); // Float32Array(2) [ 1, 2 ]
 * ```
 */
export function readSafetensors(path: string): Promise<SafetensorsFile> {
  return readTensors(diskFile(path));
}

/**
 * Writes a safetensors file, tensor by tensor, whole or not at all (see `writeFileAtomically`). The same tensors and metadata give the
 * same bytes as `serializeSafetensors`.
 * @throws EvenkeelError `file` if the file system refuses; `value`, `dtype`, `shape` for what can't be written.
 * @example
 * ```ts
 * const w = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * await writeSafetensors("weights.safetensors", { w }, { metadata: { author: "me" } });
 * console.log((await readSafetensors("weights.safetensors")).metadata.get("author")); // me
 * ```
 */
export function writeSafetensors(
  path: string,
  tensors: NamedEntries<WritableTensor | LazyTensor>,
  options: SafetensorsOptions = {},
): Promise<void> {
  return writeTensors(diskFile(path), tensors, options);
}
