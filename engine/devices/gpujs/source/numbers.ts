/** How f32 values are written in a kernel's text. */
import type { KernelWriter } from "./writer.ts";

const largest = 3.4028234663852886e38;

/** A finite number as a literal; negative ones in brackets, so that no `- -` or `--` can arise. */
export function literalText(value: number): string {
  return value < 0 ? `(-${-value})` : `${value}`;
}

/**
 * The f32 nearest to `value`. Infinities, NaN and -0 have no literal that survives gpu.js's translation to WGSL
 * (`Infinity` becomes the largest f32, `-0` an integer zero), so they are computed.
 */
export function numberText(writer: KernelWriter, value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded))
    return writer.local(writer.mode === "cpu" ? "(0 / 0)" : writer.call("undefinedNumber", "3e38"));
  if (rounded === Infinity || rounded === -Infinity) return infinityText(writer, rounded < 0);
  if (Object.is(rounded, -0)) return writer.local(`(-${writer.local("0")})`);
  return literalText(rounded);
}

export function infinityText(writer: KernelWriter, negative: boolean): string {
  const infinity = writer.local(writer.mode === "cpu" ? "Infinity" : writer.call("overflow", "3e38"));
  return negative ? writer.local(`(-${infinity})`) : infinity;
}

/**
 * Conditions, false for NaN in either. A test such as `x !== x` doesn't survive every mode: WGSL's `!=` is an
 * ordered comparison, false for NaN, whereas `!(x === x)` holds everywhere.
 */
export function finiteCondition(x: string): string {
  return `(${x} <= ${largest} && ${x} >= (-${largest}))`;
}
