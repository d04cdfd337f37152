import * as z from "zod";
import type { Device } from "../../engine/index.ts";
import type { StoredFile } from "../../engine/io/index.ts";
import type { StepProbe, StepStatistics, TrainingOptions } from "../training/index.ts";
import { type DynamicsHeader, type DynamicsSample, dynamicsVersion, storedSample } from "./format.ts";
import { informationRate } from "./informationRate.ts";
import { DynamicsProbe } from "./probe.ts";
import { SigmaBins, sigmaEdges } from "./sigmaBins.ts";
import { DynamicsLog } from "./dynamicsFile.ts";

/** What is recorded, and where it goes. */
export type RecorderOptions = {
  /** Where samples go. */
  readonly file: StoredFile;
  readonly training: TrainingOptions;
  readonly device: Device;
  /** Steps from one sample to the next; the first step is sampled too. */
  readonly every: number;
  /** Images seen so far, and what the checkpoint kept of the recorder. */
  readonly nimg: number;
  readonly progress?: unknown;
  /** Told of every sample when it was written, as the file has it, with the file's header. */
  readonly tell?: ((sample: DynamicsSample, header: DynamicsHeader) => void) | undefined;
};

const progressSchema = z.object({
  bins: z.object({
    count: z.array(z.number()),
    loss: z.array(z.number()),
    error: z.array(z.number()),
    rate: z.array(z.number()).optional(),
  }),
  nonFiniteGradients: z.number(),
});

/** What a checkpoint keeps of a recorder, so that a resumed run writes the lines it would have. */
export type RecorderProgress = z.infer<typeof progressSchema>;

/** Records the dynamics of a run: gathers every step's losses, reads some steps from inside, and writes a line for each of those. */
export class DynamicsRecorder {
  readonly #options: RecorderOptions;
  readonly #probe: DynamicsProbe;
  readonly #edges: readonly number[];
  readonly #bins: SigmaBins;
  #nonFiniteGradients: number;
  #log: DynamicsLog | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#probe = new DynamicsProbe(options.training, options.device);
    this.#edges = sigmaEdges(options.training.noise);
    const kept = progressSchema.safeParse(options.progress);
    this.#bins = new SigmaBins(this.#edges, kept.success ? kept.data.bins : undefined);
    this.#nonFiniteGradients = kept.success ? kept.data.nonFiniteGradients : 0;
  }

  /** What a checkpoint keeps of it. */
  get progress(): RecorderProgress {
    return { bins: this.#bins.sums, nonFiniteGradients: this.#nonFiniteGradients };
  }

  /** What to give the trainer's next step, which begins at `nimg`. */
  probe(nimg: number): StepProbe | undefined {
    return this.#isDue(nimg + this.#options.training.batch) ? this.#probe : undefined;
  }

  /** Tells of a step that was made with what `probe` gave. */
  async stepped(step: StepStatistics): Promise<void> {
    const { network } = this.#options.training;
    const rates = step.errors.map((error, i) => informationRate(network, step.sigmas[i] ?? NaN, error));
    this.#bins.add(step.sigmas, step.losses, step.errors, rates);
    this.#nonFiniteGradients += step.nonFiniteGradients;
    const { readings } = this.#probe;
    if (!this.#isDue(step.nimg) || readings === null) return;
    const { file, training, every, nimg, tell } = this.#options;
    const header: DynamicsHeader = {
      format: "evenkeel-dynamics",
      version: dynamicsVersion,
      every,
      training,
      names: readings.names,
      sigmaEdges: this.#edges,
    };
    // Not before: which layers there are is known once the network has run.
    this.#log ??= await DynamicsLog.open(file, header, nimg);
    const sample = storedSample({
      nimg: step.nimg,
      learningRate: step.learningRate,
      gradientNorm: step.gradientNorm,
      nonFiniteGradients: this.#nonFiniteGradients,
      readings: readings.values,
      bins: this.#bins.take(),
    });
    await this.#log.append(sample);
    this.#nonFiniteGradients = 0;
    tell?.(sample, header);
  }

  /** Is the step that ends at `nimg` sampled? */
  #isDue(nimg: number): boolean {
    const step = nimg / this.#options.training.batch;
    return step === 1 || step % this.#options.every === 0;
  }

  /** Frees what it has on the device. */
  dispose(): void {
    this.#probe.dispose();
  }
}
