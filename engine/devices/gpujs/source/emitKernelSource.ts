/** A kernel as the text of a JavaScript function, one thread per result word. */
import { isInteger } from "../../../graph/dtype.ts";
import type { Kernel, Scalar } from "../../../kernel/kernel.ts";
import { normalizeKernel } from "../../../kernel/normalize.ts";
import { EvenkeelError } from "../../../errors.ts";
import type { KernelSource } from "../kernelSource.ts";
import { wordsOf } from "../words.ts";
import type { AxisText } from "./addresses.ts";
import { helperFunction, helpersUsedBy } from "./helpers.ts";
import { outputGrid } from "./outputGrid.ts";
import { emitReduction } from "./reduction.ts";
import { ScalarEmitter, type Value } from "./scalarEmitter.ts";
import { type GpujsMode, KernelWriter } from "./writer.ts";

/**
 * The source of a kernel for a gpu.js mode. The text depends on the computation only, not on the kernel's name, so
 * that equal kernels of any program share one compiled kernel.
 * @throws EvenkeelError `kernel` if the kernel has no elements (nothing is to be run) or can't be written for gpu.js.
 */
export function emitKernelSource(described: Kernel, mode: GpujsMode): KernelSource {
  const kernel = normalizeKernel(described);
  const [result, ...others] = kernel.stores;
  if (others.length > 0) {
    throw new EvenkeelError(
      "kernel",
      `gpu.js kernel ${kernel.name}: it has ${kernel.stores.length} results, a thread writes one.`,
    );
  }
  if (result.length === 0) {
    throw new EvenkeelError(
      "kernel",
      `gpu.js kernel ${kernel.name}: its result has no elements, so there is no thread to run.`,
    );
  }
  const writer = new KernelWriter(mode);
  const integer = isInteger(result.dtype);
  const parallelSizes = kernel.axes.filter(({ role }) => role === "parallel").map(({ size }) => size);
  const grid = outputGrid(writer, parallelSizes, integer ? 2 : 1);
  const parallel = parallelSizes.map((size, axis): AxisText => ({ text: grid.coordinates[axis] ?? "0", size }));
  writer.line(`return ${returned(emitValue(writer, kernel, parallel, result.value), grid.plane)};`);
  return {
    name: kernel.name,
    source: `function kernel(${kernel.operands.map((_, operand) => `a${operand}`).join(", ")}) {\n${writer.text()}\n}`,
    functions: helpersUsedBy(writer.helpers).map(helperFunction),
    operandWords: kernel.operands.map(({ dtype, length }) => wordsOf(dtype, length)),
    resultWords: wordsOf(result.dtype, result.length),
    output: grid.output,
  };
}

function emitValue(writer: KernelWriter, kernel: Kernel, parallel: readonly AxisText[], value: Scalar): Value {
  const folded = kernel.reduction === null ? null : emitReduction(writer, kernel, parallel, kernel.reduction);
  return new ScalarEmitter(writer, kernel, parallel, folded).emit(value);
}

/** The word that a thread writes: of an integer the limb of its plane. */
function returned(value: Value, plane: string | null): string {
  if (value.kind === "number") return value.text;
  return `(${plane ?? "0"} < 0.5 ? ${value.high} : ${value.low})`;
}
