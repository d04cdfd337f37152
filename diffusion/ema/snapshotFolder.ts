/** Folders of snapshots named PREFIX-KKKKKKK-S.SSS, as the authors' program and Evenkeel write them. */
import { EvenkeelError } from "../../engine/index.ts";
import { extensionOf, type Folder } from "../../engine/io/index.ts";
import { formatSigmaRel, nimgFromKimg, parseSnapshotName, type SnapshotName } from "./snapshotNames.ts";
import { type AveragingProfile, powerProfile } from "./profile.ts";
import { type AverageMetadata, profileFromFields, readAverageMetadata } from "./averageMetadata.ts";
import { requireNamedWidth, requireOneRun, tellLeftOut } from "./oneRun.ts";
import type { SnapshotFile } from "./storedAverage.ts";
import { safetensorsMetadata, snapshotFile } from "./snapshotFile.ts";

/** Which snapshots of a folder are meant. */
export type SnapshotFilter = {
  /** Only files whose name begins with this and a hyphen. */
  readonly prefix?: string | undefined;
  /** Only averages of these widths, compared as file names spell them. */
  readonly sigmaRels?: readonly number[] | undefined;
  /** Told what was left out of those that the filter lets through: one line a kind, with its number and an example. */
  readonly onLeftOut?: ((line: string) => void) | undefined;
};

/** Under which both programs write post-hoc averages unless they are told otherwise. */
const resultPrefix = "phema";

/** A file whose name is a snapshot's. */
type Candidate = {
  readonly fileName: string;
  readonly name: SnapshotName;
  /** What it says of itself; undefined for files of other programs. */
  readonly stated: AverageMetadata | undefined;
};

/**
 * The snapshots of one run in a folder: safetensors and the authors' pickles. The images seen are those that a file states, otherwise
 * those that its name stands for: all of them, or the one multiple of 1024 in its thousand. Left out are raw weights, snapshots taken before
 * the first image, and post-hoc averages (those made by Evenkeel, and the authors' under `phema`) unless their prefix is asked for.
 * @throws EvenkeelError `file` if the folder or a file can't be read, a file contradicts its name, or there are snapshots of two runs:
 * of two prefixes, of two networks, or of both programs.
 * @example
 * ```ts
 * import { memoryFolder, writeTensors } from "evenkeel/engine/io";
 *
 * const folder = memoryFolder();
 * const w = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * for (const std of ["0.050", "0.100"]) await writeTensors(folder.file(`network-snapshot-0000016-${std}.safetensors`), { w });
 * const found = await snapshotsIn(folder, { sigmaRels: [0.1] });
 * console.log(found.map(({ profile }) => describeProfile(profile))); // [ 'sigma_rel 0.1 at 16384 images' ]
 * ```
 */
export async function snapshotsIn(folder: Folder, filter: SnapshotFilter = {}): Promise<readonly SnapshotFile[]> {
  const widths = filter.sigmaRels?.map(formatSigmaRel);
  const candidates: Candidate[] = [];
  const leftOut = new Map<string, string[]>();
  for (const fileName of await folder.list()) {
    const extension = extensionOf(fileName);
    if (extension !== ".safetensors" && extension !== ".pkl") continue;
    const name = parseSnapshotName(fileName.slice(0, -extension.length));
    if (name === undefined || name.prefix !== (filter.prefix ?? name.prefix)) continue;
    if (widths?.includes(formatSigmaRel(name.sigmaRel)) === false) continue;
    const file = folder.file(fileName);
    const metadata = extension === ".pkl" ? new Map<string, string>() : await safetensorsMetadata(file);
    const candidate = { fileName, name, stated: readAverageMetadata(file.path, metadata) };
    const reason = whyLeftOut(candidate, filter.prefix);
    if (reason === undefined) candidates.push(candidate);
    else leftOut.set(reason, [...(leftOut.get(reason) ?? []), fileName]);
  }
  tellLeftOut(leftOut, filter.onLeftOut);
  requireOneRun(
    folder.path,
    candidates.map(({ fileName, name, stated }) => ({ fileName, prefix: name.prefix, stated })),
  );
  return candidates.map((candidate) => snapshotOf(folder, candidate));
}

function whyLeftOut({ name, stated }: Candidate, wantedPrefix: string | undefined): string | undefined {
  if (wantedPrefix === undefined) {
    const isResult = stated === undefined ? name.prefix === resultPrefix : stated.postHoc !== undefined;
    if (isResult) return "post-hoc averages";
  }
  if (stated?.sigmaRel === null) return "files of raw weights";
  return (stated?.nimg ?? name.kimg) === 0 ? "averages from before the first image" : undefined;
}

/** What a name alone says. @throws EvenkeelError with the file's name, if there is no such average. */
function namedProfile(file: string, { nimg, kimg, sigmaRel }: SnapshotName): AveragingProfile {
  try {
    return powerProfile(nimg ?? nimgFromKimg(kimg), sigmaRel);
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError(cause.code, `${file}: ${cause.message}`, { cause });
  }
}

/** @throws EvenkeelError `file` if the file contradicts its name. */
function snapshotOf(folder: Folder, { fileName, name, stated }: Candidate): SnapshotFile {
  const file = folder.file(fileName);
  if (stated === undefined) {
    return snapshotFile(file, namedProfile(file.path, name));
  }
  const isNamed = name.nimg === undefined ? Math.floor(stated.nimg / 1000) === name.kimg : stated.nimg === name.nimg;
  if (!isNamed) {
    const said = name.nimg === undefined ? `${name.kimg} thousand` : String(name.nimg);
    throw new EvenkeelError("file", `${file.path}: its name says ${said} images, its content ${stated.nimg}.`);
  }
  requireNamedWidth(file.path, name.sigmaRel, stated);
  return snapshotFile(file, profileFromFields(file.path, stated));
}
