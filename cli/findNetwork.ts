import { DenoiserProgram, tensorsOfWeights } from "../diffusion/network/index.ts";
import { findSnapshot } from "../diffusion/snapshot/node.ts";
import type { FindNetwork } from "./sampleSettings.ts";

/** The network of a snapshot file. */
export const findNetwork: FindNetwork = async (file) => {
  const { network, classNames, seenLabels = null, readWeights } = await findSnapshot(file);
  return {
    config: network,
    classNames,
    seenLabels,
    load: async (device) => {
      const weights = tensorsOfWeights(network, await readWeights(), file);
      const program = await DenoiserProgram.create(network, weights, device);
      return {
        denoise: (x, sigma, labels) => program.denoise(x, sigma, labels),
        dispose: () => program.dispose(),
      };
    },
  };
};
