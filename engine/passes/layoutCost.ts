/** What a kernel asks of a GPU's memory, as the number of instructions that load and store, those that wait for scattered elements more. */
import { at, sizeOf } from "../graph/shape.ts";
import { isRead } from "../kernel/access.ts";
import { contractionOf, type Contraction } from "../kernel/contraction.ts";
import type { Affine, Axis, Kernel, Scalar } from "../kernel/kernel.ts";
import { scalarsOf } from "../kernel/scalar.ts";

/** Rows and columns of products that one number of the other side is multiplied with once it is read. */
const tile = 64;
/** Products with shorter sides, or fewer multiply-adds, are summed term by term. */
const shortestSide = 8;
const leastProducts = 2 ** 16;
/** What neighbours that lie apart cost, and one number that is the same for many neighbours. */
const scattered = 2;
const shared = 1 / 16;

/** The product that a kernel is, if it is one that is computed in tiles. */
export function tiledContractionOf(kernel: Pick<Kernel, "axes" | "reduction">): Contraction | null {
  const contraction = contractionOf(kernel);
  if (contraction === null) return null;
  const { rows, columns, depth } = contraction;
  const sides = [rows, columns, depth].map((of) => pointsOf(kernel, of));
  return Math.min(...sides) >= shortestSide && sizeOf(kernel.axes.map(({ size }) => size)) >= leastProducts
    ? contraction
    : null;
}

const pointsOf = ({ axes }: Pick<Kernel, "axes">, of: readonly number[]): number =>
  sizeOf(of.map((axis) => at(axes, axis).size));

/** How many numbers a product reads of its sides, in this order, where it is computed in tiles. */
export function readsOf(kernel: Kernel, { batch, rows, columns, depth }: Contraction): readonly [number, number] {
  const points = (of: readonly number[]): number => pointsOf(kernel, of);
  const reads = (own: readonly number[], other: readonly number[]): number =>
    points(batch) * points(own) * points(depth) * Math.ceil(points(other) / tile);
  return [reads(rows, columns), reads(columns, rows)];
}

export function costOfAccess(kernel: Kernel): number {
  const parallel = axesOf(kernel, "parallel");
  const { reduction, stores } = kernel;
  const [{ at: to, value }] = stores;
  const stored = scalarsOf(value);
  const contraction = tiledContractionOf(kernel);
  const points = pointsOf(kernel, parallel) * costOfPoint(kernel, [to, ...affinesOf(stored)], stored, parallel);
  if (reduction === null) return points;
  if (contraction === null) {
    const folded = scalarsOf(reduction.body);
    // A team goes through neighbouring terms, or each of its threads takes neighbouring points.
    const along = [parallel, axesOf(kernel, "reduce")].map((axes) =>
      costOfPoint(kernel, affinesOf(folded), folded, axes),
    );
    return points + sizeOf(kernel.axes.map(({ size }) => size)) * Math.min(...along);
  }
  const [ofLeft, ofRight] = readsOf(kernel, contraction);
  const { left, right, rows, columns, depth } = contraction;
  const atOnce = (affine: Affine, own: readonly number[]): number =>
    [own, depth].some((axes) => goesInFours(kernel, affine, axes)) ? 4 : 1;
  return points + ofLeft / atOnce(left.at, rows) + ofRight / atOnce(right.at, columns);
}

const axesOf = ({ axes }: Kernel, wanted: Axis["role"]): readonly number[] =>
  [...axes.keys()].filter((axis) => at(axes, axis).role === wanted);

const affinesOf = (scalars: readonly Scalar[]): readonly Affine[] =>
  scalars.flatMap((scalar) => (isRead(scalar) ? [scalar.at] : []));

/** What is loaded and stored at a point, if neighbouring threads are neighbours along the last of these axes. */
function costOfPoint(
  { axes }: Kernel,
  affines: readonly Affine[],
  scalars: readonly Scalar[],
  along: readonly number[],
): number {
  const bordered = scalars.flatMap((scalar) => (scalar.kind === "region" ? [scalar] : []));
  const [last, ...others] = along.filter((axis) => at(axes, axis).size > 1).reverse();
  if (last === undefined) return affines.length;
  // Axes that everything goes through as through one are one.
  const inner = new Set([last]);
  let { size } = at(axes, last);
  for (const axis of others) {
    const isBordered = bordered.some((region) => region.axis === axis || inner.has(region.axis));
    const goesOn = ({ coefficients }: Affine): boolean => at(coefficients, axis) === size * at(coefficients, last);
    if (isBordered || !affines.every(goesOn)) break;
    inner.add(axis);
    size *= at(axes, axis).size;
  }
  const isBorder = (edge: number): boolean => edge > 0 && edge < size && edge % 4 !== 0;
  const mayGoInFours =
    size % 4 === 0 && !bordered.some(({ axis, start, stop }) => inner.has(axis) && (isBorder(start) || isBorder(stop)));
  return affines.reduce((sum, { offset, coefficients }) => {
    const step = Math.abs(at(coefficients, last));
    if (step === 0) return sum + shared;
    if (step > 1) return sum + scattered;
    const isAligned = offset % 4 === 0 && coefficients.every((each, axis) => inner.has(axis) || each % 4 === 0);
    return sum + (mayGoInFours && isAligned ? 1 / 4 : 1);
  }, 0);
}

/** Whether an address goes in aligned fours along axes, the last of which are the innermost. */
export function goesInFours(
  { axes }: Pick<Kernel, "axes">,
  { offset, coefficients }: Affine,
  along: readonly number[],
): boolean {
  let size = 1;
  const inner = new Set<number>();
  for (const axis of along.toReversed()) {
    if (at(axes, axis).size > 1 && at(coefficients, axis) !== size) break;
    size *= at(axes, axis).size;
    inner.add(axis);
  }
  return (
    size % 4 === 0 &&
    offset % 4 === 0 &&
    coefficients.every((coefficient, axis) => inner.has(axis) || coefficient % 4 === 0)
  );
}
