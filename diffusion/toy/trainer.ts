import {
  add,
  compileStep,
  type CompiledStep,
  createState,
  type Device,
  divide,
  EvenkeelError,
  mean,
  multiply,
  randomKey,
  scalar,
  square,
  type State,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../../engine/index.ts";
import {
  adam,
  adamCorrections,
  type AdamMoments,
  adamMoments,
  initializeParameters,
  learningRate,
  type NamedParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import { powerFunctionUpdateRates, updateAverages } from "../ema/index.ts";
import { normalizeWeights } from "../training/index.ts";
import { addNoise, drawPoints, drawSigmas, type ToyNoise } from "./draw.ts";
import { type Mixture, mixtureDensities } from "./mixture.ts";
import { RandomState } from "./randomState.ts";
import { describeScoreModel, modelScore, scoreLoss, type ScoreModelConfig } from "./scoreModel.ts";
import { growToyMixture, type ToyClass, toySigmaData } from "./tree.ts";

/** How a model of the toy data is trained; plain data. */
export type ToyTrainingOptions = {
  readonly cls: ToyClass;
  readonly model: ScoreModelConfig;
  /** Points a step. */
  readonly batch: number;
  /** The rate falls as one over the square root after `referenceBatches` steps. */
  readonly learningRate: number;
  readonly referenceBatches: number;
  readonly noise: ToyNoise;
  /**
   * Share of the points that stray: three times the noise of their level is added to them. The exact score is known there, too, and a
   * model that has learned it brings back a sample that errors took off the data. 0 as published.
   */
  readonly strayShare: number;
  /**
   * Factor on sigma^2 |score error|^2 at each noise level. `score`: none, as published. `relative`: 1 + sigma^2 / sigmaData^2, which
   * makes it about twice the excess loss of the denoiser relative to the ideal loss, at high noise, too.
   */
  readonly weighting: "score" | "relative";
  /** Width of the average of the weights. */
  readonly emaSigmaRel: number;
  readonly seed: number;
};

/** Training but for the class and the seed, and for how many steps it is meant. */
export type ToyRecipe = {
  readonly training: Omit<ToyTrainingOptions, "cls" | "seed">;
  readonly iterations: number;
};

/** The published model and its training. */
const published: ToyRecipe = {
  training: {
    model: { dim: 64, layers: 4, sigmaData: toySigmaData },
    batch: 4096,
    learningRate: 0.01,
    referenceBatches: 512,
    noise: { kind: "logNormal", pMean: -2.3, pStd: 1.5 },
    strayShare: 0,
    weighting: "score",
    emaSigmaRel: 0.01,
  },
  iterations: 4096,
};

/**
 * `published`, and `thorough`: a wider model, in more and smaller steps, which get further; errors weighted relative to what the
 * ideal denoiser leaves at each noise level; most points where the branches are told apart, which is learned slowest; some far
 * from the data; and a longer average.
 */
export const toyRecipes = {
  published,
  thorough: {
    training: {
      ...published.training,
      model: { ...published.training.model, dim: 128 },
      batch: 512,
      referenceBatches: 2048,
      noise: { kind: "twoRanges", sigmaMin: 0.0015, border: 0.06, sigmaMax: 7, lowShare: 0.7 },
      strayShare: 0.125,
      weighting: "relative",
      emaSigmaRel: 0.05,
    },
    iterations: 98304,
  },
} as const satisfies Record<string, ToyRecipe>;

/** How much further than others points stray. */
const strayFactor = 3;

const adamOptions = { beta1: 0.9, beta2: 0.99 };

/** What training changes; on the device. */
export type ToyState = {
  readonly weights: NamedParameters;
  readonly moments: AdamMoments;
  readonly average: NamedParameters;
};

/** A noisy batch: points [N, 2] and noise levels [N]. */
export type ToyBatch = { readonly points: Tensor; readonly sigma: Tensor };

/** What changes from step to step, as tensors so that nothing is traced again. */
export type ToySchedule = {
  readonly rate: Tensor;
  readonly corrections: { readonly first: Tensor; readonly second: Tensor };
  readonly updateRates: Tensor;
};

/**
 * One step: forced normalization, the loss against the exact score, its gradient (of a gradient: the score is one), Adam, average. Where
 * the loss isn't finite, so are the weights after it.
 */
export function toyStep(
  { model: config, weighting }: Pick<ToyTrainingOptions, "model" | "weighting">,
  mixture: Mixture,
  specs: NamedParameters<ParameterSpec>,
  state: ToyState,
  { points, sigma }: ToyBatch,
  { rate, corrections, updateRates }: ToySchedule,
): { readonly state: ToyState; readonly result: Tensor } {
  const normalized = normalizeWeights(specs, state.weights);
  const { score: exact } = mixtureDensities(mixture, points, sigma);
  const objective = (weights: NamedParameters): Tensor => {
    const losses = scoreLoss(modelScore(config, weights, points, sigma), exact, sigma);
    if (weighting === "score") return mean(losses);
    return mean(multiply(losses, add(1, divide(square(sigma), config.sigmaData ** 2))));
  };
  const { value: loss, gradient } = valueAndGrad(objective)(normalized);
  const updated = adam(normalized, gradient, state.moments, rate, corrections, adamOptions);
  const [average = state.average] = updateAverages([state.average], updated.parameters, updateRates);
  return { state: { weights: updated.parameters, moments: updated.moments, average }, result: loss };
}

/**
 * Trains a model of the toy data. Owns its state on the device: dispose of it. Points and noise are drawn on the host in float64 from the
 * seed, so that every device is given the same.
 */
export class ToyTrainer {
  /** What is trained, and how. */
  readonly options: ToyTrainingOptions;
  readonly #state: State<ToyState>;
  readonly #step: CompiledStep<ToyState, [ToyBatch, ToySchedule], Tensor>;
  readonly #mixture: Mixture;
  readonly #random: RandomState;
  #iteration = 0;

  private constructor(options: ToyTrainingOptions, device: Device, state: State<ToyState>) {
    const specs = describeScoreModel(options.model);
    const mixture = growToyMixture(options.cls);
    this.options = options;
    this.#state = state;
    this.#mixture = mixture;
    this.#random = new RandomState(options.seed);
    this.#step = compileStep(
      (before: ToyState, batch: ToyBatch, schedule: ToySchedule) =>
        toyStep(options, mixture, specs, before, batch, schedule),
      { device },
    );
  }

  /** A trainer with freshly drawn weights. @throws EvenkeelError `value` or `range` for options that don't fit. */
  static async create(options: ToyTrainingOptions, device: Device): Promise<ToyTrainer> {
    const { batch, seed, strayShare } = options;
    if (!(strayShare >= 0 && strayShare <= 1)) {
      throw new EvenkeelError("value", `toy training: strayShare is ${strayShare}, expected a number from 0 to 1.`);
    }
    if (!Number.isInteger(batch) || batch < 1) {
      throw new EvenkeelError("value", `toy training: batch is ${batch}, expected a whole number of at least 1.`);
    }
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new EvenkeelError("value", `toy training: seed ${seed} is not a whole number from 0 to 4294967295.`);
    }
    const weights = initializeParameters(describeScoreModel(options.model), randomKey(seed));
    const state = await createState<ToyState>(
      { weights, moments: adamMoments(weights), average: { ...weights } },
      device,
    );
    return new ToyTrainer(options, device, state);
  }

  /** Steps done. */
  get iteration(): number {
    return this.#iteration;
  }

  /** One step; gives its loss. @throws EvenkeelError `diverged` if that isn't finite. */
  async step(): Promise<{ readonly iteration: number; readonly loss: number; readonly learningRate: number }> {
    const { batch, learningRate: reference, referenceBatches, emaSigmaRel } = this.options;
    const before = this.#iteration;
    const rate = learningRate(before * batch, batch, { reference, referenceBatches, rampUpMimg: 0 });
    const corrections = adamCorrections(before + 1, adamOptions);
    const loss = await this.#step(this.#state, this.#draw(), {
      rate: scalar(rate),
      corrections: { first: scalar(corrections.first), second: scalar(corrections.second) },
      updateRates: powerFunctionUpdateRates([emaSigmaRel], before + 1, 1),
    });
    const [value = NaN] = await loss.data();
    if (!Number.isFinite(value)) {
      throw new EvenkeelError(
        "diverged",
        `toy training: in iteration ${before + 1} the loss is ${value}. Use a lower learning rate.`,
      );
    }
    this.#iteration = before + 1;
    return { iteration: this.#iteration, loss: value, learningRate: rate };
  }

  /** The averaged weights, on the host. */
  async average(): Promise<NamedParameters> {
    return this.#state.read(({ average }) => average);
  }

  /** Frees what it has on the device. */
  dispose(): void {
    this.#step.dispose();
    this.#state.dispose();
  }

  #draw(): ToyBatch {
    const { batch, noise, strayShare } = this.options;
    const sigma = drawSigmas(noise, batch, this.#random);
    const clean = drawPoints(this.#mixture, batch, this.#random);
    // Evenly over the batch, whose levels may rise: those at which another whole number of strays is reached.
    const strays = (i: number): boolean => Math.floor((i + 1) * strayShare) > Math.floor(i * strayShare);
    const noisy = addNoise(clean, (i) => (sigma[i] ?? NaN) * (strays(i) ? strayFactor : 1), this.#random);
    return {
      points: tensor(Float32Array.from(noisy), { shape: [batch, 2] }),
      sigma: tensor(Float32Array.from(sigma)),
    };
  }
}
