import { fileError } from "./fileError.ts";
import type { StoredFile } from "./folder.ts";
import { openBlob } from "./openBlob.ts";

/**
 * A file that a page was given, such as one that was dropped on it. It can only be read.
 * @example
 * ```ts
 * const file = blobFile("a.txt", new Blob(["hello"]));
 * console.log(await readTextIfAny(file)); // hello
 * ```
 */
export function blobFile(name: string, blob: Blob): StoredFile {
  const refuse = (): Promise<never> => Promise.reject(fileError(name, "was given to be read only."));
  const changed = (cause: unknown): never => {
    throw fileError(name, "reading failed: it was changed, moved or removed since it was given.", { cause });
  };
  return {
    name,
    path: name,
    exists: () => Promise.resolve(true),
    open: async () => openBlob(blob, name, (read) => read().catch(changed)),
    write: refuse,
    append: refuse,
    remove: refuse,
  };
}
