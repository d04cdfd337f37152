/** Steps that were begun and whose reports are still on the device. */
import { type PendingResult, readResults, type Tensor } from "../../engine/index.ts";
import type { PartReport } from "./accumulate.ts";
import type { StepReport, TrainingBatch } from "./step.ts";

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

/** What is reported of a whole batch. */
export type EndReport = Pick<StepReport, "gradientNorm" | "nonFiniteGradients">;

/** A report on the device: of each part of the batch, and of the end of the step. They may be the same result. */
export type PendingReport = {
  readonly parts: readonly PendingResult<PartReport>[];
  readonly end: PendingResult<EndReport>;
};

/** A report on the host. */
export type HostReport = {
  readonly loss: Float32Array;
  readonly error: Float32Array;
  readonly sigma: Float32Array;
  readonly gradientNorm: number;
  readonly nonFiniteGradients: number;
};

/** A step that was begun: what it did is known once its report is read. */
export interface BegunStep {
  /** Images seen before the step. */
  readonly before: number;
  /**
   * What the step did. Waits for the device, once for all steps of the trainer that were begun and not reported yet, and remembers it.
   * @throws EvenkeelError `diverged` if the loss isn't finite, with the image, its noise level and the layer where it began, or if this step
   * came after such a one and so did nothing: the state is the one before that step, and its images are next again; `disposed`.
   */
  report(): Promise<StepStatistics>;
}

type Outcome = { readonly statistics: StepStatistics } | { readonly failure: unknown };

/** What a trainer keeps of a step that was begun. */
export class UnreadStep implements BegunStep {
  readonly before: number;
  readonly learningRate: number;
  /** The batch as it went through the network, should the cause of a failure be looked for. */
  readonly parts: readonly TrainingBatch[];
  readonly pending: PendingReport;
  readonly #read: () => Promise<void>;
  readonly #told: (failure: unknown) => void;
  #outcome: Outcome | undefined;

  /** @param read has the trainer read all reports. @param told is told of a failure that somebody has heard of. */
  constructor(
    step: Pick<UnreadStep, "before" | "learningRate" | "parts" | "pending">,
    read: () => Promise<void>,
    told: (failure: unknown) => void,
  ) {
    this.before = step.before;
    this.learningRate = step.learningRate;
    this.parts = step.parts;
    this.pending = step.pending;
    this.#read = read;
    this.#told = told;
  }

  async report(): Promise<StepStatistics> {
    if (this.#outcome === undefined) await this.#read();
    return this.outcome();
  }

  /** What was read. */
  outcome(): StepStatistics {
    const outcome = this.#outcome;
    if (outcome === undefined) throw new Error("the report was not read");
    if ("statistics" in outcome) return outcome.statistics;
    this.#told(outcome.failure);
    throw outcome.failure;
  }

  settle(outcome: Outcome): void {
    this.#outcome = outcome;
  }

  dispose(): void {
    for (const each of [...this.pending.parts, this.pending.end]) each.dispose();
  }
}

/** The reports of steps, in one readback. */
export async function readReports(
  steps: readonly UnreadStep[],
): Promise<{ readonly step: UnreadStep; readonly report: HostReport }[]> {
  await readResults(steps.flatMap(({ pending: { parts, end } }): readonly PendingResult<unknown>[] => [...parts, end]));
  const reports: { step: UnreadStep; report: HostReport }[] = [];
  for (const step of steps) {
    const { parts, end } = step.pending;
    const read: PartReport[] = [];
    for (const part of parts) read.push(await part.read());
    const { gradientNorm, nonFiniteGradients } = await end.read();
    const report: HostReport = {
      loss: await joined(read.map(({ loss }) => loss)),
      error: await joined(read.map(({ error }) => error)),
      sigma: await joined(read.map(({ sigma }) => sigma)),
      gradientNorm: await gradientNorm.item(),
      nonFiniteGradients: await nonFiniteGradients.item(),
    };
    reports.push({ step, report });
  }
  return reports;
}

/** What a report says of a step. */
export function statisticsOf(step: UnreadStep, batch: number, report: HostReport): StepStatistics {
  const average = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    nimg: step.before + batch,
    loss: average(report.loss),
    error: average(report.error),
    learningRate: step.learningRate,
    gradientNorm: report.gradientNorm,
    nonFiniteGradients: report.nonFiniteGradients,
    losses: report.loss,
    errors: report.error,
    sigmas: report.sigma,
  };
}

async function joined(tensors: readonly Tensor[]): Promise<Float32Array> {
  const values: number[] = [];
  for (const each of tensors) values.push(...(await each.data()));
  return Float32Array.from(values);
}
