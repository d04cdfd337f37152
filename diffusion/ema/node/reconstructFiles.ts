import path from "node:path";
import { EvenkeelError } from "../../../engine/index.ts";
import { makeFolder, writeSafetensors } from "../../../engine/io/node.ts";
import { type AveragingProfile, compareProfiles } from "../profile.ts";
import { reconstruct, type ReconstructOptions } from "../reconstruct.ts";
import { postHocMetadata } from "../averageMetadata.ts";
import type { SnapshotFile } from "../storedAverage.ts";

/** A wanted average and the file it goes to. */
export type AverageFile = { readonly profile: AveragingProfile; readonly path: string };

/** Options of `reconstructFiles`. */
export type ReconstructFilesOptions = ReconstructOptions & {
  /** Wanted averages made in one pass over the snapshots; each needs a float32 copy of the weights. Default 8. */
  readonly batch?: number;
  /** Called when a file is complete. */
  readonly onFile?: (file: AverageFile) => void;
};

/**
 * Makes post-hoc averages of snapshots and writes each to a safetensors file, whole or not at all: the metadata of the last
 * snapshot with the average's own profile and, under `postHoc`, the snapshots and coefficients it was made of.
 * @throws EvenkeelError as `reconstruct`; `value` if two files have one path or a snapshot would be overwritten.
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from "evenkeel/engine/node";
 * import { makeFolder } from "evenkeel/engine/io/node";
 * import { powerProfile } from "evenkeel/diffusion";
 * import { listSnapshots } from "evenkeel/diffusion/ema/node";
 *
 * await makeFolder("run");
 * for (const [name, w] of [["0000008-0.050", 1], ["0000008-0.100", 1], ["0000016-0.050", 3], ["0000016-0.100", 2]] as const) {
 *   const tensors = { w: { dtype: "F32", shape: [1], data: Float32Array.of(w) } } as const;
 *   await writeSafetensors(`run/network-snapshot-${name}.safetensors`, tensors);
 * }
 * const wanted = [{ profile: powerProfile(16384, 0.075), path: "run/phema-0000016-0.075.safetensors" }];
 * await reconstructFiles(await listSnapshots("run"), wanted, { dtype: "F32" });
 * console.log((await readSafetensors("run/phema-0000016-0.075.safetensors")).tensor("w").data); // Float32Array(1) [ 2.3453 ]
 * ```
 */
export async function reconstructFiles(
  snapshots: readonly SnapshotFile[],
  wanted: readonly AverageFile[],
  options: ReconstructFilesOptions = {},
): Promise<void> {
  const { batch = 8, normalize = true } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new EvenkeelError("range", `reconstructFiles: batch ${batch}; wanted a whole number from 1 on.`);
  }
  refuseOverwriting(snapshots, wanted);
  const sorted = snapshots.toSorted((a, b) => compareProfiles(a.profile, b.profile));
  const stored = sorted.map(({ profile }) => profile);
  for (let start = 0; start < wanted.length; start += batch) {
    const files = wanted.slice(start, start + batch);
    const results = await reconstruct(
      sorted,
      files.map(({ profile }) => profile),
      options,
    );
    for (const [i, { fit, weights }] of results.entries()) {
      // As many results as files.
      const file = files[i] as AverageFile;
      const last = sorted.findLast(({ profile }) => profile.nimg <= file.profile.nimg);
      const metadata = postHocMetadata((await last?.metadata()) ?? new Map<string, string>(), stored, fit, normalize);
      await makeFolder(path.dirname(file.path));
      await writeSafetensors(file.path, weights, { metadata });
      options.onFile?.(file);
    }
  }
}

function refuseOverwriting(snapshots: readonly SnapshotFile[], wanted: readonly AverageFile[]): void {
  const inputs = new Set(snapshots.map((snapshot) => path.resolve(snapshot.path)));
  const outputs = new Set<string>();
  for (const { path: file } of wanted) {
    const place = path.resolve(file);
    const problem = inputs.has(place) ? "is one of the snapshots" : outputs.has(place) ? "is wanted twice" : undefined;
    if (problem !== undefined)
      throw new EvenkeelError("value", `${file}: ${problem}; choose another prefix or folder.`);
    outputs.add(place);
  }
}
