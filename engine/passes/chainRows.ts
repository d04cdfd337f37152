/**
 * Steps over the same rows become one that goes through them row by row: a norm, what is divided by it, the sums that its gradient needs.
 * A device then waits once for all of them, and what the next one reads has just been written.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { at } from "../graph/shape.ts";
import type { Axis, Kernel } from "../kernel/kernel.ts";
import { factoredContractionOf } from "../kernel/contraction.ts";
import { kindOfKernel } from "../kernel/kernelKind.ts";
import { afterOf, type PlanStep, type Stage } from "../kernel/plan.ts";
import { Dependencies } from "./dependencies.ts";
import type { Memories } from "./memories.ts";
import type { Overwrite } from "./places.ts";
import { linked, rowsOf, stageOf } from "./rowLinks.ts";

type Limits = Pick<DeviceLimits, "arrays">;

/** Rows that a product is done for at a time, so that what it reads of the other side is used again. */
const rowBlock = 16;
/** Terms and points of a row that are few whatever the number of rows. */
const shortRow = 2 ** 12;
/** Of longer ones so many for each row that there is, so that all rows together keep a device busy; and at most so many. */
const perRow = 2 ** 8;
const longestRow = 2 ** 16;

/** Steps at one place of the order: one, or the stages of a chain. */
type Unit = { stages: readonly Stage[]; readonly steps: number[]; readonly canChain: boolean };

/** Steps of which some have stages, and the temporaries that must lie side by side for them. */
export type Chained = { readonly steps: readonly PlanStep[]; readonly bundles: readonly (readonly number[])[] };

/**
 * What a chain makes of a kind lies in one memory, so that it is one array to whom it is bound: of the chain itself, and of one that reads it
 * later.
 * @param steps in an order of computation; each buffer is made by one of them at most
 * @param overwrites which buffers are written over which
 * @param memories which buffers are one array as it is; null: none
 * @param kindOf beside which others a buffer can be put: those of its kind; null: beside none
 */
export function chainRows(
  steps: readonly PlanStep[],
  limits: Limits,
  overwrites: readonly Overwrite[] = [],
  memories: Memories | null = null,
  kindOf: (buffer: number) => string | null = () => null,
): Chained {
  const { before } = new Dependencies(steps, overwrites);
  const order = steps.map(
    (step, index): Unit => ({ stages: [stageOf(step)], steps: [index], canChain: goesByRows(step.kernel) }),
  );
  const readers = new Map<number, number[]>();
  steps.forEach(({ operands }, index) => {
    for (const buffer of new Set(operands)) readers.set(buffer, [...(readers.get(buffer) ?? []), index]);
  });
  const unitOf = new Map(order.map((unit, index) => [index, unit]));
  const taken = new Map(overwrites.map(({ input, output }) => [output, input]));
  /** Of buffers that lie with others the first of those. */
  const besides = new Map<number, number>();
  const bundlesOf = (stages: readonly Stage[]): readonly (readonly number[])[] => {
    const kinds = new Map<string, number[]>();
    for (const buffer of stages.flatMap(({ step }) => step.results)) {
      const kind = kindOf(buffer);
      if (kind !== null) kinds.set(kind, [...(kinds.get(kind) ?? []), buffer]);
    }
    return [...kinds.values()];
  };
  /** How many arrays are bound for stages; Infinity if some may be in the same memory in some runs. */
  const arraysOf = (stages: readonly Stage[]): number => {
    const own = new Map<number, number>();
    for (const [first = -1, ...others] of bundlesOf(stages)) for (const other of others) own.set(other, first);
    const bound = stages
      .flatMap(({ step }) => [...step.operands, ...step.results])
      .map((buffer) => {
        const beside = own.get(buffer) ?? besides.get(buffer) ?? buffer;
        return memories === null ? beside : at(memories, beside);
      });
    return bound.includes(null) ? Infinity : new Set(bound).size;
  };

  /** Where a unit can stand together with a later one: at the place of either of them; null: at none. */
  const meeting = (place: number, later: number): number | null => {
    const [unit, other] = [at(order, place), at(order, later)];
    const between = order.slice(place + 1, later);
    const needs = (of: Unit, wanted: Unit): boolean =>
      of.steps.some((step) => wanted.steps.some((needed) => at(before, step).has(needed)));
    if (!between.some((each) => needs(other, each))) return place;
    return between.some((each) => needs(each, unit)) ? null : later;
  };
  const longer = (unit: Unit): boolean => {
    const candidates = new Set(
      unit.steps
        .flatMap((step) => at(steps, step).results.flatMap((buffer) => readers.get(buffer) ?? []))
        .sort((a, b) => a - b),
    );
    for (const step of candidates) {
      const other = unitOf.get(step);
      if (other === undefined || other === unit || !other.canChain || other.steps.length > 1) continue;
      const [first, later] = [order.indexOf(unit), order.indexOf(other)];
      const place = meeting(first, later);
      const stages = place === null ? null : linked(unit.stages, at(steps, step));
      if (place === null || stages === null || arraysOf(stages) > limits.arrays || !isWorthwhile(stages, taken))
        continue;
      unit.stages = stages;
      unit.steps.push(step);
      unitOf.set(step, unit);
      // Both are at the place where they meet; the other one's place goes.
      order[place] = unit;
      order.splice(place === later ? first : later, 1);
      return true;
    }
    return false;
  };
  for (const unit of [...order]) {
    if (!unit.canChain || !order.includes(unit)) continue;
    while (longer(unit));
    for (const [first = -1, ...others] of unit.stages.length === 1 ? [] : bundlesOf(unit.stages)) {
      for (const other of others) besides.set(other, first);
    }
  }
  const chains = new Chains();
  const made = order.filter(({ stages }) => stages.length > 1).flatMap(({ stages }) => bundlesOf(stages));
  return {
    steps: order.map(({ stages }) => (stages.length === 1 ? at(stages, 0).step : chains.chain(stages))),
    bundles: made.filter((bundle) => bundle.length > 1),
  };
}

/** Convolutions have schedules of their own, as have products but those of few rows at a time. */
function goesByRows(kernel: Kernel): boolean {
  if (kernel.stores[0].length === 0) return false;
  switch (kindOfKernel(kernel)) {
    case "reduction":
    case "element-wise":
    case "copy":
    case "product":
      return true;
    case "convolution":
    case "filter gradient":
    case "scatter":
      return false;
  }
}

/** Whether a stage's points can be computed for some rows at a time: a product only as those of attention are. */
function allowsBlocks({ kernel, rows }: Stage): boolean {
  if (kindOfKernel(kernel) !== "product") return true;
  const product = factoredContractionOf(kernel);
  if (product === null) return false;
  const real = (axes: readonly number[]): readonly number[] => axes.filter((axis) => at(kernel.axes, axis).size > 1);
  const last = rows.at(-1);
  const batch = real(product.batch);
  const isOwn = [product.rows, product.columns].some((side) => real(side).length === 1 && real(side)[0] === last);
  return (
    last !== undefined &&
    isOwn &&
    at(kernel.axes, last).size % rowBlock === 0 &&
    batch.length > 0 &&
    batch.length === rows.length - 1 &&
    rows.slice(0, -1).every((axis) => batch.includes(axis))
  );
}

/** Whether stages may be run as one, and keep a device busy then. */
function isWorthwhile(stages: readonly Stage[], taken: ReadonlyMap<number, number>): boolean {
  const steps = stages.map(({ step }) => step);
  const overwritesOthers = steps.some(({ results }) =>
    results.some((result) => {
      const input = taken.get(result);
      return (
        input !== undefined && steps.some((other) => !other.results.includes(result) && other.operands.includes(input))
      );
    }),
  );
  if (overwritesOthers) return false;
  if (!stages.every(allowsBlocks)) return false;
  const rows = rowsOf(at(stages, 0));
  const all = stages.reduce((sum, { kernel }) => sum + shared(kernel, rows), 0);
  return all / rows <= Math.min(longestRow, Math.max(shortRow, perRow * rows));
}

/** Terms and points of a step that more would take part in if it were run alone: nobody but who makes its one point folds a row. */
function shared({ axes }: Kernel, rows: number): number {
  const points = (of: readonly Axis[]): number => of.reduce((product, { size }) => product * size, 1);
  return points(axes.filter(({ role }) => role === "parallel")) === rows ? 0 : points(axes);
}

/** Steps made of stages. Those with equal kernels in equal places have one kernel. */
class Chains {
  readonly #kernels = new Map<string, Kernel>();

  chain(stages: readonly Stage[]): PlanStep {
    const steps = stages.map(({ step }) => step);
    const made = new Set(steps.flatMap(({ results }) => results));
    const operands = [...new Set(steps.flatMap((step) => step.operands))].filter((buffer) => !made.has(buffer));
    const [result, ...results] = made;
    if (result === undefined) throw new RangeError("stages without results");
    const places = new Map([...operands, result, ...results].map((buffer, place) => [buffer, place]));
    const wiring = steps.map((step) => [
      step.kernel.name,
      ...[...step.operands, ...step.results].map((buffer) => places.get(buffer)),
    ]);
    const key = wiring.join("\n");
    const kernel = this.#kernels.get(key) ?? this.#kernel(steps, operands);
    this.#kernels.set(key, kernel);
    return { kernel, operands, results: [result, ...results], ...afterOf(steps), stages };
  }

  /** What is told of all stages: the kernel of one that folds, with the operations and bytes of all. */
  #kernel(steps: readonly PlanStep[], operands: readonly number[]): Kernel {
    const [first, last] = [at(steps, 0), at(steps, steps.length - 1)];
    const told = steps.find(({ kernel }) => kernel.reduction !== null) ?? first;
    const lengths = new Map(
      steps.flatMap((step) => step.operands.map((buffer, i) => [buffer, at(step.kernel.operands, i).length])),
    );
    const read = operands.reduce((sum, buffer) => sum + (lengths.get(buffer) ?? NaN), 0);
    const written = steps.flatMap(({ kernel }) => kernel.stores).reduce((sum, { length }) => sum + length, 0);
    return {
      ...told.kernel,
      name: `${first.kernel.name}_then_${last.kernel.name}_rows_${this.#kernels.size}`,
      flops: steps.reduce((sum, { kernel }) => sum + kernel.flops, 0),
      bytes: 4 * (read + written),
    };
  }
}
