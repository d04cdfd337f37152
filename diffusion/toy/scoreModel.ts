/**
 * A small magnitude-preserving model of a density in the plane: it computes an unnormalised log density, and its score is the
 * gradient of that in the point. Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself", the toy model.
 */
import {
  add,
  concat,
  cos,
  divide,
  EvenkeelError,
  expandDims,
  grad,
  log,
  matmul,
  mean,
  multiply,
  ones,
  reduceSum,
  sin,
  sqrt,
  square,
  subtract,
  type Tensor,
  tensor,
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
  /**
   * Waves of the point among the inputs, each as cosine and sine; 0 as published. Coordinates alone are so smooth an input that what
   * is finer than a tenth of the data is learned very slowly.
   */
  readonly waves: number;
};

/** x, y, noise level, a constant, and the waves. */
const inputsOf = ({ waves }: ScoreModelConfig): number => 4 + 2 * waves;

/** Wave numbers of the longest and the shortest wave, in radians a unit of x*. */
const waveNumbers = [1, 64] as const;

/** Wave vectors [2, waves]: lengths in geometric steps, directions that turn by the golden angle, so that any few cover all. */
function waveVectors(waves: number): Tensor {
  const [lowest, highest] = waveNumbers;
  const part = (of: (angle: number) => number) =>
    Array.from({ length: waves }, (_, i) => {
      const length = lowest * (highest / lowest) ** (waves === 1 ? 0 : i / (waves - 1));
      return length * of(i * Math.PI * (3 - Math.sqrt(5)));
    });
  return tensor(Float32Array.from([...part(Math.cos), ...part(Math.sin)]), { shape: [2, waves] });
}

/** Linear layers stand between activations, which the names of the published model count, too. */
const layerName = (index: number): string => `layers.${2 * index}.weight`;

/**
 * The model's arrays by their names: `layers.0.weight` [dim, 4 + 2 waves], then [dim, dim] each, and `gain` [], which starts at 0: the density
 * of one Gaussian of the data's size.
 * @throws EvenkeelError `value` for a size that isn't a whole number in range.
 */
export function describeScoreModel(config: ScoreModelConfig): Record<string, ParameterSpec> {
  const { dim, layers, sigmaData, waves } = config;
  for (const [name, value, lowest, highest] of [
    ["dim", dim, 1, 4096],
    ["layers", layers, 0, 64],
    ["waves", waves, 0, 1024],
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
  for (let i = 0; i <= layers; i++)
    specs[layerName(i)] = describeMpConv(i === 0 ? inputsOf(config) : dim, dim, []).weight;
  return specs;
}

/**
 * The unnormalised log density G(x; sigma) = gain mean(F^2) / sigma - |x*|^2 / 2 with x* = x / sqrt(sigmaData^2 + sigma^2) and the
 * features F of (x*, ln(sigma) / 4, 1, waves of x*): points [N, 2] and noise levels [N] to [N].
 */
export function logDensity(config: ScoreModelConfig, weights: NamedParameters, x: Tensor, sigma: Tensor): Tensor {
  const weight = (name: string): Tensor => {
    const found = weights[name];
    if (found === undefined) throw new EvenkeelError("shape", `score model: there is no ${name} among its weights.`);
    return found;
  };
  const level = expandDims(sigma, 1);
  const scaled = divide(x, sqrt(add(square(level), config.sigmaData ** 2)));
  const plain = [scaled, divide(log(level), 4), ones(level.shape)];
  let features = concat(config.waves === 0 ? plain : [...plain, ...waveFeatures(scaled, config.waves)], 1);
  for (let i = 0; i <= config.layers; i++) {
    features = mpConv(i === 0 ? features : mpSilu(features), weight(layerName(i)));
  }
  const learned = divide(multiply(mean(square(features), { axes: 1 }), weight("gain")), sigma);
  return subtract(learned, divide(reduceSum(square(scaled), { axes: 1 }), 2));
}

/** sqrt(2) cos and sin, of unit magnitude: [N, waves] each. */
function waveFeatures(scaled: Tensor, waves: number): Tensor[] {
  const phases = matmul(scaled, waveVectors(waves));
  return [multiply(cos(phases), Math.SQRT2), multiply(sin(phases), Math.SQRT2)];
}

/** The score: the gradient of `logDensity` in the points [N, 2]. Itself differentiable, as training needs. */
export function modelScore(config: ScoreModelConfig, weights: NamedParameters, x: Tensor, sigma: Tensor): Tensor {
  // Each density depends on its own point alone, so that the sum's gradient has each one's.
  return grad((points: Tensor) => reduceSum(logDensity(config, weights, points, sigma)))(x);
}

/**
 * The training loss of a model's score against the exact one, sigma^2 |difference|^2 / 2 at each point [N]: scores [N, 2] twice, noise
 * levels [N].
 */
export function scoreLoss(score: Tensor, exact: Tensor, sigma: Tensor): Tensor {
  return multiply(square(sigma), mean(square(subtract(exact, score)), { axes: 1 }));
}
