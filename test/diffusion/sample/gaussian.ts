/** Gaussian data N(0, sigmaData^2), whose denoiser, flow and samples are known in closed form. */
import type { StateDenoiser } from "../../../diffusion/sample/index.ts";

/** D(x; sigma) = x s^2 / (s^2 + sigma^2), in float64. */
export function gaussianDenoiser(sigmaData: number): StateDenoiser {
  return async (x, sigma) => x.map((value) => (value * sigmaData ** 2) / (sigmaData ** 2 + sigma ** 2));
}

/** Where the flow takes a state from one noise level to another: by the ratio of the blurred standard deviations. */
export function gaussianFlow(sigmaData: number, from: number, to: number): number {
  return Math.hypot(sigmaData, to) / Math.hypot(sigmaData, from);
}
