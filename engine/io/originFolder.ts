/**
 * A folder that a browser keeps for the pages of one origin (its "origin private file system"): it outlives the page, and nobody but pages
 * of the origin sees it. Source: WHATWG File System Standard, whose types these are, as far as they are used.
 */
import { messageOf } from "../errors.ts";
import { fileError } from "./fileError.ts";
import { checkFileName, type Folder, type StoredFile } from "./folder.ts";
import { openBlob, type ReadableBlob } from "./openBlob.ts";

/** What a page may write a file with: nothing of it is seen before `close`. */
type WritableStream = {
  write(data: Uint8Array<ArrayBuffer>): Promise<void>;
  seek(position: number): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
};

/** A `FileSystemFileHandle`. */
export type OriginFileHandle = {
  readonly kind: "file";
  getFile(): Promise<ReadableBlob>;
  createWritable(options?: { readonly keepExistingData?: boolean }): Promise<WritableStream>;
};

/** A `FileSystemDirectoryHandle`, as `navigator.storage.getDirectory()` gives one. */
export type OriginDirectoryHandle = {
  readonly kind: "directory";
  readonly name: string;
  getDirectoryHandle(name: string, options?: { readonly create?: boolean }): Promise<OriginDirectoryHandle>;
  getFileHandle(name: string, options?: { readonly create?: boolean }): Promise<OriginFileHandle>;
  removeEntry(name: string, options?: { readonly recursive?: boolean }): Promise<void>;
  entries(): AsyncIterable<readonly [string, OriginDirectoryHandle | OriginFileHandle]>;
};

/**
 * The folder `name` of a directory of the browser's. An empty file is as good as none: one that is written for the first time is empty
 * until it is whole, and stays so if the page is closed meanwhile.
 * @example
 * ```ts
 * // In a page: `await keep(await navigator.storage.getDirectory())`.
 * const keep = async (directory: OriginDirectoryHandle): Promise<void> => {
 *   const folder = originFolder(directory, "my run");
 *   await folder.prepare();
 *   await writeText(folder.file("notes.txt"), "It outlives the page.");
 * };
 * ```
 */
export function originFolder(directory: OriginDirectoryHandle, name: string): Folder {
  checkFileName(directory.name, name);
  const wrap = wrapper(name);
  // Asked for anew each time: somebody may have removed it meanwhile.
  const handle = (): Promise<OriginDirectoryHandle> => directory.getDirectoryHandle(name);
  return {
    path: name,
    file: (fileName) => {
      checkFileName(name, fileName);
      return originFile(handle, fileName, `${name}/${fileName}`);
    },
    list: () =>
      wrap("reading the folder", async () => {
        const names: string[] = [];
        for await (const [entry, file] of (await handle()).entries()) {
          if (file.kind === "file" && (await sizeIfAny(file)) > 0) names.push(entry);
        }
        return names.sort();
      }),
    // Nothing unfinished is left: the browser drops what wasn't closed.
    prepare: () =>
      wrap("making the folder", () => directory.getDirectoryHandle(name, { create: true }).then(() => undefined)),
  };
}

function originFile(folder: () => Promise<OriginDirectoryHandle>, name: string, path: string): StoredFile {
  const wrap = wrapper(path);
  const find = async (): Promise<ReadableBlob> => (await (await folder()).getFileHandle(name)).getFile();
  const isThere = (): Promise<boolean> =>
    find().then(
      ({ size }) => size > 0,
      (reason: unknown) => {
        if (isMissing(reason)) return false;
        throw reason;
      },
    );
  const create = async (): Promise<OriginFileHandle> => (await folder()).getFileHandle(name, { create: true });
  return {
    name,
    path,
    exists: () => wrap("looking for it", isThere),
    open: () =>
      wrap("opening", async () => {
        const blob = await find();
        if (blob.size === 0) throw fileError(path, "there is no such file.");
        return openBlob(blob, path, (read) => wrap("reading", read));
      }),
    write: async (produce) => {
      const stream = await wrap("creating it", async () => (await create()).createWritable());
      try {
        await produce({ write: (bytes) => wrap("writing", () => stream.write(new Uint8Array(bytes))) });
        await wrap("keeping it", () => stream.close());
      } catch (reason) {
        // It was closed by what failed, or is now.
        await stream.abort().catch(() => undefined);
        throw reason;
      }
    },
    append: (bytes) =>
      wrap("writing", async () => {
        const file = await create();
        const stream = await file.createWritable({ keepExistingData: true });
        await stream.seek((await file.getFile()).size);
        await stream.write(new Uint8Array(bytes));
        await stream.close();
      }),
    remove: () =>
      wrap("removing it", async () => {
        await (await folder()).removeEntry(name).catch((reason: unknown) => {
          if (!isMissing(reason)) throw reason;
        });
      }),
  };
}

/** 0 for a file that was removed since it was listed. */
async function sizeIfAny(file: OriginFileHandle): Promise<number> {
  try {
    return (await file.getFile()).size;
  } catch (reason) {
    if (isMissing(reason)) return 0;
    throw reason;
  }
}

const isMissing = (reason: unknown): boolean => nameOf(reason) === "NotFoundError";

const causes: ReadonlyMap<string, string> = new Map([
  ["NotFoundError", "there is no such file or folder, or it was removed meanwhile"],
  ["QuotaExceededError", "what the browser keeps for this page is full. Remove runs, or free some space on the disk"],
  ["NoModificationAllowedError", "something else of this page is writing it. Wait, or close other tabs of it"],
  ["InvalidStateError", "it was changed meanwhile"],
  ["NotReadableError", "the browser can't read it"],
  ["TypeMismatchError", "there is a folder of this name, or a file where a folder is expected"],
  ["SecurityError", "the browser keeps nothing for this page (a private window, or storage is turned off)"],
]);

const nameOf = (reason: unknown): string => (reason instanceof Error ? reason.name : "");

/** Says errors of the browser in words. */
function wrapper(path: string): <T>(doing: string, task: () => Promise<T>) => Promise<T> {
  return async (doing, task) => {
    try {
      return await task();
    } catch (cause) {
      const known = causes.get(nameOf(cause));
      if (known === undefined && nameOf(cause) === "EvenkeelError") throw cause;
      throw fileError(path, `${doing} failed: ${known ?? messageOf(cause)}.`, { cause });
    }
  };
}
