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
  flattenParameters,
  isRefreshDue,
  learningRate,
  type NamedParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import type { HostBatch } from "../data/index.ts";
import { describeDenoiser } from "../network/index.ts";
import type { AccumulatingState, PartReport } from "./accumulate.ts";
import {
  type BegunStep,
  type EndReport,
  type HostReport,
  type PendingReport,
  readReports,
  statisticsOf,
  type StepStatistics,
  UnreadStep,
} from "./begunStep.ts";
import { findNonFinite } from "./diagnose.ts";
import { checkTrainingOptions, type TrainingOptions } from "./options.ts";
import { stepSchedule } from "./schedule.ts";
import { drawDropout, type StepReport, type StepSchedule, type TrainingBatch } from "./step.ts";
import { firstState, refreshFunction, stepFunctions } from "./stepFunctions.ts";

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
  | { readonly kind: "whole"; readonly step: Program<[TrainingBatch, StepSchedule, Tensor], StepReport> }
  | {
      readonly kind: "parts";
      readonly accumulate: Program<[TrainingBatch, Tensor], PartReport>;
      readonly apply: Program<[StepSchedule, Tensor], EndReport>;
    };

/** Parts of batches whose reports wait on the device at most. */
const mostUnreadParts = 64;

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
  /** What the optimizer does after some steps. */
  readonly #refresh: Program<[], Record<string, never>> | null;
  readonly #key: Tensor;
  readonly #signal: AbortSignal | undefined;
  #nimg = 0;
  /** Steps that were begun and whose reports weren't read, in order. */
  readonly #unread: UnreadStep[] = [];
  /** A failure that a report told of which nobody has asked for. */
  #untold: { readonly failure: unknown } | null = null;
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
    const refresh = refreshFunction(options);
    this.#refresh = refresh === null ? null : compileStep(refresh, this.#compileOptions());
  }

  /**
   * A trainer with freshly drawn weights, or these.
   * @param signal abandons steps when it aborts: one that is under way ends with an error `aborted`, and the state is that before it,
   * or it is finished if it has begun to update the state.
   * @param start every array of the network, with which it begins and so do its averages, as `tensorsOfWeights` gives them. Default: drawn.
   * @throws EvenkeelError `value` for options that don't fit.
   */
  static async create(
    options: TrainingOptions,
    device: Device,
    signal?: AbortSignal,
    start?: NamedParameters,
  ): Promise<Trainer> {
    checkTrainingOptions(options);
    const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
    return new Trainer(options, device, await createState(firstState(options, specs, start), device), signal);
  }

  /** Images seen in all steps that were begun, as far as is known: those after a loss that isn't finite turn out to be none. */
  get nimg(): number {
    return this.#nimg;
  }

  #compileOptions(): { readonly device: Device; readonly signal?: AbortSignal } {
    return { device: this.device, ...(this.#signal === undefined ? {} : { signal: this.#signal }) };
  }

  #compile(): Programs {
    const on = this.#compileOptions();
    const functions = stepFunctions(this.options, this.specs);
    if (functions.kind === "whole") return { kind: "whole", step: compileStep(functions.step, on) };
    return {
      kind: "parts",
      accumulate: compileStep(functions.accumulate, on),
      apply: compileStep(functions.apply, on),
    };
  }

  /**
   * One step on the batch of images number `nimg` to `nimg + batch - 1`, and what it did. One that is asked for before the last is over
   * follows it.
   * @param onPart told after each part of a batch that is cut: images of the batch that are through the network.
   * @throws EvenkeelError `diverged` if the loss isn't finite, with the image, its noise level and the layer where it began; the weights
   * stay as they were before the step; `aborted` if the trainer's signal ended it.
   */
  async step(batch: HostBatch, probe?: StepProbe, onPart?: (images: number) => void): Promise<StepStatistics> {
    const taken = { ...batch };
    return this.#inTurn(async () => {
      const step = await this.#begin(taken, probe, onPart);
      await this.#readReports();
      return step.outcome();
    });
  }

  /**
   * Begins a step as `step` makes it and leaves what it reports on the device, to be read later with the reports of other steps: a device
   * that computes by itself is not waited for. The steps' results are those of steps that are waited for, bit for bit; after one whose
   * loss isn't finite the others do nothing. Nobody need read reports: from time to time the trainer does.
   * @throws EvenkeelError as `step`, but for what its report tells; what a report nobody has asked for told of a step before.
   */
  async begin(batch: HostBatch, probe?: StepProbe, onPart?: (images: number) => void): Promise<BegunStep> {
    const taken = { ...batch };
    return this.#inTurn(() => this.#begin(taken, probe, onPart));
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #begin(
    batch: HostBatch,
    probe: StepProbe | undefined,
    onPart: ((images: number) => void) | undefined,
  ): Promise<UnreadStep> {
    const { options } = this;
    const parts = this.#parts(batch);
    // A probe sees a state of which everything is known.
    if (probe !== undefined || this.#unread.length * parts.length >= mostUnreadParts) await this.#readReports();
    const untold = this.#untold;
    this.#untold = null;
    if (untold !== null) throw untold.failure;
    const before = this.#nimg;
    const nimg = before + options.batch;
    const rate = learningRate(before, options.batch, options.learningRate);
    const schedule = stepSchedule(options, before);
    const isFresh = scalar(this.#unread.length === 0 ? 1 : 0, "bool");
    const pending =
      this.#programs.kind === "whole"
        ? await this.#beginWhole(this.#programs, parts, schedule, isFresh, probe)
        : await this.#beginParts(this.#programs, parts, schedule, isFresh, probe, onPart);
    if (isRefreshDue(options.optimizer ?? {}, nimg / options.batch)) {
      const refreshed = await this.#refresh?.begin(this.#state);
      refreshed?.dispose();
    }
    const step = new UnreadStep(
      { before, learningRate: rate, parts, pending },
      () => this.#inTurn(() => this.#readReports()),
      (told) => {
        if (this.#untold?.failure === told) this.#untold = null;
      },
    );
    this.#unread.push(step);
    this.#nimg = nimg;
    return step;
  }

  async #beginWhole(
    programs: Extract<Programs, { kind: "whole" }>,
    parts: readonly TrainingBatch[],
    schedule: StepSchedule,
    isFresh: Tensor,
    probe: StepProbe | undefined,
  ): Promise<PendingReport> {
    const [whole] = parts;
    if (whole === undefined) throw new RangeError("a batch has a part");
    await probe?.observe(this.#state, whole, schedule);
    const report = await programs.step.begin(this.#state, whole, schedule, isFresh);
    return { parts: [report], end: report };
  }

  async #beginParts(
    programs: Extract<Programs, { kind: "parts" }>,
    parts: readonly TrainingBatch[],
    schedule: StepSchedule,
    isFresh: Tensor,
    probe: StepProbe | undefined,
    onPart: ((images: number) => void) | undefined,
  ): Promise<PendingReport> {
    const reports: PendingReport["parts"][number][] = [];
    try {
      for (const [i, part] of parts.entries()) {
        reports.push(await programs.accumulate.begin(this.#state, part, scalar(i === 0 ? 1 : 0, "bool")));
        onPart?.((i + 1) * this.options.batchDevice);
      }
      const last = parts.at(-1);
      if (last !== undefined) await probe?.observe(this.#state, last, schedule);
      return { parts: reports, end: await programs.apply.begin(this.#state, schedule, isFresh) };
    } catch (reason) {
      for (const report of reports) report.dispose();
      throw reason;
    }
  }

  /** Reads all reports that nobody has read. If one tells of a loss that isn't finite, the steps after it were none. */
  async #readReports(): Promise<void> {
    const reports = await readReports(this.#unread);
    this.#unread.length = 0;
    let failure: unknown;
    for (const { step, report } of reports) {
      const bad = report.loss.findIndex((loss) => !Number.isFinite(loss));
      if (failure !== undefined) step.settle({ failure });
      else if (bad < 0) step.settle({ statistics: statisticsOf(step, this.options.batch, report) });
      else {
        this.#nimg = step.before;
        failure = await this.#explain(step, report, bad).catch((reason: unknown) => reason);
        this.#untold = { failure };
        step.settle({ failure });
      }
    }
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

  /** What to say of a step that left the state as it was, as the loss of image `bad` isn't finite. */
  async #explain({ before, parts }: UnreadStep, report: HostReport, bad: number): Promise<EvenkeelError> {
    const { batch, batchDevice, network } = this.options;
    const part = parts[Math.floor(bad / batchDevice)];
    if (part === undefined) throw new RangeError(`image ${bad} is in none of ${parts.length} parts`);
    const { weights, buffers, noise } = await this.#state.read(({ training }) => {
      const { noise: estimate } = training;
      const told = estimate === undefined ? {} : { noise: estimate };
      return { weights: training.weights, buffers: training.buffers, ...told };
    });
    const key = this.#key;
    const run = network.unet.dropout > 0 ? drawDropout(key, part.positions) : {};
    const found = await findNonFinite(this.options, this.specs, this.device, weights, buffers, key, part, run, noise);
    const where =
      found === null
        ? "no layer shows it when run again"
        : `it began at ${found.layer}, where ${found.count} of ${found.size} values are not finite`;
    return new EvenkeelError(
      "diverged",
      `training: the loss is ${report.loss[bad] ?? NaN} in step ${before / batch} (images ${before} to ` +
        `${before + batch - 1}), image ${before + bad} at sigma ${report.sigma[bad] ?? NaN}: ${where}. ` +
        "The weights are those before this step. Lower the learning rate, or look at the data.",
    );
  }

  /** Everything that training goes on from, by name: `weights.unet...`, `moments.first.unet...`, `averages[0].unet...`. */
  async readState(): Promise<Map<string, Tensor>> {
    await this.#settle();
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
    const passing = mapTree({ ...this.#state.template, training: null }, zerosLike);
    return this.#inTurn(async () => {
      await this.#readReports();
      await this.#state.write({ ...passing, training });
      this.#nimg = nimg;
    });
  }

  /** The averages of one profile, or the raw weights, with the buffers: a network's arrays in the order of its specification. */
  async readNetwork(profile: number | "raw"): Promise<Map<string, Tensor>> {
    await this.#settle();
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

  /** Reads reports, so that what is known of the state is true of it, and `nimg` counts its images. */
  async #settle(): Promise<void> {
    if (this.#unread.length > 0) await this.#inTurn(() => this.#readReports());
  }

  /** Frees the device's memory. Idempotent. */
  dispose(): void {
    for (const step of this.#unread) step.dispose();
    if (this.#programs.kind === "whole") this.#programs.step.dispose();
    else {
      this.#programs.accumulate.dispose();
      this.#programs.apply.dispose();
    }
    this.#refresh?.dispose();
    this.#state.dispose();
  }
}
