import { type NetworkConfig, noiseVariance } from "../network/index.ts";

/**
 * How fast an image becomes uncertain in ln(sigma), up to a factor: its mean squared error over sigma^2, from its weighted error. On the host
 * what `informationRates` is in the graph.
 */
export function informationRate(
  { sigmaData, target, noiseDf }: Pick<NetworkConfig, "sigmaData" | "target" | "noiseDf">,
  sigma: number,
  error: number,
): number {
  const variance = noiseVariance(noiseDf);
  switch (target) {
    case "v":
      return (error * sigmaData ** 2 * variance) / (sigma ** 2 * variance + sigmaData ** 2);
    case "x":
      return (error * sigmaData ** 2) / sigma ** 2;
    case "eps":
      return error * variance;
  }
}
