/** Kernels that sum by an algorithm of their own leave sums in the result; this applies the epilogue to them. */
import type { Kernel, Scalar, Stores } from "../../../kernel/kernel.ts";
import { normalizeKernel, rewriteKernel } from "../../../kernel/normalize.ts";
import { substitute } from "../../../kernel/scalar.ts";
import type { FunctionReference, ModuleBuilder } from "../assembler/index.ts";
import { blockOf, emitKernel, nestOf, scheduleKernel } from "../loops/index.ts";

/** Adds to a module the function that finishes results for a range of the kernel's first axis; null: nothing is left to do. */
export type Finish = (module: ModuleBuilder, name: string) => FunctionReference | null;

/** How a kernel's results are finished; null if they can't be for any range of the first axis. */
export function finishOf(kernel: Kernel): Finish | null {
  const [store] = kernel.stores;
  if (kernel.reduction === null || store.value.kind === "accumulator") return () => null;
  // The table of addresses has the result's twice: as what is read, then as what is written.
  const sum: Scalar = { kind: "load", dtype: store.dtype, operand: kernel.operands.length, at: store.at };
  const value = substitute(store.value, (scalar) => (scalar.kind === "accumulator" ? sum : undefined));
  const parallel = kernel.axes.filter(({ role }) => role === "parallel");
  const operands = [...kernel.operands, { dtype: store.dtype, length: store.length }];
  const stores: Stores = [{ ...store, value }];
  const elementwise = rewriteKernel({ ...kernel, operands, reduction: null, stores }, parallel, {
    affine: ({ offset, coefficients }) => ({ offset, coefficients: coefficients.slice(0, parallel.length) }),
    axis: (axis) => axis,
  });
  const normal = normalizeKernel(elementwise, { keepFirst: true });
  const schedule = scheduleKernel(normal, { split: 0 });
  // Blocks of several would not end where the range does.
  if (blockOf(nestOf(normal, schedule.tiling), 0) > 1) return null;
  return (module, name) => emitKernel(module, name, normal, schedule, { relaxed: false });
}
