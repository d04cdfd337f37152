/** Affine index expressions as text. Written inline over thread indices and loop counters they stay i32 in gpu.js. */
import type { Affine } from "../../../kernel/kernel.ts";

/** One axis in the text: an i32 expression, and its size. "0" where it has a single point. */
export type AxisText = { readonly text: string; readonly size: number };

/** The text of `at`; a sum whose negative terms come last, as subtractions. */
export function affineText(at: Affine, axes: readonly AxisText[], offset = at.offset): string {
  const added: string[] = [];
  const subtracted: string[] = [];
  at.coefficients.forEach((coefficient, axis) => {
    const text = axes[axis]?.text ?? "0";
    if (coefficient === 0 || text === "0") return;
    const size = Math.abs(coefficient);
    (coefficient > 0 ? added : subtracted).push(size === 1 ? text : `${text} * ${size}`);
  });
  if (offset > 0) added.push(String(offset));
  if (offset < 0) subtracted.push(String(-offset));
  return [added.join(" + ") || "0", ...subtracted].join(" - ");
}

/** Largest absolute value that `at` takes. */
export function affineBound(at: Affine, axes: readonly AxisText[]): number {
  let [low, high] = [at.offset, at.offset];
  at.coefficients.forEach((coefficient, axis) => {
    const last = coefficient * Math.max(0, (axes[axis]?.size ?? 1) - 1);
    if (last < 0) low += last;
    else high += last;
  });
  return Math.max(Math.abs(low), Math.abs(high));
}

/** Whether `at` is the same everywhere. */
export function isConstant(at: Affine, axes: readonly AxisText[]): boolean {
  return at.coefficients.every((coefficient, axis) => coefficient === 0 || (axes[axis]?.text ?? "0") === "0");
}
