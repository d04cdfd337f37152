import {
  compileStep,
  type CompiledStep,
  createState,
  type Device,
  EvenkeelError,
  mapTree,
  randomKey,
  scalar,
  type State,
  type Tensor,
  tensor,
  treeLeaves,
  zerosLike,
} from "../../engine/index.ts";
import {
  adamCorrections,
  flattenParameters,
  initializeParameters,
  learningRate,
  type NamedParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import { powerFunctionUpdateRates } from "../ema/index.ts";
import { describeDenoiser } from "../network/index.ts";
import type { AccumulatingState, PartReport } from "./accumulate.ts";
import { findNonFinite } from "./diagnose.ts";
import { checkTrainingOptions, type TrainingOptions } from "./options.ts";
import { drawDropout, type StepReport, type StepSchedule, type TrainingBatch } from "./step.ts";
import { startingState, stepFunctions } from "./stepFunctions.ts";

/** A batch on the host: images [N, C, H, W] in -1..1 and label vectors [N, labelDim]. */
export type HostBatch = { readonly images: Float32Array; readonly labels: Float32Array | null };

/** What a step did. Means over the batch; errors are weighted by lambda(sigma), so that 1 is an untrained network. */
export type StepStatistics = {
  /** Images seen after the step. */
  readonly nimg: number;
  readonly loss: number;
  readonly error: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly nonFiniteGradients: number;
  /** For each image. */
  readonly losses: Float32Array;
  readonly errors: Float32Array;
  readonly sigmas: Float32Array;
};

/**
 * Sees a step from inside, when the gradient can be known and nothing has been updated yet: the state as it is on the device, the
 * batch (its last part, if it is cut), and the step's scalars. It must leave the state alone.
 */
export type StepProbe = {
  readonly observe: (state: State<AccumulatingState>, batch: TrainingBatch, schedule: StepSchedule) => Promise<void>;
};

type Program<Rest extends readonly unknown[], Report> = CompiledStep<AccumulatingState, Rest, Report>;

/** How the steps are run: whole batches in one program, or parts whose gradients are added. */
type Programs =
  | { readonly kind: "whole"; readonly step: Program<[TrainingBatch, StepSchedule], StepReport> }
  | {
      readonly kind: "parts";
      readonly accumulate: Program<[TrainingBatch, Tensor], PartReport>;
      readonly apply: Program<[StepSchedule], Pick<StepReport, "gradientNorm" | "nonFiniteGradients">>;
    };

/**
 * Trains a denoiser step by step. Owns its state on the device: dispose of it. The same options, device and number of threads give
 * the same bits, and a trainer restored from a saved state goes on with the bits of the one it was saved from.
 */
export class Trainer {
  /** What is trained, and how. */
  readonly options: TrainingOptions;
  /** Where it is trained. */
  readonly device: Device;
  /** Every array of the network, by name. */
  readonly specs: NamedParameters<ParameterSpec>;
  readonly #state: State<AccumulatingState>;
  readonly #programs: Programs;
  readonly #key: Tensor;
  readonly #signal: AbortSignal | undefined;
  #nimg = 0;
  /** The last step or write that was asked for. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    options: TrainingOptions,
    device: Device,
    state: State<AccumulatingState>,
    signal: AbortSignal | undefined,
  ) {
    this.#signal = signal;
    this.options = options;
    this.device = device;
    this.specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
    this.#state = state;
    this.#key = randomKey(options.seed);
    this.#programs = this.#compile();
  }

  /**
   * A trainer with freshly drawn weights.
   * @param signal abandons steps when it aborts: one that is under way ends with an error `aborted`, and the state is that before it,
   * or it is finished if it has begun to update the state.
   * @throws EvenkeelError `value` for options that don't fit.
   */
  static async create(options: TrainingOptions, device: Device, signal?: AbortSignal): Promise<Trainer> {
    checkTrainingOptions(options);
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
    const drawn = Object.entries(initializeParameters(specs, randomKey(options.seed)));
    const of = (isBuffer: boolean): NamedParameters =>
      Object.fromEntries(drawn.filter(([name]) => (specs[name]?.role === "buffer") === isBuffer));
    const state = startingState(options, of(false), of(true));
    return new Trainer(options, device, await createState(state, device), signal);
  }

  /** Images seen. */
  get nimg(): number {
    return this.#nimg;
  }

  #compile(): Programs {
    const on = { device: this.device, ...(this.#signal === undefined ? {} : { signal: this.#signal }) };
    const functions = stepFunctions(this.options, this.specs);
    if (functions.kind === "whole") return { kind: "whole", step: compileStep(functions.step, on) };
    return {
      kind: "parts",
      accumulate: compileStep(functions.accumulate, on),
      apply: compileStep(functions.apply, on),
    };
  }

  /**
   * One step on the batch of images number `nimg` to `nimg + batch - 1`. One that is asked for before the last is over follows it.
   * @param onPart told after each part of a batch that is cut: images of the batch that are through the network.
   * @throws EvenkeelError `value` if the loss isn't finite, with the image, its noise level and the layer where it began; the weights
   * stay as they were before the step; `aborted` if the trainer's signal ended it.
   */
  async step(batch: HostBatch, probe?: StepProbe, onPart?: (images: number) => void): Promise<StepStatistics> {
    const taken = { ...batch };
    return this.#inTurn(() => this.#step(taken, probe, onPart));
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #step(
    batch: HostBatch,
    probe: StepProbe | undefined,
    onPart: ((images: number) => void) | undefined,
  ): Promise<StepStatistics> {
    const { options } = this;
    const nimg = this.#nimg + options.batch;
    const rate = learningRate(this.#nimg, options.batch, options.learningRate);
    const schedule = this.#schedule(rate, nimg);
    const parts = this.#parts(batch);
    const report =
      this.#programs.kind === "whole"
        ? await this.#stepWhole(this.#programs, parts, schedule, probe)
        : await this.#stepParts(this.#programs, parts, schedule, probe, onPart);
    this.#nimg = nimg;
    const average = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    return {
      nimg,
      loss: average(report.loss),
      error: average(report.error),
      learningRate: rate,
      gradientNorm: report.gradientNorm,
      nonFiniteGradients: report.nonFiniteGradients,
      losses: report.loss,
      errors: report.error,
      sigmas: report.sigma,
    };
  }

  async #stepWhole(
    programs: Extract<Programs, { kind: "whole" }>,
    parts: readonly TrainingBatch[],
    schedule: StepSchedule,
    probe: StepProbe | undefined,
  ): Promise<HostReport> {
    const [whole] = parts;
    if (whole === undefined) throw new RangeError("a batch has a part");
    await probe?.observe(this.#state, whole, schedule);
    const report = await programs.step(this.#state, whole, schedule);
    const host = await hostReport([report]);
    await this.#requireFinite(host, parts);
    return {
      ...host,
      gradientNorm: await report.gradientNorm.item(),
      nonFiniteGradients: await report.nonFiniteGradients.item(),
    };
  }

  async #stepParts(
    programs: Extract<Programs, { kind: "parts" }>,
    parts: readonly TrainingBatch[],
    schedule: StepSchedule,
    probe: StepProbe | undefined,
    onPart: ((images: number) => void) | undefined,
  ): Promise<HostReport> {
    const reports: PartReport[] = [];
    for (const [i, part] of parts.entries()) {
      reports.push(await programs.accumulate(this.#state, part, tensor([i === 0], { shape: [] })));
      onPart?.((i + 1) * this.options.batchDevice);
    }
    const host = await hostReport(reports);
    await this.#requireFinite(host, parts);
    const last = parts.at(-1);
    if (last !== undefined) await probe?.observe(this.#state, last, schedule);
    const { gradientNorm, nonFiniteGradients } = await programs.apply(this.#state, schedule);
    return {
      ...host,
      gradientNorm: await gradientNorm.item(),
      nonFiniteGradients: await nonFiniteGradients.item(),
    };
  }

  #schedule(rate: number, nimg: number): StepSchedule {
    const { batch, adam, emaSigmaRels } = this.options;
    const corrections = adamCorrections(nimg / batch, adam);
    return {
      rate: scalar(rate),
      corrections: { first: scalar(corrections.first), second: scalar(corrections.second) },
      updateRates: powerFunctionUpdateRates(emaSigmaRels, nimg, batch),
    };
  }

  /** The batch cut into what goes through the network at once. */
  #parts(batch: HostBatch): TrainingBatch[] {
    const { batch: size, batchDevice, network } = this.options;
    const { imageChannels, imageResolution, labelDim } = network.unet;
    const pixels = imageChannels * imageResolution ** 2;
    const check = (what: string, array: Float32Array | null, each: number): void => {
      const length = array?.length ?? 0;
      if (length !== size * each) {
        throw new EvenkeelError("shape", `Trainer.step: ${what} have ${length} numbers, expected ${size} x ${each}.`);
      }
    };
    check("images", batch.images, pixels);
    check("labels", batch.labels, labelDim);
    return Array.from({ length: size / batchDevice }, (_, i) => {
      const [from, to] = [i * batchDevice, (i + 1) * batchDevice];
      return {
        images: tensor(batch.images.subarray(from * pixels, to * pixels), {
          shape: [batchDevice, imageChannels, imageResolution, imageResolution],
        }),
        labels:
          batch.labels === null || labelDim === 0
            ? null
            : tensor(batch.labels.subarray(from * labelDim, to * labelDim), { shape: [batchDevice, labelDim] }),
        positions: tensor(Uint32Array.from({ length: batchDevice }, (_, k) => this.#nimg + from + k)),
      };
    });
  }

  async #requireFinite(report: Pick<HostReport, "loss" | "sigma">, parts: readonly TrainingBatch[]): Promise<void> {
    const bad = report.loss.findIndex((loss) => !Number.isFinite(loss));
    const part = parts[Math.floor(bad / this.options.batchDevice)];
    if (part === undefined) return;
    const { weights, buffers } = await this.#state.read(({ training }) => {
      return { weights: training.weights, buffers: training.buffers };
    });
    const key = this.#key;
    const run = this.options.network.unet.dropout > 0 ? drawDropout(key, part.positions) : {};
    const found = await findNonFinite(this.options, this.specs, this.device, weights, buffers, key, part, run);
    const where =
      found === null
        ? "no layer shows it when run again"
        : `it began at ${found.layer}, where ${found.count} of ${found.size} values are not finite`;
    throw new EvenkeelError(
      "value",
      `training: the loss is ${report.loss[bad] ?? NaN} in step ${this.#nimg / this.options.batch} (images ${this.#nimg} to ` +
        `${this.#nimg + this.options.batch - 1}), image ${this.#nimg + bad} at sigma ${report.sigma[bad] ?? NaN}: ${where}. ` +
        "The weights are those before this step. Lower the learning rate, or look at the data.",
    );
  }

  /** Everything that training goes on from, by name: `weights.unet...`, `moments.first.unet...`, `averages[0].unet...`. */
  async readState(): Promise<Map<string, Tensor>> {
    const training = await this.#state.read((state) => state.training);
    return new Map(treeLeaves(training).map(({ path, tensor }) => [path, tensor]));
  }

  /**
   * Goes on from a state that `readState` gave after `nimg` images.
   * @throws EvenkeelError `shape` if an array is missing or of another shape, `value` if nimg is no multiple of the batch.
   */
  async writeState(nimg: number, arrays: ReadonlyMap<string, Tensor>): Promise<void> {
    if (!Number.isSafeInteger(nimg) || nimg < 0 || nimg % this.options.batch !== 0) {
      throw new EvenkeelError(
        "value",
        `Trainer.writeState: ${nimg} images are no multiple of the batch ${this.options.batch}.`,
      );
    }
    const training = mapTree(this.#state.template.training, (template, path) => {
      const given = arrays.get(path);
      if (given === undefined || given.shape.join() !== template.shape.join()) {
        const got = given === undefined ? "missing" : `[${given.shape.join(", ")}]`;
        throw new EvenkeelError(
          "shape",
          `Trainer.writeState: ${path} is ${got}, expected [${template.shape.join(", ")}].`,
        );
      }
      return given;
    });
    const gradient = mapTree(this.#state.template.gradient, zerosLike);
    return this.#inTurn(async () => {
      await this.#state.write({ training, gradient });
      this.#nimg = nimg;
    });
  }

  /** The averages of one profile, or the raw weights, with the buffers: a network's arrays in the order of its specification. */
  async readNetwork(profile: number | "raw"): Promise<Map<string, Tensor>> {
    const all = await this.#state.read(({ training: { weights, averages, buffers } }) => {
      const chosen = profile === "raw" ? weights : averages[profile];
      if (chosen !== undefined) return { ...chosen, ...buffers };
      throw new EvenkeelError(
        "range",
        `Trainer.readNetwork: there is no profile ${profile}; it has ${averages.length}.`,
      );
    });
    return new Map(Object.keys(this.specs).map((name) => [name, all[name] as Tensor]));
  }

  /** Frees the device's memory. Idempotent. */
  dispose(): void {
    if (this.#programs.kind === "whole") this.#programs.step.dispose();
    else {
      this.#programs.accumulate.dispose();
      this.#programs.apply.dispose();
    }
    this.#state.dispose();
  }
}

type HostReport = {
  readonly loss: Float32Array;
  readonly error: Float32Array;
  readonly sigma: Float32Array;
  readonly gradientNorm: number;
  readonly nonFiniteGradients: number;
};

/** The parts' reports, joined. */
async function hostReport(parts: readonly PartReport[]): Promise<Pick<HostReport, "loss" | "error" | "sigma">> {
  const join = async (tensors: readonly Tensor[]): Promise<Float32Array> => {
    const values: number[] = [];
    for (const each of tensors) values.push(...(await each.data()));
    return Float32Array.from(values);
  };
  return {
    loss: await join(parts.map(({ loss }) => loss)),
    error: await join(parts.map(({ error }) => error)),
    sigma: await join(parts.map(({ sigma }) => sigma)),
  };
}
