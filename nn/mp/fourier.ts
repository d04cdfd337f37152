import { add, cos, expandDims, multiply, type Tensor } from "../../engine/index.ts";
import type { ParameterSpec } from "../parameters.ts";

/** Frequencies and phases of random Fourier features, both with the factor 2 pi in them. Fixed after they are drawn. */
export type FourierParameters<T = Tensor> = { readonly freqs: T; readonly phases: T };

/**
 * `channels` features: frequencies 2 pi N(0, 1) (bandwidth 1), phases uniform in 0 to 2 pi.
 * @example console.log(describeFourier(32).freqs.shape, describeFourier(32).phases.role); // [ 32 ] buffer
 */
export function describeFourier(channels: number): FourierParameters<ParameterSpec> {
  return {
    freqs: { shape: [channels], role: "buffer", init: { kind: "normal", scale: 2 * Math.PI } },
    phases: { shape: [channels], role: "buffer", init: { kind: "uniform", low: 0, high: 2 * Math.PI } },
  };
}

/**
 * cos(freqs x + phases): x [N] to [N, channels], of magnitude sqrt(1/2). Tancik et al. 2020.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await fourierFeatures(tensor([0]), { freqs: tensor([1, 2]), phases: tensor([0, 0]) }).array()); // [ [ 1, 1 ] ]
 * ```
 */
export function fourierFeatures(x: Tensor, { freqs, phases }: FourierParameters): Tensor {
  return cos(add(multiply(expandDims(x, 1), freqs), phases));
}

/**
 * sqrt(2) cos(freqs x + phases): x [N] to [N, channels] of unit magnitude. Karras et al. 2024, Eq. 75.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await mpFourier(tensor([0]), { freqs: tensor([1, 2]), phases: tensor([0, 0]) }).array()); // [ [ 1.4142, 1.4142 ] ]
 * ```
 */
export function mpFourier(x: Tensor, parameters: FourierParameters): Tensor {
  return multiply(fourierFeatures(x, parameters), Math.SQRT2);
}
