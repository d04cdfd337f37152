import { messageOf } from "../../errors.ts";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import fs, { type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { EvenkeelError } from "../../errors.ts";
import { fileError } from "../fileError.ts";
import type { FileSink } from "../folder.ts";
import { fileSystemError } from "./fileSystemError.ts";

/**
 * Writes the file `target` whole or not at all: into a new file of the same folder (`.evenkeel-*.partial`), which is
 * flushed to the disk and then renamed over `target`. If anything fails, the new file is removed and `target` is as it
 * was; only a process killed half-way leaves a `.partial` file behind, which may be deleted.
 *
 * `produce` writes the content; what it throws is thrown on. A symbolic link at `target` is replaced, not followed.
 * @throws EvenkeelError `file` if the file system refuses: folder missing or read-only, disk full, ...
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 *
 * await writeFileAtomically("a.txt", async (sink) => {
 *   await sink.write(new TextEncoder().encode("hello "));
 *   await sink.write(new TextEncoder().encode("there"));
 * });
 * console.log(await readFile("a.txt", "utf8")); // hello there
 * ```
 */
export async function writeFileAtomically(target: string, produce: (sink: FileSink) => Promise<void>): Promise<void> {
  await refuseFolder(target);
  const folder = path.dirname(target);
  const partial = path.join(folder, `.evenkeel-${randomBytes(6).toString("hex")}.partial`);
  const wrap = (doing: string) => (cause: unknown) => {
    throw fileSystemError(target, doing, cause);
  };
  // Nothing is begun any more.
  if (isEnding) await new Promise<never>(() => undefined);
  const opening = fs.open(partial, "wx");
  const handle = await unfinished(partial, opening).catch(wrap(`creating a file in ${folder}`));
  try {
    try {
      await produce({ write: (bytes) => writeAll(handle, bytes).catch(wrap("writing")) });
      await handle.sync().catch(wrap("flushing to the disk"));
    } finally {
      await handle.close().catch(wrap("closing"));
    }
    await fs.rename(partial, target).catch(wrap("renaming the finished file"));
  } catch (error) {
    await removePartial(partial, error);
    throw error;
  } finally {
    partials.delete(partial);
  }
  await syncFolder(folder).catch(wrap("flushing its folder to the disk"));
}

/** The new files of writes that are under way, and whether they are there yet. */
const partials = new Map<string, { isOpening: boolean }>();

/** Whether the process is about to end. */
let isEnding = false;

async function unfinished(partial: string, opening: Promise<FileHandle>): Promise<FileHandle> {
  const file = { isOpening: true };
  partials.set(partial, file);
  try {
    return await opening;
  } catch (error) {
    partials.delete(partial);
    throw error;
  } finally {
    file.isOpening = false;
  }
}

/**
 * Removes the new files of all writes that are under way, for a process that ends in the same task: these writes fail or never end, and
 * their targets are as they were. Writes that would begin from now on never do.
 * @example
 * ```ts
 * process.once("SIGTERM", () => void removeUnfinishedFiles().finally(() => process.exit(143)));
 * ```
 */
export async function removeUnfinishedFiles(): Promise<void> {
  isEnding = true;
  // A file that is just being made would appear afterwards.
  while ([...partials.values()].some(({ isOpening }) => isOpening))
    await new Promise((resolve) => setImmediate(resolve));
  for (const partial of partials.keys()) {
    try {
      rmSync(partial, { force: true });
    } catch {
      // The file system refuses; nothing else can be done before the end.
    }
  }
}

/** Early, so that no gigabytes are written for a rename that can't succeed. */
async function refuseFolder(target: string): Promise<void> {
  const found = await fs.stat(target).catch(() => undefined);
  if (found?.isDirectory() === true) throw fileError(target, "is a folder; a file can't be written in its place.");
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten;
  }
}

/** @throws EvenkeelError `file` that tells of both failures, if the partial file stays. */
async function removePartial(partial: string, reason: unknown): Promise<void> {
  try {
    await fs.rm(partial, { force: true });
  } catch (cause) {
    throw stuck(partial, reason, cause);
  }
}

function stuck(partial: string, reason: unknown, cause: unknown): EvenkeelError {
  const first = messageOf(reason);
  return fileError(partial, `${first} Removing this unfinished file failed, too; delete it by hand.`, { cause });
}

/** Answers of systems that can't flush a folder or don't let us. The file is complete; only a power cut may undo it. */
const foldersNotFlushed: ReadonlySet<unknown> = new Set(["EINVAL", "ENOTSUP", "EACCES", "EPERM", "EISDIR"]);

/** Makes the rename itself survive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await fs.open(folder, "r");
    await handle.sync();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && foldersNotFlushed.has(error.code))) throw error;
  } finally {
    await handle?.close();
  }
}
