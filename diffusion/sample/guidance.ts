import { EvenkeelError } from "../../engine/index.ts";
import type { Denoiser, NetworkConfig } from "../network/index.ts";
import { checkWeight, type GuideWeight, weightAt } from "./guideWeight.ts";

/** A network from whose answers the main one's are pushed away. */
export type Guide = {
  /** Another network, or the main one with dropout on (`DenoiserProgram.withDropout`). */
  readonly denoiser: Denoiser;
  /**
   * w: 1 is no guidance, larger values push further, 0 is the guide alone (if it is the only one). A table has a weight for each noise
   * level.
   */
  readonly weight: GuideWeight;
  /**
   * `same` gives the guide the labels of the main network: autoguidance, by a smaller or less trained network. `none` gives it
   * none: classifier-free guidance, by an unconditional network or by the main one if it was trained with label dropout.
   */
  readonly labels: "same" | "none";
};

/** A guide with the weight that it has in a step. */
export type ActiveGuide = Guide & { readonly weight: number };

/** Noise levels (lo, hi] within which guidance acts: above lo, up to and including hi. */
export type GuidanceInterval = readonly [lo: number, hi: number];

/**
 * Guidance pushes the main network's answer away from those of its guides: D = D_main + sum_i (w_i - 1) (D_main - D_i), which for one
 * guide is w D_main + (1 - w) D_guide. Ho & Salimans 2022; Karras et al. 2024 (autoguidance).
 *
 * Interval and tables of weights are asked once a step, by the noise level it starts from, so that both evaluations of Heun's rule agree;
 * Kynkaanniemi et al. 2024. Outside of the interval, and at weight 1, a guide isn't evaluated.
 * @returns the guides of a step that starts from noise level t, with the weights that they have there.
 * @throws EvenkeelError `value` for an interval without 0 <= lo < hi, a weight that isn't finite, or a table whose levels don't rise.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { FormulaDenoiser } from "evenkeel/diffusion/network";
 *
 * const denoiser = new FormulaDenoiser((x) => x, await getDevice("wasm"));
 * const guidesAt = activeGuides([{ denoiser, weight: 2, labels: "none" }], [0.3, 5]);
 * console.log([10, 1, 0.1].map((sigma) => guidesAt(sigma).length)); // [ 0, 1, 0 ]
 * denoiser.dispose();
 * ```
 */
export function activeGuides(
  guides: readonly Guide[],
  interval: GuidanceInterval = [0, Infinity],
): (t: number) => readonly ActiveGuide[] {
  for (const { weight } of guides) checkWeight(weight);
  const [lo, hi] = interval;
  if (!(lo >= 0 && lo < hi)) {
    throw new EvenkeelError("value", `guidance: the interval (${lo}, ${hi}] is none; expected 0 <= lo < hi.`);
  }
  return (t) => {
    if (t <= lo || t > hi) return [];
    return guides
      .map((guide) => ({ ...guide, weight: weightAt(guide.weight, t) }))
      .filter(({ weight }) => weight !== 1);
  };
}

/** A network that guides or is guided, as messages call it. */
export type GuidedNetwork = { readonly name: string; readonly config: NetworkConfig };

/**
 * Which labels a guide is given: the main network's, or none if it knows none. `self` is the main network itself, without labels.
 * @throws EvenkeelError `value` if the networks don't fit each other.
 * @example
 * ```ts
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const config = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 9 });
 * const small = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 9, modelChannels: 8 });
 * const main = { name: "large.safetensors", config };
 * console.log(guideLabels(main, { name: "small.safetensors", config: small }), guideLabels(main, "self")); // same none
 * ```
 */
export function guideLabels(main: GuidedNetwork, guide: GuidedNetwork | "self"): Guide["labels"] {
  const { unet } = main.config;
  if (guide === "self") {
    if (unet.labelDim > 0) return "none";
    throw new EvenkeelError("value", `guidance: ${main.name} takes no labels, so that it can't guide itself.`);
  }
  const other = guide.config.unet;
  const size = ({ imageChannels, imageResolution }: typeof unet): string =>
    `${imageChannels}x${imageResolution}x${imageResolution}`;
  if (size(unet) !== size(other)) {
    throw new EvenkeelError(
      "value",
      `guidance: ${main.name} makes images of ${size(unet)} and its guide ${guide.name} of ${size(other)}; they must be alike.`,
    );
  }
  if (other.labelDim === 0) return "none";
  if (other.labelDim === unet.labelDim) return "same";
  throw new EvenkeelError(
    "value",
    `guidance: ${main.name} knows ${unet.labelDim} classes and its guide ${guide.name} ${other.labelDim}; a guide knows the same or none.`,
  );
}
