/**
 * A small magnitude-preserving model of a density in the plane: it computes an unnormalised log density, and its score is the
 * gradient of that in the point. Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself", the toy model.
 */
import {
  add,
  concat,
  divide,
  EvenkeelError,
  expandDims,
  grad,
  log,
  mean,
  multiply,
  ones,
  reduceSum,
  sqrt,
  square,
  subtract,
  type Tensor,
} from "../../engine/index.ts";
import { describeMpConv, mpConv, mpSilu, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";

/** What a model is made of. */
export type ScoreModelConfig = {
  /** Features of each layer. */
  readonly dim: number;
  /** Layers after the first. */
  readonly layers: number;
  /** Standard deviation of the data along each axis. */
  readonly sigmaData: number;
};

/** x, y, noise level and a constant. */
const inputs = 4;

/** Linear layers stand between activations, which the names of the published model count, too. */
const layerName = (index: number): string => `layers.${2 * index}.weight`;

/**
 * The model's arrays by their names: `layers.0.weight` [dim, 4], then [dim, dim] each, and `gain` [], which starts at 0: the density
 * of one Gaussian of the data's size.
 * @throws EvenkeelError `value` for a size that isn't a whole number in range.
 * @example console.log(Object.keys(describeScoreModel({ dim: 8, layers: 1, sigmaData: 0.5 }))); // [ 'gain', 'layers.0.weight', 'layers.2.weight' ]
 */
export function describeScoreModel({ dim, layers, sigmaData }: ScoreModelConfig): Record<string, ParameterSpec> {
  for (const [name, value, lowest, highest] of [
    ["dim", dim, 1, 4096],
    ["layers", layers, 0, 64],
  ] as const) {
    if (!Number.isInteger(value) || value < lowest || value > highest) {
      throw new EvenkeelError(
        "value",
        `score model: ${name} is ${value}, expected a whole number from ${lowest} to ${highest}.`,
      );
    }
  }
  if (!(sigmaData > 0 && sigmaData < Infinity)) {
    throw new EvenkeelError("value", `score model: sigmaData is ${sigmaData}, expected a number above 0.`);
  }
  const specs: Record<string, ParameterSpec> = {
    gain: { shape: [], role: "gain", init: { kind: "constant", value: 0 } },
  };
  for (let i = 0; i <= layers; i++) specs[layerName(i)] = describeMpConv(i === 0 ? inputs : dim, dim, []).weight;
  return specs;
}

/**
 * The unnormalised log density G(x; sigma) = gain mean(F^2) / sigma - |x*|^2 / 2 with x* = x / sqrt(sigmaData^2 + sigma^2) and the
 * features F of (x*, ln(sigma) / 4, 1): points [N, 2] and noise levels [N] to [N].
 * @example
 * ```ts
 * import { randomKey, tensor } from "evenkeel/engine";
 * import { initializeParameters } from "evenkeel/nn";
 *
 * const config = { dim: 8, layers: 1, sigmaData: 3 };
 * const untrained = initializeParameters(describeScoreModel(config), randomKey(0));
 * console.log(await logDensity(config, untrained, tensor([[5, 10]]), tensor([4])).array()); // [ -2.5 ]
 * ```
 */
export function logDensity(config: ScoreModelConfig, weights: NamedParameters, x: Tensor, sigma: Tensor): Tensor {
  const weight = (name: string): Tensor => {
    const found = weights[name];
    if (found === undefined) throw new EvenkeelError("shape", `score model: there is no ${name} among its weights.`);
    return found;
  };
  const level = expandDims(sigma, 1);
  const scaled = divide(x, sqrt(add(square(level), config.sigmaData ** 2)));
  let features = concat([scaled, divide(log(level), 4), ones(level.shape)], 1);
  for (let i = 0; i <= config.layers; i++) {
    features = mpConv(i === 0 ? features : mpSilu(features), weight(layerName(i)));
  }
  const learned = divide(multiply(mean(square(features), { axes: 1 }), weight("gain")), sigma);
  return subtract(learned, divide(reduceSum(square(scaled), { axes: 1 }), 2));
}

/**
 * The score: the gradient of `logDensity` in the points [N, 2]. Itself differentiable, as training needs.
 * @example
 * ```ts
 * import { randomKey, tensor } from "evenkeel/engine";
 * import { initializeParameters } from "evenkeel/nn";
 *
 * const config = { dim: 8, layers: 1, sigmaData: 3 };
 * const untrained = initializeParameters(describeScoreModel(config), randomKey(0));
 * console.log(await modelScore(config, untrained, tensor([[5, 10]]), tensor([4])).array()); // [ [ -0.2, -0.4 ] ]
 * ```
 */
export function modelScore(config: ScoreModelConfig, weights: NamedParameters, x: Tensor, sigma: Tensor): Tensor {
  // Each density depends on its own point alone, so that the sum's gradient has each one's.
  return grad((points: Tensor) => reduceSum(logDensity(config, weights, points, sigma)))(x);
}

/**
 * The training loss of a model's score against the exact one, sigma^2 |difference|^2 / 2 at each point [N]: scores [N, 2] twice, noise
 * levels [N].
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await scoreLoss(tensor([[1, 0]]), tensor([[0, 0]]), tensor([2])).array()); // [ 2 ]
 * ```
 */
export function scoreLoss(score: Tensor, exact: Tensor, sigma: Tensor): Tensor {
  return multiply(square(sigma), mean(square(subtract(exact, score)), { axes: 1 }));
}
