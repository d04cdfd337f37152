import { messageOf } from "../errors.ts";
import { blobFile } from "./blobFile.ts";
import { fileError } from "./fileError.ts";
import { checkFileName, type Folder } from "./folder.ts";
import { oneFolder } from "./oneFolder.ts";

/** A file of those that were given to a page together, under its path as the browser tells it: `folder/name`, or a name alone. */
export type GivenFile = { readonly path: string; readonly blob: Blob };

/** A folder whose files were given, and what of them isn't in it. */
export type GivenFolder = Folder & {
  /** Paths of what lies in folders within it, or was left behind by systems. */
  readonly leftOut: readonly string[];
};

/**
 * Files that a page was given, such as those of a dropped folder, as a folder that can only be read: those that lie outermost, or, if all
 * lie in one folder, those of that folder.
 * @param name what messages call it.
 * @throws EvenkeelError `file` if two have the same path.
 * @example
 * ```ts
 * const given = [{ path: "run/a.txt", blob: new Blob(["hello"]) }, { path: "run/images/b.png", blob: new Blob([]) }];
 * const folder = blobFolder("the dropped folder", given);
 * console.log(await folder.list(), await readTextIfAny(folder.file("a.txt"))); // [ 'a.txt' ] hello
 * ```
 */
export function blobFolder(name: string, given: Iterable<GivenFile>): GivenFolder {
  const { files, nested, litter } = (() => {
    try {
      return oneFolder(Array.from(given, ({ path, blob }) => [path, blob] as const));
    } catch (cause) {
      throw fileError(name, `${messageOf(cause)}.`, { cause });
    }
  })();
  return {
    path: name,
    leftOut: [...nested, ...litter],
    file: (file) => {
      checkFileName(name, file);
      const path = `${name}/${file}`;
      const blob = files.get(file);
      const missing = (): Promise<never> => Promise.reject(fileError(path, "there is no such file."));
      const place = blobFile(path, blob ?? new Blob([]));
      return { ...place, name: file, ...(blob === undefined ? { exists: async () => false, open: missing } : {}) };
    },
    list: () => Promise.resolve([...files.keys()].sort()),
    prepare: () => Promise.resolve(),
  };
}
