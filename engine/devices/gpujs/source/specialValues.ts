/** What becomes of the values that are no ordinary numbers, by mode. */
import type { GpujsMode } from "./writer.ts";

export type SpecialValues = {
  /** NaN is kept, made by operations without a result, and found by isNaN, comparisons, maximum and minimum. */
  readonly nan: boolean;
  /** Infinities are kept, made by overflow and division by zero, and found by isFinite. */
  readonly infinity: boolean;
  /** Whether -0 and 0 stay apart. */
  readonly negativeZero: boolean;
  /** Whether arithmetic keeps numbers below 2^-126, or takes them for 0; copies keep them everywhere. */
  readonly subnormals: boolean;
};

/**
 * `cpu` is as IEEE 754 says. For the GPU modes this is what the generated code aims at and SwiftShader does; WGSL and GLSL
 * promise none of it, so that a driver may do worse with NaN and infinities.
 */
export const specialValues: Readonly<Record<GpujsMode, SpecialValues>> = {
  cpu: { nan: true, infinity: true, negativeZero: true, subnormals: true },
  webgpu: { nan: true, infinity: true, negativeZero: true, subnormals: false },
  webgl2: { nan: true, infinity: true, negativeZero: true, subnormals: false },
};
