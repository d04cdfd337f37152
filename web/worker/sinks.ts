/** Where archives go that are made in a worker: a file that somebody chose, or a blob for the browser to download. */
import { EvenkeelError, messageOf } from "../../engine/index.ts";
import type { FileSink } from "../../engine/io/index.ts";

/**
 * Writes a file piece by piece.
 * @param target the file that somebody chose; null where the browser has no way to choose one.
 * @returns what is to be downloaded; null if it lies in the file.
 * @throws EvenkeelError `file` if it can't be written, and what `produce` throws; a chosen file then stays as it was.
 */
export async function writeOut(
  target: FileSystemFileHandle | null,
  produce: (sink: FileSink) => Promise<unknown>,
): Promise<Blob | null> {
  if (target === null) {
    // The browser keeps blobs where it likes, also on the disk; an array of all bytes would have to be in memory.
    const parts: Blob[] = [];
    await produce({ write: async (bytes) => void parts.push(new Blob([new Uint8Array(bytes)])) });
    return new Blob(parts, { type: "application/zip" });
  }
  const failing = async <T>(task: Promise<T>): Promise<T> =>
    task.catch((cause: unknown): never => {
      throw new EvenkeelError("file", `${target.name} can't be written: ${messageOf(cause)}`, { cause });
    });
  const stream = await failing(target.createWritable());
  try {
    await produce({ write: (bytes) => failing(stream.write(new Uint8Array(bytes))) });
    await failing(stream.close());
    return null;
  } catch (reason) {
    await stream.abort().catch(() => undefined);
    throw reason;
  }
}
