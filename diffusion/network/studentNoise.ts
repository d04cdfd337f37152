import { divide, multiply, randomGamma, reshape, sqrt, type Tensor } from "../../engine/index.ts";

/**
 * The variance of noise with `noiseDf` degrees of freedom, n / (n - 2); 0 stands for infinitely many, Gaussian noise, which has 1.
 * @example console.log(noiseVariance(0), noiseVariance(4)); // 1 2
 */
export function noiseVariance(noiseDf: number): number {
  return noiseDf === 0 ? 1 : noiseDf / (noiseDf - 2);
}

/**
 * Student-t noise of standard normals [N, ...]: z / sqrt(kappa), where n kappa of an image is chi-squared with n = `noiseDf` degrees of
 * freedom, drawn by its key [N, 2]. All pixels of an image share it, so that the noise has heavy tails as a whole. With 0 degrees the
 * normals themselves. Pandey et al. 2024 (Heavy-Tailed Diffusion Models).
 * @example
 * ```ts
 * import { ones, randomKey, splitKey } from "evenkeel/engine";
 *
 * const noise = studentNoise(ones([2, 1, 1, 2]), splitKey(randomKey(0), 2), 4);
 * console.log(await noise.reshape([2, 2]).array()); // [ [ 1.1142, 1.1142 ], [ 0.7220, 0.7220 ] ]
 * ```
 */
export function studentNoise(normals: Tensor, keys: Tensor, noiseDf: number): Tensor {
  if (noiseDf === 0) return normals;
  const kappa = multiply(randomGamma(keys, [], noiseDf / 2), 2 / noiseDf);
  const perImage = [...kappa.shape, ...normals.shape.slice(kappa.rank).map(() => 1)];
  return divide(normals, reshape(sqrt(kappa), perImage));
}
