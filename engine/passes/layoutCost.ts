/** What a kernel asks of a GPU's memory, as the number of instructions that load and store, those that wait for scattered elements more. */
import { at, sizeOf } from "../graph/shape.ts";
import { isRead } from "../kernel/access.ts";
import { isAligned } from "../kernel/affine.ts";
import { contractionOf, type Contraction } from "../kernel/contraction.ts";
import type { Affine, Kernel, Scalar } from "../kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../kernel/scalar.ts";

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

/** @param kernel normalized */
export function costOfAccess(kernel: Kernel): number {
  const contraction = tiledContractionOf(kernel);
  if (contraction === null) return costByPoints(kernel);
  const { left, right, batch, rows, columns, depth } = contraction;
  const [ofLeft, ofRight] = readsOf(kernel, contraction);
  const atOnce = (affine: Affine, own: readonly number[]): number =>
    [own, depth].some((axes) => goesInFours(kernel, affine, axes)) ? 4 : 1;
  const last = kernel.axes.findLastIndex(({ role }) => role === "parallel");
  return (
    ofLeft / atOnce(left.at, rows) +
    ofRight / atOnce(right.at, columns) +
    pointsOf(kernel, [...batch, ...rows, ...columns]) * costOfPoint(storedBy(kernel), last)
  );
}

/** Of kernels that go through their points one by one, or in fours. */
function costByPoints(kernel: Kernel): number {
  const { axes, reduction } = kernel;
  const parallel = [...axes.keys()].filter((axis) => at(axes, axis).role === "parallel");
  const last = parallel.at(-1) ?? -1;
  const stored = sizeOf(parallel.map((axis) => at(axes, axis).size)) * costOfPoint(storedBy(kernel), last);
  if (reduction === null) return stored;
  // A team goes through neighbouring terms, or each of its threads takes neighbouring points.
  const terms = sizeOf(axes.map(({ size }) => size));
  const folded = (axis: number): number => costOfPoint({ kernel, affines: affinesOf(reduction.body) }, axis);
  const summed = axes.length - 1;
  return stored + terms * Math.min(folded(last), folded(summed));
}

type Accesses = { readonly kernel: Kernel; readonly affines: readonly Affine[] };

function storedBy(kernel: Kernel): Accesses {
  const [{ at: to, value }] = kernel.stores;
  return { kernel, affines: [to, ...affinesOf(value)] };
}

const affinesOf = (...values: readonly Scalar[]): readonly Affine[] =>
  scalarsOf(...values).flatMap((scalar) => (isRead(scalar) ? [scalar.at] : []));

/** What is loaded and stored at a point, if neighbouring threads are neighbours along an axis. */
function costOfPoint({ kernel, affines }: Accesses, axis: number): number {
  if (axis < 0) return affines.length;
  const { size } = at(kernel.axes, axis);
  const isBorder = (edge: number): boolean => edge > 0 && edge < size && edge % 4 !== 0;
  const mayGoInFours =
    size % 4 === 0 &&
    scalarsOf(...rootsOf(kernel)).every(
      (scalar) => scalar.kind !== "region" || scalar.axis !== axis || !(isBorder(scalar.start) || isBorder(scalar.stop)),
    );
  return affines.reduce((sum, affine) => {
    const step = Math.abs(at(affine.coefficients, axis));
    if (step === 0) return sum + shared;
    if (step > 1) return sum + scattered;
    return sum + (mayGoInFours && isAligned(affine, axis) ? 1 / 4 : 1);
  }, 0);
}

/** Whether an address goes in aligned fours along axes, the last of which are the innermost. */
export function goesInFours({ axes }: Pick<Kernel, "axes">, { offset, coefficients }: Affine, along: readonly number[]): boolean {
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
