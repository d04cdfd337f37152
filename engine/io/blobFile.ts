import { messageOf } from "../errors.ts";
import { allocateBytes } from "./safetensorsEncoding.ts";
import { fileError } from "./fileError.ts";
import type { OpenFile, StoredFile } from "./folder.ts";

/** What is read of a `Blob`, such as a `File` that was dropped into a page. */
export type ReadableBlob = {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
};

/** The bytes of a blob. @param failed what an error of the browser becomes. */
export function openBlob(blob: ReadableBlob, path: string, failed: (cause: unknown) => unknown): OpenFile {
  return {
    size: blob.size,
    read: async (offset, length) => {
      const bytes = allocateBytes(length, path);
      try {
        bytes.set(new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()));
      } catch (cause) {
        throw failed(cause);
      }
      return bytes;
    },
    close: () => Promise.resolve(),
  };
}

/**
 * A file that a page was given, to be read by whatever reads stored files: `readStoredSnapshot`, `readTensors`, ...
 * @param name what it is called; its ending tells what it is.
 */
export function blobFile(name: string, blob: ReadableBlob): StoredFile {
  const refuse = (): Promise<never> =>
    Promise.reject(fileError(name, "was given to be read and can't be changed. Store what you have in another file."));
  return {
    name,
    path: name,
    exists: () => Promise.resolve(true),
    open: () =>
      Promise.resolve(
        openBlob(blob, name, (cause) =>
          fileError(name, `reading failed: ${messageOf(cause)}. Was it changed or removed meanwhile? Choose it again.`, {
            cause,
          }),
        ),
      ),
    write: refuse,
    append: refuse,
    remove: refuse,
  };
}
