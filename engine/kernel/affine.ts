/** What can be said of an address that is affine in a kernel's axes. */
import { at } from "../graph/shape.ts";
import type { Affine, Axis } from "./kernel.ts";

/** Text that is equal for equal addresses. */
export const affineKey = ({ offset, coefficients }: Affine): string => `${offset}+${coefficients.join("+")}`;

export function sameAffine(one: Affine, other: Affine): boolean {
  return (
    one.offset === other.offset &&
    one.coefficients.length === other.coefficients.length &&
    one.coefficients.every((coefficient, axis) => coefficient === at(other.coefficients, axis))
  );
}

/** The elements that an address reaches over all points, lowest and highest; of axes none of which is empty. */
export function spanOf(
  { offset, coefficients }: Affine,
  axes: readonly Pick<Axis, "size">[],
): readonly [number, number] {
  let [low, high] = [offset, offset];
  for (const [axis, { size }] of axes.entries()) {
    const reach = at(coefficients, axis) * (size - 1);
    low += Math.min(0, reach);
    high += Math.max(0, reach);
  }
  return [low, high];
}

/** Whether four neighbours along `lane` lie at an address divisible by four, wherever they begin. */
export function isAligned({ offset, coefficients }: Affine, lane: number): boolean {
  return (
    offset % 4 === 0 &&
    coefficients.every((coefficient, axis) => (axis === lane ? coefficient === 1 : coefficient % 4 === 0))
  );
}
