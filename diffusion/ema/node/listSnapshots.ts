import { diskFolder } from "../../../engine/io/node.ts";
import { type SnapshotFilter, snapshotsIn } from "../snapshotFolder.ts";
import type { SnapshotFile } from "../storedAverage.ts";

/**
 * The snapshots of one run in the folder at a path, as `snapshotsIn` finds them. @throws EvenkeelError `file`.
 * @example
 * ```ts
 * import { describeProfile } from "evenkeel/diffusion/ema";
 * import { writeSafetensors } from "evenkeel/engine/node";
 * import { mkdir } from "node:fs/promises";
 *
 * await mkdir("run");
 * const w = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * await writeSafetensors("run/network-snapshot-0000016-0.050.safetensors", { w });
 * console.log((await listSnapshots("run")).map(({ profile }) => describeProfile(profile))); // [ 'sigma_rel 0.05 at 16384 images' ]
 * ```
 */
export function listSnapshots(folder: string, filter: SnapshotFilter = {}): Promise<readonly SnapshotFile[]> {
  return snapshotsIn(diskFolder(folder), filter);
}
