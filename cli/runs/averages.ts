import { powerProfile, reconstruct, type SnapshotFile, snapshotsIn } from "../../diffusion/ema/index.ts";
import { type NetworkConfig, tensorsOfWeights } from "../../diffusion/network/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import type { NamedParameters } from "../../nn/index.ts";

/** The averages that a run has stored, from which those of any length are made. */
export class StoredAverages {
  readonly #folder: string;
  readonly #network: NetworkConfig;
  readonly #snapshots: readonly SnapshotFile[];

  private constructor(folder: string, network: NetworkConfig, snapshots: readonly SnapshotFile[]) {
    this.#folder = folder;
    this.#network = network;
    this.#snapshots = snapshots;
  }

  /** @param command whose run it is, for messages. @throws EvenkeelError `file` if there are none. */
  static async of(folder: string, network: NetworkConfig, command: string): Promise<StoredAverages> {
    const snapshots = await snapshotsIn(diskFolder(folder), { prefix: "network-snapshot" });
    if (snapshots.length > 0) return new StoredAverages(folder, network, snapshots);
    throw new EvenkeelError("file", `${command}: ${folder} has no averages. Remove it.`);
  }

  /** Images seen when they were stored, rising. */
  get times(): readonly number[] {
    const times = new Set(this.#snapshots.map(({ profile }) => profile.nimg));
    return [...times].filter((nimg) => nimg > 0).sort((a, b) => a - b);
  }

  /** Averages of these lengths, sigma_rel, at one of the times, in the same order. */
  async at(nimg: number, lengths: readonly number[]): Promise<readonly NamedParameters[]> {
    const until = this.#snapshots.filter(({ profile }) => profile.nimg <= nimg);
    const wanted = lengths.map((sigmaRel) => powerProfile(nimg, sigmaRel));
    const made = await reconstruct(until, wanted, { dtype: "F32" });
    return made.map(({ weights }) => tensorsOfWeights(this.#network, weights, this.#folder));
  }
}
