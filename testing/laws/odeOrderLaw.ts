/** The law of solvers: the error falls with the power of the step that they promise. */
import fc from "fast-check";
import { assertCases } from "./lawOptions.ts";

/** The slope of a solution at a time and place. */
export type Slope = (time: number, place: Float64Array) => Float64Array;

/**
 * Goes from a place at `from` to the time `to`, which may be earlier, in equal steps.
 * @returns the place there
 */
export type OdeSolver = (
  slope: Slope,
  start: Float64Array,
  from: number,
  to: number,
  steps: number,
) => Float64Array | Promise<Float64Array>;

/** An equation whose solution is known. */
export type OdeProblem = {
  /** For messages, e.g. `y' = 0.7 y`. */
  readonly name: string;
  readonly slope: Slope;
  readonly solution: (time: number) => Float64Array;
  readonly from: number;
  readonly to: number;
};

/** What a solver promises, and how that is measured. */
export type OdeOrderOptions = {
  /** The power of the step with which the error at the end falls. */
  readonly order: number;
  /** Of the coarsest run. Default 16; it is doubled three times. */
  readonly steps?: number;
  /** Random problems. Default 20. */
  readonly runs?: number;
  /** The same seed draws the same problems. Default 1. */
  readonly seed?: number;
  /** Problems of one's own; default {@link odeProblems}. */
  readonly problems?: fc.Arbitrary<OdeProblem>;
};

const rate = fc.integer({ min: 5, max: 15 }).map((n) => n / 10);
const sign = fc.constantFrom(1, -1);
const of = (...values: readonly number[]): Float64Array => Float64Array.from(values);

/** Growth and decay, a driven one, one that saturates, a pole that is kept away from, a rotation; forwards and backwards in time. */
export const odeProblems: fc.Arbitrary<OdeProblem> = fc
  .tuple(rate, sign, fc.nat(4), fc.boolean())
  .map(([size, direction, kind, isBackwards]): OdeProblem => {
    const a = size * direction;
    const range = isBackwards ? { from: 1, to: 0 } : { from: 0, to: 1 };
    const first = (y: Float64Array): number => y[0] ?? NaN;
    switch (kind) {
      case 0:
        return {
          name: `y' = ${a} y`,
          slope: (_, y) => of(a * first(y)),
          solution: (t) => of(Math.exp(a * t)),
          ...range,
        };
      case 1:
        return {
          name: `y' = ${a} cos(${a} t) y`,
          slope: (t, y) => of(a * Math.cos(a * t) * first(y)),
          solution: (t) => of(Math.exp(Math.sin(a * t))),
          ...range,
        };
      case 2:
        return {
          name: `y' = ${a} y (1 - y)`,
          slope: (_, y) => of(a * first(y) * (1 - first(y))),
          solution: (t) => of(1 / (1 + 2 * Math.exp(-a * t))),
          ...range,
        };
      case 3:
        return {
          name: `y' = -${size} y^2`,
          slope: (_, y) => of(-size * first(y) ** 2),
          solution: (t) => of(1 / (1 + size * t)),
          ...range,
        };
      default:
        return {
          name: `y' = ${a} (-z, y)`,
          slope: (_, y) => of(-a * (y[1] ?? NaN), a * first(y)),
          solution: (t) => of(Math.cos(a * t), Math.sin(a * t)),
          ...range,
        };
    }
  });

/** How far below its promise a measured order may be. */
const slack = 0.2;

/**
 * Measures a solver's order on random problems with known solutions: the errors e at the end of runs with N, 2N, 4N and 8N steps are
 * c N^-p (1 + a / N + ...), so that log2(e(N) / e(2N)) is p + O(1 / N), of which two neighbours take the first term away. The last order, with
 * or without that term, must not be below the promised one by more than 0.2, where errors aren't rounding alone yet (1e-12 of the solution). Solvers may be better
 * than they promise on some problems.
 * @returns the lowest order measured
 * @throws Error with the shrunk problem, the errors and the orders; if nothing could be measured (all errors are rounding), too
 * @example
 * ```ts
 * const euler: OdeSolver = (slope, start, from, to, steps) => {
 *   const h = (to - from) / steps;
 *   let x = start;
 *   for (let i = 0; i < steps; i++) {
 *     const direction = slope(from + i * h, x);
 *     x = x.map((value, axis) => value + h * (direction[axis] ?? 0));
 *   }
 *   return x;
 * };
 * console.log(Math.round((await odeOrderLaw(euler, { order: 1 })).order)); // 1
 * ```
 */
export async function odeOrderLaw(
  solver: OdeSolver,
  { order, steps = 16, runs = 20, seed = 1, problems = odeProblems }: OdeOrderOptions,
): Promise<{ readonly order: number }> {
  let lowest = Infinity;
  await assertCases(
    problems,
    async (problem) => {
      const errors: number[] = [];
      for (const count of [steps, 2 * steps, 4 * steps, 8 * steps]) errors.push(await errorOf(solver, problem, count));
      const scale = Math.max(...problem.solution(problem.to).map(Math.abs));
      const measured = errors.slice(1).map((error, i) => Math.log2((errors[i] ?? NaN) / error));
      // From neighbours N and 2N the part of order 1 / N goes.
      const refined = measured.slice(1).map((finer, i) => 2 * finer - (measured[i] ?? NaN));
      const isRounding = errors.some((error) => error <= 1e-12 * scale);
      const best = Math.max(refined.at(-1) ?? NaN, measured.at(-1) ?? NaN);
      if (!isRounding && best >= order - slack) lowest = Math.min(lowest, best);
      if (isRounding || best >= order - slack) return;
      throw new Error(
        `odeOrderLaw: ${problem.name} from ${problem.from} to ${problem.to}: errors ${errors.map((e) => e.toExponential(3)).join(", ")} in ` +
          `${steps}, ${2 * steps}, ${4 * steps} and ${8 * steps} steps: orders ${measured.map((p) => p.toFixed(2)).join(", ")}, expected ${order}.`,
      );
    },
    { runs, seed },
  );
  if (lowest === Infinity) {
    throw new Error("odeOrderLaw: all errors are rounding alone. Begin with fewer steps.");
  }
  return { order: lowest };
}

/** The largest error at the end. */
async function errorOf(solver: OdeSolver, { slope, solution, from, to }: OdeProblem, steps: number): Promise<number> {
  const [end, truth] = [await solver(slope, solution(from), from, to, steps), solution(to)];
  return Math.max(...truth.map((value, i) => Math.abs((end[i] ?? NaN) - value)));
}
