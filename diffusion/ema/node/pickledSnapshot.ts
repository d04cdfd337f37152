import { readFile } from "node:fs/promises";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { readEdm2Pickle } from "../../interchange/index.ts";
import { networkConfigFromReference } from "../../network/index.ts";
import { readOfKind } from "../../snapshot/node.ts";
import { describedNetwork, snapshotMetadata } from "../../snapshot/index.ts";
import type { AveragingProfile } from "../profile.ts";
import type { SnapshotFile } from "./storedAverage.ts";

/** The snapshot in a pickle of the authors' program, whose profile the caller knows. It is parsed, never run. */
export function pickledSnapshot(file: string, profile: AveragingProfile): SnapshotFile {
  const read = async (): Promise<ReturnType<typeof readEdm2Pickle>> => {
    const bytes = await readFile(file).catch((cause: unknown) => {
      const reason = messageOf(cause);
      throw new EvenkeelError("file", `${file}: reading failed: ${reason}.`, { cause });
    });
    return readOfKind(file, /^a Python pickle/, async () => readEdm2Pickle(bytes, file));
  };
  return {
    name: file,
    path: file,
    profile,
    open: async () => (await read()).weights,
    metadata: async () => {
      const { initKwargs } = await read();
      const { nimg } = profile;
      const sigmaRel = profile.kind === "power" ? profile.sigmaRel : null;
      const network = describedNetwork(file, () => networkConfigFromReference(initKwargs));
      const info = { network, nimg, sigmaRel, classNames: null };
      return new Map(Object.entries(snapshotMetadata(info)));
    },
  };
}
