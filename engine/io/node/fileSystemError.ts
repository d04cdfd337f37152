import { messageOf } from "../../errors.ts";
import type { EvenkeelError } from "../../errors.ts";
import { fileError } from "../fileError.ts";

const causes: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "there is no such file or folder. Check the path"],
  ["ENOTDIR", "a part of the path is a file, not a folder"],
  ["EEXIST", "there is a file of this name"],
  ["EISDIR", "it is a folder, not a file"],
  ["EACCES", "permission denied. Check who may read and write there"],
  ["EPERM", "the operating system does not permit it. Check who may read and write there"],
  ["EROFS", "the file system is read-only. Choose another folder"],
  ["ENOSPC", "the disk is full. Free some space, or choose another disk"],
  ["EDQUOT", "your disk quota is used up. Free some space, or choose another disk"],
  ["EFBIG", "the file would be larger than allowed here"],
  ["EMFILE", "too many files are open. Close some readers first"],
  ["ENAMETOOLONG", "the name is too long for the file system"],
  ["EIO", "the disk reported an error"],
]);

/**
 * An error of the operating system while `doing` something with `path`, in words; the original is its `cause`.
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 *
 * const found = await readFile("missing.txt").catch((cause: unknown) => fileSystemError("missing.txt", "reading", cause).message);
 * console.log(found); // missing.txt: reading failed: there is no such file or folder. Check the path (ENOENT).
 * ```
 */
export function fileSystemError(path: string, doing: string, cause: unknown): EvenkeelError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  const known = code === undefined ? undefined : causes.get(code);
  const reason = known === undefined ? messageOf(cause) : `${known} (${code})`;
  return fileError(path, `${doing} failed: ${reason}.`, { cause });
}
