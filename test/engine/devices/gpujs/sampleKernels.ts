import assert from "node:assert/strict";
import { emitKernelSource } from "../../../../engine/devices/gpujs/source/emitKernelSource.ts";
import type { GpujsMode } from "../../../../engine/devices/gpujs/source/writer.ts";
import { fromWords, toWords } from "../../../../engine/devices/gpujs/words.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import { rowMajorStrides, sizeOf } from "../../../../engine/graph/shape.ts";
import type { Kernel, Operand, Scalar } from "../../../../engine/kernel/kernel.ts";
import { evaluateSource } from "./evaluateSource.ts";
export const modes: readonly GpujsMode[] = ["cpu", "webgpu", "webgl2"];

/** An element-wise kernel of `value` over parallel axes. */
export function kernelOver(sizes: readonly number[], operands: readonly Operand[], value: Scalar): Kernel {
  return {
    name: "sample",
    axes: sizes.map((size) => ({ role: "parallel", size })),
    operands,
    reduction: null,
    stores: [
      {
        value,
        dtype: value.dtype,
        length: sizeOf(sizes),
        at: { offset: 0, coefficients: rowMajorStrides(sizes) },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

/** What the generated source of a kernel computes, run as JavaScript. */
export function evaluate(kernel: Kernel, data: readonly TensorData[], mode: GpujsMode): TensorData {
  const source = emitKernelSource(kernel, mode);
  const words = evaluateSource(
    source,
    data.map((values, i) => toWords(values, kernel.operands[i]?.dtype ?? "f32")),
  );
  assert.equal(words.length, source.resultWords);
  const [{ dtype, length }] = kernel.stores;
  return fromWords(words, dtype, length);
}
