import {
  argmax,
  compile,
  type Compiled,
  compileStep,
  type CompiledStep,
  createState,
  type Device,
  equal,
  EvenkeelError,
  logSoftmax,
  mean,
  multiply,
  negate,
  randomKey,
  reduceSum,
  scalar,
  type State,
  type Tensor,
  tensor,
  valueAndGrad,
  where,
} from "../../../engine/index.ts";
import {
  adam,
  adamCorrections,
  type AdamMoments,
  adamMoments,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  nestParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { gatherBatch, type ImageDataset, ImageOrder } from "../../data/index.ts";
import { normalizeWeights } from "../../training/index.ts";
import {
  type ClassifierConfig,
  classifierFeatures,
  classifierLogits,
  type ClassifierParameters,
  describeClassifier,
} from "./network.ts";

/** How a classifier is trained; plain data. */
export type ClassifierTraining = {
  readonly steps: number;
  readonly batch: number;
  /** The first step's rate; it falls in a line to 0. */
  readonly learningRate: number;
  /** Whether half of the pictures are mirrored: not where mirrored ones are of another class. */
  readonly xflip: boolean;
  readonly seed: number;
};

/** How a classifier is trained if nothing else is said. */
export const defaultClassifierTraining: ClassifierTraining = {
  steps: 1000,
  batch: 64,
  learningRate: 0.01,
  xflip: false,
  seed: 0,
};

type ClassifierState = { readonly weights: NamedParameters; readonly moments: AdamMoments };
type Batch = { readonly images: Tensor; readonly labels: Tensor };
type Schedule = { readonly rate: Tensor; readonly first: Tensor; readonly second: Tensor };

/** Images a classifier is asked about at a time. */
const evaluationBatch = 64;

/** Trains a classifier, whose features are then used. Owns its state on the device: dispose of it. */
export class ClassifierTrainer {
  /** The network. */
  readonly config: ClassifierConfig;
  /** How it is trained. */
  readonly options: ClassifierTraining;
  readonly #state: State<ClassifierState>;
  readonly #step: CompiledStep<ClassifierState, [Batch, Schedule], Tensor>;
  readonly #predict: Compiled<[ClassifierState, Tensor], { readonly chosen: Tensor; readonly logits: Tensor }>;
  readonly #dataset: ImageDataset;
  readonly #order: ImageOrder;
  #iteration = 0;

  private constructor(
    config: ClassifierConfig,
    options: ClassifierTraining,
    dataset: ImageDataset,
    device: Device,
    state: State<ClassifierState>,
  ) {
    const specs = flattenParameters<ParameterSpec>(describeClassifier(config));
    this.config = config;
    this.options = options;
    this.#state = state;
    this.#dataset = dataset;
    this.#order = new ImageOrder(options.seed, dataset.count);
    this.#step = compileStep(
      (before: ClassifierState, batch: Batch, schedule: Schedule) =>
        classifierStep(config, specs, before, batch, schedule),
      { device },
    );
    this.#predict = compile(
      ({ weights }: ClassifierState, images: Tensor) => {
        const logits = logitsOf(config, weights, images);
        return { chosen: argmax(logits, 1), logits };
      },
      { device },
    );
  }

  /** @throws EvenkeelError `value` for a data set without classes or of another size than the configuration's. */
  static async create(
    config: ClassifierConfig,
    options: ClassifierTraining,
    dataset: ImageDataset,
    device: Device,
  ): Promise<ClassifierTrainer> {
    const { batch, steps, learningRate, seed } = options;
    if (![batch, steps].every((count) => Number.isInteger(count) && count >= 1) || !(learningRate > 0)) {
      throw new EvenkeelError(
        "value",
        `classifier: ${steps} steps of ${batch} images at rate ${learningRate}; expected whole numbers and a rate above 0.`,
      );
    }
    requireFit(config, dataset);
    const weights = initializeParameters(flattenParameters<ParameterSpec>(describeClassifier(config)), randomKey(seed));
    const state = await createState<ClassifierState>({ weights, moments: adamMoments(weights) }, device);
    return new ClassifierTrainer(config, options, dataset, device, state);
  }

  /** Steps done. */
  get iteration(): number {
    return this.#iteration;
  }

  /** One step; gives the batch's mean cross-entropy in nats. @throws EvenkeelError `diverged` if that isn't finite. */
  async step(): Promise<number> {
    const { batch, steps, learningRate, xflip } = this.options;
    const position = this.#iteration * batch;
    const corrections = adamCorrections(this.#iteration + 1, adamOptions);
    const loss = await this.#step(
      this.#state,
      this.#gather(this.#dataset, this.#order.indices(position, batch), (place) =>
        xflip ? this.#order.isFlipped(position + place) : false,
      ),
      {
        rate: scalar(learningRate * Math.max(1 - this.#iteration / steps, 0)),
        first: scalar(corrections.first),
        second: scalar(corrections.second),
      },
    );
    this.#iteration++;
    const [value = NaN] = await loss.data();
    if (Number.isFinite(value)) return value;
    throw new EvenkeelError(
      "diverged",
      `classifier: the loss of step ${this.#iteration} is ${value}. Use a lower learning rate.`,
    );
  }

  /** Share of a data set's images whose class has the largest logit, and their mean cross-entropy in nats. */
  async evaluate(dataset: ImageDataset): Promise<{ readonly accuracy: number; readonly loss: number }> {
    requireFit(this.config, dataset);
    const { classes } = this.config;
    const classOf = (index: number): number => dataset.labels?.values[index] ?? 0;
    let [right, loss] = [0, 0];
    for (let begin = 0; begin < dataset.count; begin += evaluationBatch) {
      const count = Math.min(evaluationBatch, dataset.count - begin);
      // Filled up with the last image, so that one program serves all.
      const indices = Uint32Array.from({ length: evaluationBatch }, (_, i) => begin + Math.min(i, count - 1));
      const { images } = this.#gather(dataset, indices);
      const { chosen, logits } = await this.#predict(this.#state, images);
      const [guesses, scores] = [await chosen.data(), await logits.data()];
      for (let i = 0; i < count; i++) {
        const own = Array.from({ length: classes }, (_, k) => scores[i * classes + k] ?? 0);
        const largest = Math.max(...own);
        const total = own.reduce((sum, score) => sum + Math.exp(score - largest), 0);
        loss += largest + Math.log(total) - (own[classOf(begin + i)] ?? 0);
        if (guesses[i] === classOf(begin + i)) right++;
      }
    }
    return { accuracy: right / dataset.count, loss: loss / dataset.count };
  }

  /** The weights, on the host. */
  async weights(): Promise<NamedParameters> {
    return this.#state.read(({ weights }) => weights);
  }

  /** Frees what it has on the device. */
  dispose(): void {
    this.#step.dispose();
    this.#predict.dispose();
    this.#state.dispose();
  }

  #gather(dataset: ImageDataset, indices: Uint32Array, flipped?: (place: number) => boolean): Batch {
    const { imageChannels, imageResolution, classes } = this.config;
    const { images } = gatherBatch(dataset, indices, flipped === undefined ? {} : { isFlipped: flipped });
    // One-hot of the configuration's width: a part of a data set may lack the last classes.
    const labels = new Float32Array(indices.length * classes);
    for (const [i, index] of indices.entries()) labels[i * classes + (dataset.labels?.values[index] ?? 0)] = 1;
    return {
      images: tensor(images, { shape: [indices.length, imageChannels, imageResolution, imageResolution] }),
      labels: tensor(labels, { shape: [indices.length, classes] }),
    };
  }
}

const adamOptions = { beta1: 0.9, beta2: 0.99 };

function logitsOf(config: ClassifierConfig, weights: NamedParameters, images: Tensor): Tensor {
  const parameters = nestParameters<ClassifierParameters>(weights);
  return classifierLogits(parameters, classifierFeatures(config, parameters, images));
}

/** Forced normalization, cross-entropy, its gradient, Adam. */
function classifierStep(
  config: ClassifierConfig,
  specs: NamedParameters<ParameterSpec>,
  state: ClassifierState,
  { images, labels }: Batch,
  { rate, first, second }: Schedule,
): { readonly state: ClassifierState; readonly result: Tensor } {
  const normalized = normalizeWeights(specs, state.weights);
  const { value, gradient } = valueAndGrad((weights: NamedParameters) => {
    const logarithms = logSoftmax(logitsOf(config, weights, images), 1);
    // A class that an image isn't of adds nothing, however unlikely: 0 times -infinity would be NaN.
    return mean(negate(reduceSum(where(equal(labels, 0), 0, multiply(logarithms, labels)), { axes: 1 })));
  })(normalized);
  const updated = adam(normalized, gradient, state.moments, rate, { first, second }, adamOptions);
  return { state: { weights: updated.parameters, moments: updated.moments }, result: value };
}

function requireFit(config: ClassifierConfig, { name, channels, resolution, labels }: ImageDataset): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("value", `classifier: ${name} ${problem}.`);
  };
  if (labels?.kind !== "classes") return fail("has no classes to learn; a dataset.json or folders give them");
  if (channels !== config.imageChannels || resolution !== config.imageResolution) {
    const { imageChannels, imageResolution: size } = config;
    fail(`has images of ${channels}x${resolution}x${resolution}, expected ${imageChannels}x${size}x${size}`);
  }
  if (labels.labelDim > config.classes) fail(`has ${labels.labelDim} classes, expected ${config.classes}`);
}
