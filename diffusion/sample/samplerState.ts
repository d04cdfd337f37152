/** What a sampler keeps on the device, and the small programs that take it from one evaluation of the network to the next. */
import {
  add,
  broadcastTo,
  cast,
  type CompiledStep,
  compileStep,
  type Device,
  equal,
  EvenkeelError,
  iota,
  isFinite,
  less,
  multiply,
  not,
  and,
  reduceSum,
  reshape,
  scalar,
  type Shape,
  slice,
  type Tensor,
  tensor,
  where,
  zeros,
} from "../../engine/index.ts";
import type { Evaluation } from "../network/index.ts";
import { churnNoise, dropoutKeys, startNoise } from "./imageStreams.ts";
import { eulerMove, heunMove, pushedAway } from "./samplerStep.ts";
import type { StepLevels } from "./stepLevels.ts";

/** Images on their way from noise to data. */
export type SamplerState = {
  /** What the networks are asked next, and their last answer. */
  readonly evaluation: Evaluation;
  /** The images at the step's start, after churn [N, C, H, W]. */
  readonly hat: Tensor;
  /** The denoised images of the step's first evaluation. */
  readonly first: Tensor;
  /** The main network's answer, and that answer as guided so far; null where nothing guides. */
  readonly guidance: { readonly main: Tensor; readonly guided: Tensor } | null;
  /** Evaluations and steps that are over: i32 and u32 scalars. */
  readonly evaluations: Tensor;
  readonly steps: Tensor;
  /** The evaluation whose answer was the first that isn't finite; -1 if there is none: i32 scalar. */
  readonly bad: Tensor;
};

/** Where the noise of images comes from: the keys [N, 2] of their seeds, or the noise itself [N, C, H, W], standard normals mostly. */
export type NoiseSource = { readonly keys: Tensor } | { readonly normals: Tensor };

/** What some images begin with. */
export type SamplerInputs = { readonly source: NoiseSource; readonly labels: Tensor | null };

/** What came of an evaluation. */
export type EvaluationReport = {
  /** Where the network was evaluated first in this step, and its own answer now, and as guided. */
  readonly xHat: Tensor;
  readonly main: Tensor;
  readonly denoised: Tensor;
  /** The images after it: at the step's end, or where the network is evaluated next. */
  readonly x: Tensor;
  readonly bad: Tensor;
};

/** How an evaluation goes on. */
export type EvaluationStage = {
  /** The step's second evaluation, of Heun's rule. */
  readonly isSecond: boolean;
  /** The step's last one. */
  readonly isLast: boolean;
  readonly isGuided: boolean;
};

type Step<Args extends readonly unknown[], Result> = CompiledStep<SamplerState, Args, Result>;
type Stepped<Result> = { readonly state: SamplerState; readonly result: Result };

/** The images' noise, and their start. */
export type StartReport = { readonly noise: Tensor; readonly x: Tensor };

/** The programs of a sampler, but for the networks'. Dispose of it. */
export type SamplerPrograms = {
  /** Puts images at the start; gives their noise. */
  readonly start: Step<[SamplerInputs], StartReport>;
  /** Adds the noise of a churned step. Its labels aren't looked at. */
  readonly churn: Step<[SamplerInputs], null>;
  /** Keeps the main network's answer, before the first guide is asked. */
  readonly hold: Step<[], null>;
  /** Draws keys of what networks with dropout drop in this step. Its labels aren't looked at. */
  readonly dropout: Step<[SamplerInputs], null>;
  /** Pushes the answer away from that of a guide: its place among those of the step. */
  readonly push: Step<[guide: number], null>;
  /** Moves the images by the answer. */
  readonly move: Step<[EvaluationStage], EvaluationReport>;
  dispose(): void;
};

/** A state of images of this shape [N, C, H, W], before anything. */
export function emptyState(
  shape: Shape,
  labelDim: number,
  { isGuided, hasDropout }: { readonly isGuided: boolean; readonly hasDropout: boolean },
): SamplerState {
  const [count = 0] = shape;
  const images = zeros(shape);
  return {
    evaluation: {
      x: images,
      sigma: zeros([count]),
      labels: labelDim === 0 ? null : zeros([count, labelDim]),
      dropoutKeys: hasDropout ? zeros([count, 2], "u32") : null,
      answer: images,
    },
    hat: images,
    first: images,
    guidance: isGuided ? { main: images, guided: images } : null,
    evaluations: scalar(0, "i32"),
    steps: scalar(0, "u32"),
    bad: scalar(-1, "i32"),
  };
}

/** The rows of a table of numbers, as a tensor. */
function tableOf(rows: readonly (readonly number[])[]): Tensor {
  return tensor(Float32Array.from(rows.flat()), { shape: [rows.length, rows[0]?.length ?? 0] });
}

/** Row `index` of a table, as scalars: nothing is looked up, so that no index need be checked. */
function rowOf(table: Tensor, index: Tensor): Tensor[] {
  const [rows = 0, columns = 0] = table.shape;
  const isRow = cast(equal(iota([rows, 1], 0, index.dtype), index), "f32");
  const row = reduceSum(multiply(isRow, table), { axes: 0 });
  return Array.from({ length: columns }, (_, i) => reshape(slice(row, [[i, i + 1]]), []));
}

/**
 * Compiles the programs for these steps. Everything that differs from step to step lies in tables on the device, so that nothing is
 * uploaded on the way.
 *
 * The rules of a step are in `samplerStep.ts`, from the level after churn, tHat. Karras et al. 2022, Algorithms 1 and 2.
 * @param hasSecond whether a step has a second evaluation.
 * @param strengths w - 1 of each guide in a step; as many in all steps.
 * @param noiseDf degrees of freedom of the noise that the networks remove; 0: Gaussian noise.
 */
export function compileSampler(
  levels: readonly StepLevels[],
  hasSecond: (step: StepLevels) => boolean,
  strengths: (step: StepLevels) => readonly number[],
  shape: Shape,
  device: Device,
  noiseDf = 0,
): SamplerPrograms {
  const [count = 0, ...imageShape] = shape;
  const [start = 0] = levels.map(({ t }) => t);
  // One row an evaluation: the noise level of the next one, and two coefficients.
  const moves = tableOf(
    levels.flatMap((step) => {
      const { tHat, tNext } = step;
      const ratio = tNext / tHat;
      const euler = [tNext, ratio, 1 - ratio];
      if (!hasSecond(step)) return [euler];
      const half = (tNext - tHat) / 2;
      return [euler, [tNext, half / tHat, half / tNext]];
    }),
  );
  // One row a step: the noise level after churn, and how much noise is added.
  const churns = tableOf(levels.map(({ tHat, churn }) => [tHat, churn ?? 0]));
  const perImage = (sigma: Tensor): Tensor => broadcastTo(sigma, [count]);
  const on = { device };

  const programs = {
    start: compileStep((state: SamplerState, { source, labels }: SamplerInputs): Stepped<StartReport> => {
      const noise = "keys" in source ? startNoise(source.keys, imageShape, noiseDf) : source.normals;
      const x = multiply(noise, start);
      const fresh = emptyState(shape, 0, { isGuided: false, hasDropout: false });
      const evaluation = { ...state.evaluation, x, labels, sigma: perImage(scalar(start)) };
      const counters = { evaluations: fresh.evaluations, steps: fresh.steps, bad: fresh.bad };
      return { state: { ...state, ...counters, evaluation, hat: x }, result: { noise, x } };
    }, on),
    churn: compileStep((state: SamplerState, { source }: SamplerInputs): Stepped<null> => {
      const [tHat = scalar(0), scale = scalar(0)] = rowOf(churns, state.steps);
      const noise = "keys" in source ? churnNoise(source.keys, state.steps, imageShape) : source.normals;
      const hat = add(state.hat, multiply(scale, noise));
      const evaluation = { ...state.evaluation, x: hat, sigma: perImage(tHat) };
      return { state: { ...state, evaluation, hat }, result: null };
    }, on),
    hold: compileStep((state: SamplerState): Stepped<null> => {
      const { answer } = state.evaluation;
      return { state: { ...state, guidance: { main: answer, guided: answer } }, result: null };
    }, on),
    dropout: compileStep((state: SamplerState, { source }: SamplerInputs): Stepped<null> => {
      if (!("keys" in source)) {
        throw new EvenkeelError(
          "value",
          "sampling: a guide with dropout draws by the images' seeds, and these images are given as noise. Give their keys.",
        );
      }
      const evaluation = { ...state.evaluation, dropoutKeys: dropoutKeys(source.keys, state.steps) };
      return { state: { ...state, evaluation }, result: null };
    }, on),
    push: compileStep((state: SamplerState, guide: number): Stepped<null> => {
      const { main, guided } = guidanceOf(state);
      const strength = rowOf(tableOf(levels.map(strengths)), state.steps)[guide] ?? scalar(0);
      const pushed = pushedAway(guided, main, state.evaluation.answer, strength);
      return { state: { ...state, guidance: { main, guided: pushed } }, result: null };
    }, on),
    move: compileStep((state: SamplerState, stage: EvaluationStage): Stepped<EvaluationReport> => {
      const { isSecond, isLast, isGuided } = stage;
      const { evaluation, hat, first } = state;
      const [tNext = scalar(0), p = scalar(0), q = scalar(0)] = rowOf(moves, state.evaluations);
      const denoised = isGuided ? guidanceOf(state).guided : evaluation.answer;
      const x = isSecond
        ? heunMove({ x: hat, denoised: first }, { x: evaluation.x, denoised }, p, q)
        : eulerMove(hat, denoised, p, q);
      const failures = reduceSum(cast(not(isFinite(denoised)), "i32"));
      const bad = where(and(less(state.bad, 0), less(0, failures)), state.evaluations, state.bad);
      const next = {
        ...state,
        evaluation: { ...evaluation, x, sigma: perImage(tNext) },
        hat: isLast ? x : hat,
        first: isSecond ? first : denoised,
        evaluations: add(state.evaluations, 1),
        steps: isLast ? add(state.steps, 1) : state.steps,
        bad,
      };
      const main = isGuided ? guidanceOf(state).main : evaluation.answer;
      return { state: next, result: { xHat: hat, main, denoised, x, bad } };
    }, on),
  };
  return { ...programs, dispose: () => Object.values(programs).forEach((each) => each.dispose()) };
}

function guidanceOf({ guidance }: SamplerState): NonNullable<SamplerState["guidance"]> {
  if (guidance === null) throw new Error("a sampler without guides is guided");
  return guidance;
}
