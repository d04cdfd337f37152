/** Where temporaries lie, and for how long. */
import type { DType } from "../graph/dtype.ts";
import { at } from "../graph/shape.ts";
import type { Explanation } from "./explain.ts";

/** A temporary as a rectangle: steps to the right, addresses downwards. */
export type MappedBuffer = {
  /** Number of the buffer. */
  readonly buffer: number;
  readonly dtype: DType;
  /** Elements. */
  readonly length: number;
  /** The steps that touch it first and last. */
  readonly first: number;
  readonly last: number;
  /** Bytes before it, slots one below the other, and its own. */
  readonly start: number;
  readonly bytes: number;
};

/** All temporaries over the steps of a program. */
export type MemoryMap = {
  readonly steps: number;
  /** Bytes of all slots. */
  readonly bytes: number;
  readonly slots: number;
  readonly buffers: readonly MappedBuffer[];
};

/**
 * The map of a program's temporaries; those that no kernel touches aren't on it.
 * @example
 * ```ts
 * const layer = compile((x: Tensor) => softmax(x.matmul(x)), { device: "wasm" });
 * const { steps, buffers } = memoryMap(await explain(layer, [zeros([64, 64])]));
 * console.log(steps, buffers.length); // 5 4
 * layer.dispose();
 * ```
 */
export function memoryMap({ kernels, buffers, slots }: Pick<Explanation, "kernels" | "buffers" | "slots">): MemoryMap {
  const spans = new Map<number, { readonly first: number; readonly last: number }>();
  for (const [step, { operands, results }] of kernels.entries()) {
    for (const buffer of [...operands, ...results]) {
      spans.set(buffer, { first: spans.get(buffer)?.first ?? step, last: step });
    }
  }
  const starts: number[] = [];
  let bytes = 0;
  for (const slot of slots) {
    starts.push(bytes);
    bytes += slot;
  }
  const mapped = buffers.flatMap((buffer, number): MappedBuffer[] => {
    const span = spans.get(number);
    const { slot, offset, dtype, length, bytes: size } = buffer;
    if (buffer.role !== "temporary" || span === undefined || slot === undefined || offset === undefined) return [];
    return [{ buffer: number, dtype, length, ...span, start: at(starts, slot) + offset, bytes: size }];
  });
  return { steps: kernels.length, bytes, slots: slots.length, buffers: mapped };
}
