import { DenoiserProgram, tensorsOfWeights } from "../diffusion/network/index.ts";
import { findSnapshot, type FoundSnapshot } from "../diffusion/snapshot/node.ts";
import { fileDigest } from "./fileDigest.ts";
import { tellPickleMemory } from "./memoryReport.ts";
import type { FindNetwork } from "./sampleSettings.ts";

/** Looks at a stored network; of a large pickle, which is read whole, it is said first what that takes. @throws EvenkeelError `file`. */
export async function findStored(file: string): Promise<FoundSnapshot> {
  await tellPickleMemory(file, console.error);
  return findSnapshot(file);
}

/** The network of a snapshot file. */
export const findNetwork: FindNetwork = async (file) => {
  const { network, classNames, seenLabels = null, trained = null, readWeights } = await findStored(file);
  return {
    config: network,
    classNames,
    seenLabels,
    trained,
    digest: () => fileDigest(file),
    load: async (device) => {
      const weights = tensorsOfWeights(network, await readWeights(), file);
      const program = await DenoiserProgram.create(network, weights, device);
      return {
        denoiser: program,
        withDropout: (probability) => program.withDropout(probability),
        dispose: () => program.dispose(),
      };
    },
  };
};
