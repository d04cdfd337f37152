import { clipText } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";

/**
 * What makes one configuration of the ladder A to G differ from the next: each difference is a switch of its own, so that any one
 * can be turned alone. Sections in brackets are those of Karras et al. 2024.
 */
export type UNetSwitches = {
  /** Biases of convolutions, linear layers, group norms and the loss head. Off from C on [B.3]. */
  readonly bias: boolean;
  /** A channel of ones beside the image, in the place of biases. From C on [B.3]. */
  readonly onesChannel: boolean;
  /** What the embedding is made of: sines and cosines, or random Fourier features from C on [B.3]. */
  readonly noiseFeatures: "positional" | "fourier";
  /**
   * Labels times sqrt(labelDim), so that a one-hot label has unit magnitude. From C on [B.3]. Without it, embeddings of classes are
   * drawn from N(0, 1), to the same effect at the start.
   */
  readonly labelScaling: boolean;
  /** Before every convolution of a residual branch: with mean, scale and bias; as magnitude only, from C on; none, from F on. */
  readonly groupNorm: "learned" | "simple" | "none";
  /** Unit magnitude at each pixel at the start of every block of the encoder. From F on [B.6]. */
  readonly pixelNorm: boolean;
  /** How the embedding acts on a block: y (1 + scale) + shift, or y (1 + scale) from C on [B.3]. */
  readonly conditioning: "scaleShift" | "scale";
  /** Attention on normalized input, or, from C on, with normalized queries, keys and values [B.3]. */
  readonly attentionKind: "dotProduct" | "cosine";
  /** The last layer of every branch, and of the network, starts at zero. Off from C on [B.3]. */
  readonly zeroInit: boolean;
  /** Weights are used at unit magnitude for each output, divided by sqrt(fan-in), and drawn from N(0, 1). From D on [B.4]. */
  readonly weightNorm: boolean;
  /** Training sets stored weights to unit magnitude before every step. From E on [B.5]. */
  readonly forcedNorm: boolean;
  /** Where a block changes the resolution: in both branches, behind the first norm, or ahead of both from F on [B.6]. */
  readonly resampling: "inBranches" | "ahead";
  /** Where a block of the encoder widens the main path: on it alone, or ahead of both branches from F on [B.6]. */
  readonly encoderWidening: "inBranch" | "ahead";
  /** Group norm and SiLU before the last convolution. Off from F on [B.6]. */
  readonly outputActivation: boolean;
  /** Linear layers between the noise features and the label; one from F on [B.6]. */
  readonly embeddingLayers: 1 | 2;
  /** Noise features times sqrt(2): unit magnitude. G [B.7]. */
  readonly mpFeatures: boolean;
  /** SiLU over 0.596: unit magnitude. G [B.7]. */
  readonly mpSilu: boolean;
  /** Blended sums of unit magnitude (by resBalance, attnBalance and labelBalance) in the place of plain ones. G [B.7]. */
  readonly mpSum: boolean;
  /** Concatenation in which concatBalance gives each part's share. G [B.7]. */
  readonly mpCat: boolean;
  /** Learned factors, zero at the start, on the output and on each block's conditioning. G [B.7]. */
  readonly gains: boolean;
};

/** Every switch with the values that it has. */
export const switchValues: { readonly [Name in keyof UNetSwitches]: readonly UNetSwitches[Name][] } = {
  bias: [true, false],
  onesChannel: [false, true],
  noiseFeatures: ["positional", "fourier"],
  labelScaling: [false, true],
  groupNorm: ["learned", "simple", "none"],
  pixelNorm: [false, true],
  conditioning: ["scaleShift", "scale"],
  attentionKind: ["dotProduct", "cosine"],
  zeroInit: [true, false],
  weightNorm: [false, true],
  forcedNorm: [false, true],
  resampling: ["inBranches", "ahead"],
  encoderWidening: ["inBranch", "ahead"],
  outputActivation: [true, false],
  embeddingLayers: [2, 1],
  mpFeatures: [false, true],
  mpSilu: [false, true],
  mpSum: [false, true],
  mpCat: [false, true],
  gains: [false, true],
};

/** Names of all switches, in the order in which the ladder turns them. */
export const switchNames = Object.keys(switchValues) as (keyof UNetSwitches)[];

/** Combinations that can't work: when they are met, and why they are refused. */
const impossible: readonly { readonly when: (switches: UNetSwitches) => boolean; readonly reason: string }[] = [
  {
    when: ({ forcedNorm, weightNorm }) => forcedNorm && !weightNorm,
    reason:
      "forcedNorm needs weightNorm: weights that are forced to unit magnitude, but not divided by sqrt(fan-in) where they are used, " +
      "make every layer's output sqrt(fan-in) times its input; and averages of them are of no known magnitude",
  },
  {
    when: ({ zeroInit, weightNorm }) => zeroInit && weightNorm,
    reason:
      "zeroInit and weightNorm exclude each other: a weight of zero has no direction that could be normalized. " +
      "Use gains to start from zero",
  },
  {
    when: ({ zeroInit, gains }) => zeroInit && gains,
    reason:
      "zeroInit and gains exclude each other: where a weight and its gain are both zero, so is the gradient of either, and neither " +
      "would ever move",
  },
];

/**
 * @throws EvenkeelError `value` that names a switch with a value that it doesn't have, or the switches that don't go together and why.
 */
export function checkSwitches(switches: UNetSwitches): void {
  for (const name of switchNames) checkSwitch(name, switches[name]);
  const found = impossible.find(({ when }) => when(switches));
  if (found !== undefined) throw new EvenkeelError("value", `unetConfig: ${found.reason}.`);
}

/** Whether switches go together. */
export function areSwitchesPossible(switches: UNetSwitches): boolean {
  return !impossible.some(({ when }) => when(switches));
}

function checkSwitch(name: keyof UNetSwitches, value: unknown): void {
  const values: readonly unknown[] = switchValues[name];
  if (!values.includes(value)) {
    throw new EvenkeelError(
      "value",
      `switch ${name} is ${clipText(typeof value === "bigint" ? String(value) : JSON.stringify(value))}, expected ${values.map((each) => JSON.stringify(each)).join(" or ")}.`,
    );
  }
}

/**
 * Switches as a command line writes them: `groupNorm=none,pixelNorm=true`; an empty text turns none.
 * @throws EvenkeelError `value` for a switch or a value that there isn't, with those there are.
 * @example console.log(parseSwitches("groupNorm=none,pixelNorm=true")); // { groupNorm: 'none', pixelNorm: true }
 */
export function parseSwitches(text: string): Partial<UNetSwitches> {
  const found: Record<string, unknown> = {};
  if (text === "") return found;
  for (const part of text.split(",").map((each) => each.trim())) {
    const [name = "", written = "", ...rest] = part.split("=");
    const known = switchNames.find((each) => each === name);
    if (known === undefined) {
      throw new EvenkeelError(
        "value",
        `unknown switch ${JSON.stringify(name)}; there are ${switchNames.join(", ")}, each written as name=value.`,
      );
    }
    if (Object.hasOwn(found, known)) throw new EvenkeelError("value", `switch ${known} is given twice in "${text}".`);
    const values: readonly unknown[] = switchValues[known];
    const value = rest.length > 0 ? undefined : values.find((each) => String(each) === written);
    checkSwitch(known, value ?? part.slice(name.length + 1));
    found[known] = value;
  }
  return found;
}
