import { open } from "node:fs/promises";
import { fileSystemError } from "../../engine/io/node.ts";
import { type NetworkPickle, readEdm2Pickle } from "../interchange/index.ts";

/** A network in a pickle of the authors' program, which is read whole: its bytes, and then a copy of its numbers. @throws EvenkeelError `file`. */
export async function readPickle(path: string): Promise<NetworkPickle> {
  return readEdm2Pickle(await readLargeFile(path), path);
}

/**
 * The bytes of a file, which may have more than the 2 GiB that Node reads at once.
 * @param pieceBytes read at once.
 * @throws EvenkeelError `file`.
 */
export async function readLargeFile(path: string, pieceBytes = 2 ** 30): Promise<Uint8Array> {
  try {
    await using handle = await open(path, "r");
    const { size } = await handle.stat();
    const bytes = new Uint8Array(size);
    for (let done = 0; done < size; ) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(pieceBytes, size - done), done);
      // Somebody made it shorter meanwhile.
      if (bytesRead === 0) return bytes.subarray(0, done);
      done += bytesRead;
    }
    return bytes;
  } catch (cause) {
    throw fileSystemError(path, "reading", cause);
  }
}
