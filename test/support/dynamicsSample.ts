import type { DynamicsHeader, DynamicsSample } from "../../diffusion/dynamics/index.ts";
import { smallOptions } from "../diffusion/training/smallRun.ts";

/** What a file of dynamics begins with: of a run that reads four activations, one weight and one gain. */
export const dynamicsHeader: DynamicsHeader = {
  format: "evenkeel-dynamics",
  version: 1,
  every: 10,
  training: smallOptions,
  names: {
    activations: ["enc.8x8_conv", "enc.8x8_block0.conv_res0", "dec.4x4_in0.conv_res0", "out_conv"],
    weights: ["enc.8x8_conv"],
    weightShapes: [[4, 4, 3, 3]],
    gains: ["out_gain"],
    attention: [],
  },
  sigmaEdges: [1],
};

/** Its readings after so many images. */
export const dynamicsSample = (nimg: number): DynamicsSample => ({
  nimg,
  learningRate: 0.02,
  gradientNorm: nimg,
  nonFiniteGradients: 0,
  readings: {
    activation: [1, 2, 3, nimg],
    activationMax: [2, 3, 4, null],
    weight: [1],
    weightMax: [1],
    gradient: [0.5],
    update: [0.01],
    angle: [0.01],
    alignment: [0.1],
    spectralNorm: [3],
    stableRank: [2],
    gain: [-0.1],
    entropy: [],
    entropyMin: [],
    logit: [],
  },
  bins: { count: [3, 0], loss: [0.25, null], error: [0.5, null] },
});
