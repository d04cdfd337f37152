import { DenoiserProgram, tensorsOfWeights } from "../diffusion/index.ts";
import { readSnapshot } from "../diffusion/node.ts";
import type { LoadNetwork } from "./sampleImages.ts";

/** A network of a snapshot file, compiled for a device. */
export const loadNetwork: LoadNetwork = async (file, device) => {
  const { network, weights, classNames, seenLabels = null } = await readSnapshot(file);
  const program = await DenoiserProgram.create(network, tensorsOfWeights(network, weights, file), device);
  return {
    config: network,
    classNames,
    seenLabels,
    denoise: (x, sigma, labels) => program.denoise(x, sigma, labels),
    dispose: () => program.dispose(),
  };
};
