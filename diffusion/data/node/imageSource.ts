import { open, readdir, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { EvenkeelError } from "../../../engine/index.ts";
import { openZip } from "./zipFile.ts";

/** Named files: of a folder, or of a zip archive. Names have forward slashes and are sorted. */
export interface FileSource extends AsyncDisposable {
  readonly name: string;
  readonly files: readonly string[];
  /** @throws EvenkeelError `file` that names the source and the file. */
  read(file: string): Promise<Uint8Array>;
}

/** Files larger than this are no images of a data set. */
export const maximumFileBytes = 2 ** 28;

/** The files of a folder (with all below it) or of a .zip. @throws EvenkeelError `file` if there is neither. */
export async function openFiles(path: string): Promise<FileSource> {
  if (await isFolder(path)) return openFolder(path);
  if (extname(path).toLowerCase() === ".zip") return openZip(path);
  throw new EvenkeelError("file", `${path}: expected a folder of images or a .zip.`);
}

/** Whether a path is a folder rather than a file. @throws EvenkeelError `file` if there is nothing. */
export async function isFolder(path: string): Promise<boolean> {
  const kind = await stat(path).catch((cause: unknown) => {
    throw new EvenkeelError("file", `can't open ${path}: ${messageOf(cause)}`, { cause });
  });
  return kind.isDirectory();
}

/** What operating systems leave among files: hidden ones, and the doubles of the Mac's archives. */
export function isLitter(file: string): boolean {
  return file.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
}

async function openFolder(path: string): Promise<FileSource> {
  return {
    name: path,
    files: await listFiles(path),
    read: (file) => readWhole(join(path, file)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function listFiles(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new EvenkeelError("file", `can't list ${path}: ${messageOf(cause)}`, { cause });
  });
  const files: string[] = [];
  for (const entry of entries) {
    const full = join(entry.parentPath, entry.name);
    const file = relative(path, full).split(sep).join("/");
    if (isLitter(file)) continue;
    if (entry.isSymbolicLink() && (await isFolder(full))) {
      throw new EvenkeelError("file", `${full} links to a folder; links are followed to files only.`);
    }
    if (entry.isFile() || entry.isSymbolicLink()) files.push(file);
  }
  return files.sort();
}

/** A file that isn't absurdly large. @throws EvenkeelError `file` that names it. */
export async function readWhole(path: string, maximumBytes = maximumFileBytes): Promise<Uint8Array> {
  try {
    await using handle = await open(path, "r");
    const { size } = await handle.stat();
    if (size > maximumBytes) throw new EvenkeelError("file", `it has ${size} bytes, more than ${maximumBytes}`);
    return await handle.readFile();
  } catch (cause) {
    throw new EvenkeelError("file", `can't read ${path}: ${messageOf(cause)}`, { cause });
  }
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
