import fs, { type FileHandle } from "node:fs/promises";
import path from "node:path";
import { fileError } from "../fileError.ts";
import { checkFileName, type Folder, isUnfinished, type OpenFile, type StoredFile } from "../folder.ts";
import { allocateBytes } from "../safetensorsEncoding.ts";
import { writeFileAtomically } from "./atomicFile.ts";
import { fileSystemError } from "./fileSystemError.ts";
import { makeFolder } from "./makeFolder.ts";

/** Most bytes asked of the system in one read; its counters have 31 bits. */
const mostAtOnce = 1 << 26;

/**
 * A folder of a disk.
 * @example
 * ```ts
 * import { writeText } from "evenkeel/engine/io";
 *
 * const folder = diskFolder("runs");
 * await folder.prepare();
 * await writeText(folder.file("a.txt"), "hello");
 * console.log(await folder.list()); // [ 'a.txt' ]
 * ```
 */
export function diskFolder(folder: string): Folder {
  const wrap = (doing: string) => (cause: unknown) => {
    throw fileSystemError(folder, doing, cause);
  };
  return {
    path: folder,
    file: (name) => {
      checkFileName(folder, name);
      return diskFile(path.join(folder, name));
    },
    list: async () => {
      const entries = await fs.readdir(folder, { withFileTypes: true }).catch(wrap("reading the folder"));
      return entries.flatMap((entry) => (entry.isFile() || entry.isSymbolicLink() ? [entry.name] : [])).sort();
    },
    prepare: async () => {
      await makeFolder(folder);
      for (const name of await fs.readdir(folder).catch(wrap("reading the folder"))) {
        if (isUnfinished(name)) await fs.rm(path.join(folder, name), { force: true }).catch(wrap(`removing ${name}`));
      }
    },
  };
}

/**
 * A file of a disk. @param readBytes read at once, at most.
 * @example
 * ```ts
 * import { readTextIfAny, writeText } from "evenkeel/engine/io";
 *
 * await writeText(diskFile("a.txt"), "hello");
 * console.log(await readTextIfAny(diskFile("a.txt"))); // hello
 * ```
 */
export function diskFile(file: string, readBytes = mostAtOnce): StoredFile {
  const wrap = (doing: string) => (cause: unknown) => {
    throw fileSystemError(file, doing, cause);
  };
  return {
    name: path.basename(file),
    path: file,
    exists: () =>
      fs.access(file).then(
        () => true,
        () => false,
      ),
    open: async () => {
      // Before opening, which would wait forever on a named pipe.
      const found = await fs.stat(file).catch(wrap("opening"));
      if (found.isDirectory()) throw fileError(file, "is a folder. Name the file in it that is meant.");
      if (!found.isFile()) throw fileError(file, "is not a regular file (a pipe or a device).");
      const handle = await fs.open(file, "r").catch(wrap("opening"));
      try {
        return openFile(handle, (await handle.stat().catch(wrap("opening"))).size, file, readBytes);
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    write: (produce) => writeFileAtomically(file, produce),
    append: async (bytes) => {
      try {
        await using handle = await fs.open(file, "a");
        await handle.appendFile(bytes);
      } catch (cause) {
        throw fileSystemError(file, "writing", cause);
      }
    },
    remove: () => fs.rm(file, { force: true }).catch(wrap("removing it")),
  };
}

function openFile(handle: FileHandle, size: number, file: string, readBytes: number): OpenFile {
  return {
    size,
    read: async (offset, length) => {
      const bytes = allocateBytes(length, file);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle
          .read(bytes, done, Math.min(readBytes, length - done), offset + done)
          .catch((cause: unknown) => {
            throw fileSystemError(file, "reading", cause);
          });
        if (bytesRead === 0) {
          throw fileError(
            file,
            `ends at byte ${offset + done}, ${length - done} bytes early: it was cut while it was read.`,
          );
        }
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}
