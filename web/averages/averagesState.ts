/** What the view of averages shows, kept while other views are looked at. */
import { signal } from "@preact/signals";
import * as Comlink from "comlink";
import { saying } from "../state/lab.ts";
import { study } from "../state/workers.ts";
import type {
  AverageFacts,
  AverageRequest,
  DescribedAverage,
  DrawnAverage,
  LengthError,
} from "../worker/studyMessages.ts";

export const sigmaRel = signal(0.1);
/** Images seen at the average's time; null: the newest. */
export const time = signal<number | null>(null);

export const facts = signal<{ readonly run: string; readonly facts: AverageFacts } | null>(null);
export const described = signal<{ readonly run: string; readonly average: DescribedAverage } | null>(null);
export const drawn = signal<{ readonly run: string; readonly average: DrawnAverage } | null>(null);

/** Errors by length of a run's averages at a time; `done` of `total` while it is measured. */
export type Measured = {
  readonly run: string;
  readonly nimg: number | null;
  readonly errors: readonly LengthError[];
  readonly progress: { readonly done: number; readonly total: number } | null;
};
export const measured = signal<Measured | null>(null);

/** What is to be drawn when the average that is being drawn is done. */
let waiting: AverageRequest | null = null;
let isDrawing = false;

/** Draws an average; while one is being drawn, the one that was asked for last is next, so that something is seen while a slider moves. */
export function show(request: AverageRequest): void {
  waiting = request;
  void saying(describe(request));
  if (!isDrawing) void saying(drawWaiting());
}

async function drawWaiting(): Promise<void> {
  isDrawing = true;
  try {
    while (waiting !== null) {
      const request: AverageRequest = waiting;
      waiting = null;
      const average = await study().drawAverage(request);
      if (average !== null) drawn.value = { run: request.run, average };
    }
  } finally {
    isDrawing = false;
  }
}

/** Draws this one at once: whatever is being drawn is given up. */
export function settle(request: AverageRequest): void {
  waiting = null;
  void saying(
    study()
      .drawAverage(request)
      .then((average) => {
        if (average !== null) drawn.value = { run: request.run, average };
      }),
  );
}

let asked = 0;

async function describe(request: AverageRequest): Promise<void> {
  const number = ++asked;
  const average = await study().describeAverage(request);
  if (number === asked) described.value = { run: request.run, average };
}

export async function readFacts(run: string): Promise<AverageFacts | undefined> {
  const found = await saying(study().averageFacts(run));
  if (found !== undefined) facts.value = { run, facts: found };
  return found;
}

export async function measure(run: string, nimg: number | null): Promise<void> {
  measured.value = { run, nimg, errors: [], progress: { done: 0, total: 1 } };
  const errors = await saying(
    study().measureAverages(
      run,
      nimg,
      Comlink.proxy((done, total, error) => {
        const { value } = measured;
        if (value === null || value.run !== run || value.nimg !== nimg || value.progress === null) return;
        const known = error === null ? value.errors : [...value.errors, error];
        measured.value = { ...value, errors: known, progress: { done, total } };
      }),
    ),
  );
  const value = measured.peek();
  // What was measured before it was cancelled is still true.
  if (value?.run === run && value.nimg === nimg)
    measured.value = { ...value, errors: errors ?? value.errors, progress: null };
}

export async function cancelMeasuring(): Promise<void> {
  await study().cancelMeasuring();
}
