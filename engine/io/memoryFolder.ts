import { fileError } from "./fileError.ts";
import { checkFileName, type Folder, type StoredFile } from "./folder.ts";

/**
 * A folder in memory, which is gone with the process. @param path what messages call it.
 * @example
 * ```ts
 * const folder = memoryFolder();
 * await writeText(await folder.file("a.txt"), "hello");
 * console.log(await folder.list()); // [ 'a.txt' ]
 * ```
 */
export function memoryFolder(path = "memory"): Folder {
  const files = new Map<string, Uint8Array>();
  return {
    path,
    file: (name) => {
      checkFileName(path, name);
      return memoryFile(files, name, `${path}/${name}`);
    },
    list: () => Promise.resolve([...files.keys()].sort()),
    prepare: () => Promise.resolve(),
  };
}

function memoryFile(files: Map<string, Uint8Array>, name: string, path: string): StoredFile {
  return {
    name,
    path,
    exists: () => Promise.resolve(files.has(name)),
    open: async () => {
      const bytes = files.get(name);
      if (bytes === undefined) throw fileError(path, "there is no such file.");
      return {
        size: bytes.length,
        read: (offset, length) => Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length))),
        close: () => Promise.resolve(),
      };
    },
    write: async (produce) => {
      const parts: Uint8Array[] = [];
      // The caller may use its memory again.
      await produce({ write: async (bytes) => void parts.push(bytes.slice()) });
      files.set(name, joined(parts));
    },
    append: async (bytes) => void files.set(name, joined([files.get(name) ?? new Uint8Array(), bytes])),
    remove: async () => void files.delete(name),
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}
