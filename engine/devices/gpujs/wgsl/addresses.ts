/** Affine index expressions as text, in u32: a sum whose end is in bounds may wrap on the way. */
import type { Affine } from "../../../kernel/kernel.ts";

/** One axis in the text: a u32 expression that can be multiplied as it stands, and its size. "0u" where it has a single point. */
export type AxisText = { readonly text: string; readonly size: number };

/** The text of `address`; a sum whose negative terms come last, as subtractions. */
export function addressText({ offset, coefficients }: Affine, axes: readonly AxisText[]): string {
  const added: string[] = [];
  const subtracted: string[] = [];
  coefficients.forEach((coefficient, axis) => {
    const text = axes[axis]?.text ?? "0u";
    if (coefficient === 0 || text === "0u") return;
    const size = Math.abs(coefficient);
    (coefficient > 0 ? added : subtracted).push(size === 1 ? text : `${text} * ${size}u`);
  });
  if (offset > 0) added.push(`${offset}u`);
  if (offset < 0) subtracted.push(`${-offset}u`);
  return [added.join(" + ") || "0u", ...subtracted].join(" - ");
}

/** The coordinates of point number `index` (u32 text) of axes of these sizes, outermost first. */
export function coordinatesOf(
  index: string,
  sizes: readonly number[],
  local: (text: string) => string,
): readonly AxisText[] {
  const axes: AxisText[] = sizes.map((size) => ({ text: "0u", size }));
  const real = sizes.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  let rest = index;
  for (const axis of real.toReversed()) {
    const size = sizes[axis] ?? 1;
    const isOutermost = axis === real[0];
    axes[axis] = { text: isOutermost ? rest : local(`${rest} % ${size}u`), size };
    if (!isOutermost) rest = local(`${rest} / ${size}u`);
  }
  return axes;
}

/** The number of the four elements that begin at `address`, where `quarter` is the text of a quarter of axis `lane`'s coordinate. */
export function quadText(
  { offset, coefficients }: Affine,
  axes: readonly AxisText[],
  lane: number,
  quarter: string,
): string {
  return addressText(
    { offset: offset / 4, coefficients: coefficients.map((step, axis) => (axis === lane ? 1 : step / 4)) },
    axes.map((axis, index) => (index === lane ? { ...axis, text: quarter } : axis)),
  );
}
