/** Which kernels can be computed together, point by point, and over which axes. */
import type { DeviceLimits } from "../devices/device.ts";
import { at } from "../graph/shape.ts";
import type { Affine, Axis, Kernel } from "../kernel/kernel.ts";
import { normalizeKernel, rewriteKernel } from "../kernel/normalize.ts";
import { rootsOf, scalarsOf } from "../kernel/scalar.ts";

/** Elements of the inner of two axes, at least, where loops run along it: shorter ones lose more than joining gains. */
const shortestRow = 16;

/** The kernel over the fewest axes, if it can be computed together with others; one that folds can come before those that don't. */
export function joinable(kernel: Kernel, joins: DeviceLimits["joins"]): Kernel | null {
  if (kernel.stores.length > 1 || (kernel.reduction !== null && joins === "rows")) return null;
  const normal = normalizeKernel(kernel);
  if (normal.axes.some(({ size }) => size === 0)) return null;
  return joins === "points" || isRows(normal) ? normal : null;
}

/** Whether a kernel goes over one axis, or over two of which a vector runs along the inner one. */
function isRows(kernel: Kernel): boolean {
  const { axes } = kernel;
  const [, row] = axes;
  if (axes.length > 2 || (row !== undefined && (row.size < shortestRow || row.size % 4 !== 0))) return false;
  const runsAlong = ({ coefficients }: Affine): boolean => [0, 1].includes(coefficients.at(-1) ?? 0);
  return scalarsOf(...rootsOf(kernel)).every(
    (scalar) =>
      scalar.kind !== "region" && scalar.kind !== "gather" && (scalar.kind !== "load" || runsAlong(scalar.at)),
  );
}

/** The sizes of the parallel axes of a kernel. */
export const parallelSizes = ({ axes }: Pick<Kernel, "axes">): readonly number[] =>
  axes.flatMap(({ role, size }) => (role === "parallel" ? [size] : []));

/** The fewest axes over which the points of both, in their order, can be gone through; null if there are none. */
export function commonSizes(
  a: readonly number[],
  b: readonly number[],
  joins: DeviceLimits["joins"],
): readonly number[] | null {
  if (joins === "rows" && a.length === b.length) return isSame(a, b) ? a : null;
  const common: number[] = [];
  const [left, right] = [[...a], [...b]];
  // From the innermost on: the smaller axis is common, and has to divide the other.
  for (let [x, y] = [left.pop(), right.pop()]; x !== undefined || y !== undefined; ) {
    if (x === undefined || y === undefined) return null;
    const [least, most] = x < y ? [x, y] : [y, x];
    if (most % least !== 0) return null;
    common.unshift(least);
    const rest = most / least;
    [x, y] = [x < y || rest === 1 ? left.pop() : rest, y < x || rest === 1 ? right.pop() : rest];
  }
  return common;
}

/** A piece of an axis that is cut: the number of the first of its axes, and their sizes. */
type Pieces = { readonly first: number; readonly sizes: readonly number[] };

/** Of each parallel axis what it is cut into. */
function piecesOf(kernel: Kernel, sizes: readonly number[]): readonly Pieces[] {
  let next = 0;
  return parallelSizes(kernel).map((size) => {
    const first = next;
    for (let product = 1; product < size; next++) product *= at(sizes, next);
    return { first, sizes: sizes.slice(first, next) };
  });
}

/** Whether the parallel axes of a kernel can be cut into these: no border lies within one that is. */
export function bordersAllow(kernel: Kernel, sizes: readonly number[]): boolean {
  const borders = scalarsOf(...rootsOf(kernel)).flatMap((scalar) => (scalar.kind === "region" ? [scalar.axis] : []));
  if (borders.length === 0) return true;
  const pieces = piecesOf(kernel, sizes);
  return borders.every((axis) => (pieces[axis]?.sizes.length ?? 1) === 1);
}

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, axis) => size === b[axis]);

/** The kernel with its parallel axes cut into these, and as many reduce axes as the one that folds has. */
export function overSizes(kernel: Kernel, sizes: readonly number[], reduce: readonly Axis[]): Kernel {
  const parallel = parallelSizes(kernel);
  if (isSame(parallel, sizes) && reduce.length === kernel.axes.length - parallel.length) return kernel;
  const pieces = piecesOf(kernel, sizes);
  const axes = [...sizes.map((size) => ({ role: "parallel", size }) as const), ...reduce];
  return rewriteKernel(kernel, axes, {
    affine: ({ offset, coefficients }) => ({
      offset,
      coefficients: [
        ...pieces.flatMap((piece, axis) =>
          piece.sizes.map(
            (_, i) => at(coefficients, axis) * piece.sizes.slice(i + 1).reduce((product, size) => product * size, 1),
          ),
        ),
        ...reduce.map((_, axis) => coefficients[parallel.length + axis] ?? 0),
      ],
    }),
    axis: (axis) => pieces[axis]?.first ?? axis - parallel.length + sizes.length,
  });
}
