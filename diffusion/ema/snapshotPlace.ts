import { EvenkeelError } from "../../engine/index.ts";
import type { Folder, StoredFile } from "../../engine/io/index.ts";
import { formatExactSnapshotName, formatSnapshotName } from "./snapshotNames.ts";
import { readAverageMetadata } from "./averageMetadata.ts";
import { safetensorsMetadata } from "./snapshotFile.ts";

/**
 * Where a stored average goes: under the authors' name, which tells thousands of images, or, if another state of the same thousand has that
 * name already, under one that tells them exactly. The same state goes to the same place again. Before the first image there is no average:
 * that state makes room for any other.
 * @example
 * ```ts
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const place = await snapshotPlace(memoryFolder(), "network-snapshot", 16_384, 0.05);
 * console.log(place.name); // network-snapshot-0000016-0.050.safetensors
 * ```
 */
export async function snapshotPlace(
  folder: Folder,
  prefix: string,
  nimg: number,
  sigmaRel: number,
): Promise<StoredFile> {
  const usual = folder.file(`${formatSnapshotName(prefix, nimg, sigmaRel)}.safetensors`);
  const taken = nimg > 0 && (await usual.exists()) ? await statedNimg(usual) : undefined;
  if (taken === undefined || taken === nimg || taken === 0) return usual;
  return folder.file(`${formatExactSnapshotName(prefix, nimg, sigmaRel)}.safetensors`);
}

/** The images that a file says it has seen; undefined for one that can't be read, which may be replaced. */
async function statedNimg(file: StoredFile): Promise<number | undefined> {
  try {
    return readAverageMetadata(file.path, await safetensorsMetadata(file))?.nimg;
  } catch (reason) {
    if (reason instanceof EvenkeelError) return undefined;
    throw reason;
  }
}
