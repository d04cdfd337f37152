import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { diskFile, fileSystemError } from "../../../engine/io/node.ts";
import { endingOf, fileKindOf } from "../files/fileKinds.ts";
import { FileNames } from "../files/fileNames.ts";
import { type FileSource, maximumFileBytes, TooLarge } from "../files/fileSource.ts";
import { type Reading, readingOf } from "../files/reading.ts";
import { openZip } from "../files/zipFile.ts";

const expected = "expected a folder of images, a .zip, an IDX file of images, or an .npy or .npz array";

const foreignNames =
  "names that aren't UTF-8, by which files can't be opened; give them others, with convmv for instance";

/**
 * The files of a folder (with all below it), of a .zip or an .npz; or a file of images that holds all, with its neighbours that may
 * hold its labels.
 * @param reading told of litter, of links to nothing, of names that were read in another form.
 * @throws EvenkeelError `file` if there is nothing of the kind.
 */
export async function openFiles(path: string, reading: Reading): Promise<FileSource> {
  if (await isFolder(path)) return openFolder(path, await listFolder(path, reading), null);
  const ending = endingOf(path);
  if (ending === ".zip" || ending === ".npz") return openZip(await diskFile(path).open(), path, reading);
  const file = basename(path);
  const kind = fileKindOf(file);
  if (kind.kind === "idx" || kind.kind === "array") {
    return openFolder(dirname(path), await listNeighbours(dirname(path)), file);
  }
  const found = "what" in kind ? `this is one of the ${kind.what}` : "this is a file by itself";
  throw new EvenkeelError("file", `${path}: ${expected}; ${found}.`);
}

/** Opens what `openFiles` does, does something with it, and closes it. @throws EvenkeelError as `openFiles`; what the task throws. */
export async function withFiles<T>(
  path: string,
  reading: Partial<Reading>,
  task: (source: FileSource, reading: Reading) => Promise<T>,
): Promise<T> {
  const whole = readingOf(reading);
  const source = await openFiles(path, whole);
  try {
    return await task(source, whole);
  } finally {
    await source.close();
  }
}

/** Whether a path is a folder rather than a file. @throws EvenkeelError `file` if there is nothing. */
export async function isFolder(path: string): Promise<boolean> {
  const kind = await stat(path).catch((cause: unknown) => {
    throw fileSystemError(path, "opening it", cause);
  });
  return kind.isDirectory();
}

/** @param names the files by the names that readers use, each with its real one. */
function openFolder(path: string, names: FileNames<string>, wanted: string | null): FileSource {
  const pathOf = (file: string): string => join(path, names.get(file) ?? file);
  return {
    name: path,
    files: names.sorted,
    wanted,
    nameOf: (file) => join(path, file),
    read: (file, maximumBytes) => readWhole(pathOf(file), maximumBytes),
    head: (file, bytes) => readHead(pathOf(file), bytes),
    close: async () => undefined,
  };
}

async function listFolder(root: string, reading: Reading): Promise<FileNames<string>> {
  const { notices } = reading;
  const names = new FileNames<string>(root, reading);
  /** @param above the real paths of the folder and those that it was reached through. */
  const list = async (folder: string, above: readonly string[]): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    if (entries.length === 0 && folder !== "") notices.add("left out", "empty folders", folder);
    for (const entry of entries) {
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const full = join(root, name);
      const isPlain = entry.isFile() || entry.isDirectory();
      const kind = isPlain ? entry : await stat(full).catch(() => null);
      if (kind?.isDirectory() === true) {
        if (names.isLitterFolder(name)) continue;
        const real = isPlain ? join(above.at(-1) ?? "", entry.name) : await realpath(full);
        if (above.some((each) => isWithin(each, real)))
          notices.add("left out", "links back to a folder that they lie in", name);
        else await list(name, [...above, real]);
      } else if (kind?.isFile() === true) {
        // What isn't UTF-8 becomes this character in Node's names, by which there is then no file.
        if (name.includes("\ufffd") && !(await isThere(full))) notices.add("left out", foreignNames, name);
        else names.add(name, name);
      } else notices.add("left out", "links to nothing, and what are neither files nor folders", name);
    }
  };
  try {
    await list("", [await realpath(root)]);
  } catch (cause) {
    throw new EvenkeelError("file", `can't list ${root}: ${messageOf(cause)}.`, { cause });
  }
  return names;
}

/** Whether a folder is another one or lies in it. Both are real paths. */
function isWithin(folder: string, other: string): boolean {
  return folder === other || folder.startsWith(other.endsWith(sep) ? other : `${other}${sep}`);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** What may hold a whole data set, or the labels of one, in a folder itself. */
async function listNeighbours(folder: string): Promise<FileNames<string>> {
  const names = new FileNames<string>(folder, readingOf({}));
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { kind } = fileKindOf(entry.name);
    if (!entry.isDirectory() && (kind === "idx" || kind === "array")) names.add(entry.name, entry.name);
  }
  return names;
}

/** A file that isn't absurdly large. @throws EvenkeelError `file` that names it. */
export async function readWhole(path: string, maximumBytes = maximumFileBytes): Promise<Uint8Array> {
  try {
    await using handle = await open(path, "r");
    const { size } = await handle.stat();
    if (size > maximumBytes) throw new TooLarge(`it has ${size} bytes, more than ${maximumBytes}`);
    return await handle.readFile();
  } catch (cause) {
    throw new EvenkeelError("file", `can't read ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function readHead(path: string, bytes: number): Promise<Uint8Array> {
  try {
    await using handle = await open(path, "r");
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    throw new EvenkeelError("file", `can't read ${path}: ${messageOf(cause)}`, { cause });
  }
}
