import { readWhole, type StoredFile } from "../../engine/io/index.ts";
import { type NetworkPickle, readEdm2Pickle } from "../interchange/index.ts";

/**
 * A network in a pickle of the authors' program, which is read whole: its bytes, and then a copy of its numbers. @throws EvenkeelError `file`.
 * @example
 * ```ts
 * import { diskFile } from "evenkeel/engine/io/node";
 *
 * const { className, initKwargs } = await readPickle(diskFile("network-snapshot-0008388-0.100.pkl"));
 * console.log(className, initKwargs["img_resolution"]); // Precond 16
 * ```
 */
export async function readPickle(file: StoredFile): Promise<NetworkPickle> {
  return readEdm2Pickle(await readWhole(file), file.path);
}
