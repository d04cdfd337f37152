import {
  compile,
  type Compiled,
  createState,
  type Device,
  eventLoopTurn,
  type State,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import type { StateDenoiser } from "../sample/index.ts";
import { type Mixture, mixtureDensity } from "./mixture.ts";
import { logDensity, modelScore, type ScoreModelConfig } from "./scoreModel.ts";

/** Log densities [N], up to a constant of each noise level, and scores [N, 2]. */
export type PointScores = { readonly logDensity: Float64Array; readonly score: Float64Array };

/** Densities and scores of points [N, 2] at one noise level: exact, or a model's. */
export type PointScorer = (points: Float64Array, sigma: number) => Promise<PointScores>;

/**
 * The exact ones, in float64 on the host.
 * @example
 * ```ts
 * const mixture = createMixture(Float64Array.of(1), Float64Array.of(0, 0), Float64Array.of(1, 0, 0, 1));
 * const { score } = await exactScorer(mixture)(Float64Array.of(2, 4), 1);
 * console.log(score); // Float64Array(2) [ -1, -2 ]
 * ```
 */
export function exactScorer(mixture: Mixture): PointScorer {
  return async (points, sigma) => {
    const count = points.length / 2;
    const [found, score] = [new Float64Array(count), new Float64Array(2 * count)];
    for (let i = 0; i < count; i++) {
      const at = mixtureDensity(mixture, points[2 * i] ?? NaN, points[2 * i + 1] ?? NaN, sigma);
      found[i] = at.logDensity;
      score.set(at.score, 2 * i);
      await eventLoopTurn();
    }
    return { logDensity: found, score };
  };
}

/** Points that a compiled model is asked for at a time; the rest of the last portion is filled up. */
const portion = 4096;

/** A model compiled for a device, with its weights there. Dispose of it. */
export class ScoreProgram {
  /** The model. */
  readonly config: ScoreModelConfig;
  readonly #weights: State<NamedParameters>;
  readonly #program: Compiled<[NamedParameters, Tensor, Tensor], { logDensity: Tensor; score: Tensor }>;

  private constructor(config: ScoreModelConfig, weights: State<NamedParameters>, device: Device) {
    this.config = config;
    this.#weights = weights;
    this.#program = compile(
      (arrays: NamedParameters, points: Tensor, sigma: Tensor) => ({
        logDensity: logDensity(config, arrays, points, sigma),
        score: modelScore(config, arrays, points, sigma),
      }),
      { device },
    );
  }

  /** Brings a model with these weights to a device. Dispose of it. */
  static async create(config: ScoreModelConfig, weights: NamedParameters, device: Device): Promise<ScoreProgram> {
    return new ScoreProgram(config, await createState(weights, device), device);
  }

  /** The model as a `PointScorer`. Computed in float32. */
  readonly scores: PointScorer = async (points, sigma) => {
    const count = points.length / 2;
    const [found, score] = [new Float64Array(count), new Float64Array(2 * count)];
    const sigmas = tensor(new Float32Array(portion).fill(sigma));
    for (let start = 0; start < count; start += portion) {
      const part = points.subarray(2 * start, 2 * (start + portion));
      const filled = new Float32Array(2 * portion);
      filled.set(part);
      const result = await this.#program(this.#weights, tensor(filled, { shape: [portion, 2] }), sigmas);
      found.set((await result.logDensity.data()).subarray(0, part.length / 2), start);
      score.set((await result.score.data()).subarray(0, part.length), 2 * start);
    }
    return { logDensity: found, score };
  };

  /** Frees what it has on the device. */
  dispose(): void {
    this.#program.dispose();
    this.#weights.dispose();
  }
}

/** What a sampler follows: D(x; sigma) = x + sigma^2 score. */
export function scoreDenoiser(scores: PointScorer): StateDenoiser {
  return async (x, sigma) => {
    const { score } = await scores(x, sigma);
    return x.map((value, i) => value + sigma * sigma * (score[i] ?? NaN));
  };
}

/**
 * A scorer pushed away from a guide: main + (weight - 1) (main - guide), of log densities as of scores.
 * @example
 * ```ts
 * const gaussian = (variance: number): Mixture =>
 *   createMixture(Float64Array.of(1), Float64Array.of(0, 0), Float64Array.of(variance, 0, 0, variance));
 * const scores = guidedScorer(exactScorer(gaussian(1)), exactScorer(gaussian(3)), 2);
 * console.log((await scores(Float64Array.of(4, 8), 1)).score); // Float64Array(2) [ -3, -6 ]
 * ```
 */
export function guidedScorer(main: PointScorer, guide: PointScorer, weight: number): PointScorer {
  if (weight === 1) return main;
  const push = (own: Float64Array, other: Float64Array): Float64Array =>
    own.map((value, i) => value + (weight - 1) * (value - (other[i] ?? NaN)));
  return async (points, sigma) => {
    const [own, other] = [await main(points, sigma), await guide(points, sigma)];
    return { logDensity: push(own.logDensity, other.logDensity), score: push(own.score, other.score) };
  };
}
