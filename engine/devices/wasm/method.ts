/** How a kernel is computed: by loops that its schedule describes, or by an algorithm of its own. */
import type { Kernel, Scalar } from "../../kernel/kernel.ts";
import { mapChildren, normalizeKernel } from "../../kernel/normalize.ts";
import { emitKernel } from "./emitKernel.ts";
import type { Phase, Scratch } from "./phase.ts";
import { blockOf, type Schedule, scheduleKernel } from "./schedule.ts";
import { filterGradientPhases, filterGradientScratch } from "./winograd/filterGradient.ts";
import { type Finish, forwardPhases, forwardScratch } from "./winograd/forward.ts";
import { winogradOf } from "./winograd/plan.ts";

export type KernelMethod = {
  /** What kind of code it is, for people and tests. */
  readonly name: string;
  readonly phases: readonly Phase[];
  /** Null: it needs no memory but the operands and the result. */
  readonly scratch: Scratch | null;
};

/** The method of a normalised kernel. */
export function methodOf(kernel: Kernel): KernelMethod {
  const schedule = scheduleKernel(kernel);
  const loops: KernelMethod = { name: schedule.name, phases: [loopPhase(kernel, schedule)], scratch: null };
  const winograd = winogradOf(kernel);
  const finish = winograd === null ? null : finishOf(kernel);
  if (winograd === null || finish === null) return loops;
  const method =
    winograd.kind === "forward"
      ? { phases: forwardPhases(kernel, winograd, finish), scratch: forwardScratch(winograd) }
      : { phases: filterGradientPhases(kernel, winograd, finish), scratch: filterGradientScratch(winograd) };
  return costOf(method.phases) < schedule.cost ? { name: `winograd ${winograd.kind}`, ...method } : loops;
}

const costOf = (phases: readonly Phase[]): number => phases.reduce((sum, { cost }) => sum + cost, 0);

function loopPhase(kernel: Kernel, schedule: Schedule): Phase {
  const { split, cost } = schedule;
  return {
    size: split === null ? 1 : (kernel.axes[split]?.size ?? 0),
    block: split === null ? 1 : blockOf(schedule, split),
    cost,
    emit: (module, name, options) => emitKernel(module, name, kernel, schedule, options),
  };
}

/** The function that applies a kernel's epilogue to sums that stand in its result already, for a range of its first axis. */
function finishOf(kernel: Kernel): Finish | null {
  const epilogue = kernel.reduction?.epilogue;
  if (epilogue === undefined || epilogue.kind === "accumulator") return () => null;
  // The table of addresses has the result's twice: as what is read, then as what is written.
  const sum: Scalar = { kind: "load", dtype: kernel.body.dtype, operand: kernel.operands.length, at: kernel.result.at };
  const done = new Map<Scalar, Scalar>();
  const visit = (scalar: Scalar): Scalar => {
    const known = done.get(scalar);
    if (known !== undefined) return known;
    const result = scalar.kind === "accumulator" ? sum : mapChildren(scalar, visit);
    done.set(scalar, result);
    return result;
  };
  const body = visit(epilogue);
  const parallel = kernel.axes.filter(({ role }) => role === "parallel").length;
  const elementwise: Kernel = {
    ...kernel,
    axes: kernel.axes.slice(0, parallel),
    operands: [...kernel.operands, { dtype: kernel.result.dtype, length: kernel.result.length }],
    body: withAxes(body, parallel),
    reduction: null,
    result: {
      ...kernel.result,
      at: { ...kernel.result.at, coefficients: kernel.result.at.coefficients.slice(0, parallel) },
    },
  };
  const normal = normalizeKernel(elementwise, { keepFirst: true });
  const schedule = { ...scheduleKernel(normal), split: 0 };
  // Blocks of several would not end where the range does.
  if (blockOf(schedule, 0) > 1) return null;
  return (module, name) => emitKernel(module, name, normal, schedule, { relaxed: false });
}

/** An expression of parallel axes only, without the coefficients of the others. */
function withAxes(root: Scalar, count: number): Scalar {
  const done = new Map<Scalar, Scalar>();
  const visit = (scalar: Scalar): Scalar => {
    const known = done.get(scalar);
    if (known !== undefined) return known;
    const inner = mapChildren(scalar, visit);
    const result =
      inner.kind === "load" || inner.kind === "gather" || inner.kind === "index"
        ? { ...inner, at: { ...inner.at, coefficients: inner.at.coefficients.slice(0, count) } }
        : inner;
    done.set(scalar, result);
    return result;
  };
  return visit(root);
}
