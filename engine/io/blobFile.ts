import { fileError } from "./fileError.ts";
import type { StoredFile } from "./folder.ts";
import { allocateBytes } from "./safetensorsEncoding.ts";

/** A file that a page was given, such as one that was dropped on it. It can only be read. */
export function blobFile(name: string, blob: Blob): StoredFile {
  const refuse = (): Promise<never> => Promise.reject(fileError(name, "was given to be read only."));
  return {
    name,
    path: name,
    exists: () => Promise.resolve(true),
    open: () =>
      Promise.resolve({
        size: blob.size,
        read: async (offset, length) => {
          const bytes = allocateBytes(length, name);
          const read = await blob
            .slice(offset, offset + length)
            .arrayBuffer()
            .catch((cause: unknown) => {
              throw fileError(name, "reading failed: it was changed, moved or removed since it was given.", { cause });
            });
          bytes.set(new Uint8Array(read));
          return bytes;
        },
        close: () => Promise.resolve(),
      }),
    write: refuse,
    append: refuse,
    remove: refuse,
  };
}
