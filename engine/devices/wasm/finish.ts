/** Kernels that sum by an algorithm of their own leave sums in the result; this applies the epilogue to them. */
import type { Kernel, Scalar } from "../../kernel/kernel.ts";
import { mapChildren, normalizeKernel } from "../../kernel/normalize.ts";
import type { FunctionReference, ModuleBuilder } from "./assembler.ts";
import { emitKernel } from "./emitKernel.ts";
import { blockOf, scheduleKernel } from "./schedule.ts";

/** Adds to a module the function that finishes results for a range of the kernel's first axis; null: nothing is left to do. */
export type Finish = (module: ModuleBuilder, name: string) => FunctionReference | null;

/** How a kernel's results are finished; null if they can't be for any range of the first axis. */
export function finishOf(kernel: Kernel): Finish | null {
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
  return (module, name) => emitKernel(module, name, { ...normal, also: [] }, schedule, { relaxed: false });
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
