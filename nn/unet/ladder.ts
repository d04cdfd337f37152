import { EvenkeelError } from "../../engine/index.ts";
import type { UNetSwitches } from "./switches.ts";

/** The ladder's configurations, from EDM's network (A) to EDM2's (G). */
export const configurationNames = ["A", "B", "C", "D", "E", "F", "G"] as const;

/** Letter of a configuration of the paper's. */
export type ConfigurationName = (typeof configurationNames)[number];

/** EDM's ADM network (Dhariwal and Nichol 2021), as in EDM's published code. Section B.1. */
const switchesA: UNetSwitches = {
  bias: true,
  onesChannel: false,
  noiseFeatures: "positional",
  labelScaling: false,
  groupNorm: "learned",
  pixelNorm: false,
  conditioning: "scaleShift",
  attentionKind: "dotProduct",
  zeroInit: true,
  weightNorm: false,
  forcedNorm: false,
  resampling: "inBranches",
  encoderWidening: "inBranch",
  outputActivation: true,
  embeddingLayers: 2,
  mpFeatures: false,
  mpSilu: false,
  mpSum: false,
  mpCat: false,
  gains: false,
};

/** Minor improvements: of training, and less attention. Section B.2. */
const switchesB: UNetSwitches = switchesA;

/**
 * Architectural streamlining. Section B.3, which leaves two things open. Groups of the simple group norm are those of A (32, of 4
 * channels or more). Weights are drawn as in A, uniform within 1 / sqrt(fan-in); those of classes too, now that labels are scaled.
 */
const switchesC: UNetSwitches = {
  ...switchesB,
  bias: false,
  onesChannel: true,
  noiseFeatures: "fourier",
  labelScaling: true,
  groupNorm: "simple",
  conditioning: "scale",
  attentionKind: "cosine",
  zeroInit: false,
};

/** Magnitude-preserving learned layers. Section B.4. */
const switchesD: UNetSwitches = { ...switchesC, weightNorm: true };

/** Control of the effective learning rate. Section B.5. */
const switchesE: UNetSwitches = { ...switchesD, forcedNorm: true };

/** No group norm, and what that lets simplify. Section B.6. */
const switchesF: UNetSwitches = {
  ...switchesE,
  groupNorm: "none",
  pixelNorm: true,
  resampling: "ahead",
  encoderWidening: "ahead",
  outputActivation: false,
  embeddingLayers: 1,
};

/** Magnitude-preserving fixed functions: EDM2. Section B.7. */
const switchesG: UNetSwitches = {
  ...switchesF,
  mpFeatures: true,
  mpSilu: true,
  mpSum: true,
  mpCat: true,
  gains: true,
};

/** The switches of every configuration. */
export const configurationSwitches: Readonly<Record<ConfigurationName, UNetSwitches>> = {
  A: switchesA,
  B: switchesB,
  C: switchesC,
  D: switchesD,
  E: switchesE,
  F: switchesF,
  G: switchesG,
};

/**
 * @throws EvenkeelError `value` that lists the configurations.
 * @example console.log(configurationNamed("G")); // G
 */
export function configurationNamed(name: string): ConfigurationName {
  const found = configurationNames.find((each) => each === name);
  if (found === undefined) {
    throw new EvenkeelError(
      "value",
      `unknown configuration ${JSON.stringify(name)}; there are ${configurationNames.join(", ")}.`,
    );
  }
  return found;
}
