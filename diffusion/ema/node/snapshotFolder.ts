/** Folders of snapshots named PREFIX-KKKKKKK-S.SSS, as the authors' program and Evenkeel write them. */
import path from "node:path";
import { EvenkeelError } from "../../../engine/index.ts";
import { formatSigmaRel, nimgFromKimg, parseSnapshotName } from "../snapshotNames.ts";
import { powerProfile } from "../profile.ts";
import { profileFromFields, readAverageMetadata } from "./averageMetadata.ts";
import { listFiles } from "./folder.ts";
import { safetensorsMetadata, snapshotFile, type SnapshotFile } from "./snapshotFile.ts";

/** Which snapshots of a folder are meant. */
export type SnapshotFilter = {
  /** Only files whose name begins with this and a hyphen. */
  readonly prefix?: string | undefined;
  /** Only averages of these widths, compared as file names spell them. */
  readonly sigmaRels?: readonly number[] | undefined;
};

/**
 * The snapshots in a folder: safetensors and the authors' pickles. The images seen are those that a file states, otherwise
 * the multiple of 1024 that its name stands for. Left out are raw weights, snapshots taken before the first image, and
 * post-hoc averages made by Evenkeel unless their prefix is asked for.
 * @throws EvenkeelError `file` if the folder or a file can't be read, or a file contradicts its name.
 */
export async function listSnapshots(folder: string, filter: SnapshotFilter = {}): Promise<readonly SnapshotFile[]> {
  const widths = filter.sigmaRels?.map(formatSigmaRel);
  const snapshots: SnapshotFile[] = [];
  for (const fileName of await listFiles(folder)) {
    const extension = path.extname(fileName);
    if (extension !== ".safetensors" && extension !== ".pkl") continue;
    const name = parseSnapshotName(path.basename(fileName, extension));
    if (name === undefined || name.prefix !== (filter.prefix ?? name.prefix)) continue;
    if (widths?.includes(formatSigmaRel(name.sigmaRel)) === false) continue;
    const file = path.join(folder, fileName);
    const metadata = extension === ".pkl" ? new Map<string, string>() : await safetensorsMetadata(file);
    const stated = readAverageMetadata(file, metadata);
    if (stated === undefined) {
      if (name.kimg > 0) snapshots.push(snapshotFile(file, powerProfile(nimgFromKimg(name.kimg), name.sigmaRel)));
      continue;
    }
    if (stated.nimg === 0 || stated.sigmaRel === null || (stated.postHoc !== undefined && filter.prefix === undefined))
      continue;
    if (Math.floor(stated.nimg / 1000) !== name.kimg) {
      throw new EvenkeelError(
        "file",
        `${file}: its name says ${name.kimg} thousand images, its content ${stated.nimg}.`,
      );
    }
    snapshots.push(snapshotFile(file, profileFromFields(file, stated)));
  }
  return snapshots;
}
