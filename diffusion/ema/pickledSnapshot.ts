import type { StoredFile } from "../../engine/io/index.ts";
import type { NetworkPickle } from "../interchange/index.ts";
import { networkConfigFromReference } from "../network/index.ts";
import { describedNetwork, readOfKind, readPickle, snapshotMetadata } from "../snapshot/index.ts";
import type { AveragingProfile } from "./profile.ts";
import type { SnapshotFile } from "./storedAverage.ts";

/** The snapshot in a pickle of the authors' program, whose profile the caller knows. It is parsed, never run. */
export function pickledSnapshot(file: StoredFile, profile: AveragingProfile): SnapshotFile {
  const read = (): Promise<NetworkPickle> => readOfKind(file, /^a Python pickle/, () => readPickle(file));
  return {
    name: file.path,
    path: file.path,
    profile,
    open: async () => (await read()).weights,
    metadata: async () => {
      const { initKwargs } = await read();
      const { nimg } = profile;
      const sigmaRel = profile.kind === "power" ? profile.sigmaRel : null;
      const network = describedNetwork(file.path, () => networkConfigFromReference(initKwargs));
      const info = { network, nimg, sigmaRel, classNames: null };
      return new Map(Object.entries(snapshotMetadata(info)));
    },
  };
}
