/**
 * What a kernel computes, read off its addresses: a sum of products of two arrays, and whether that is a convolution. Which axes
 * move in which array is all that is looked at, in whatever order they stand, so every device can ask.
 */
import { at } from "../graph/shape.ts";
import { binaryCosts, unaryCosts } from "./cost.ts";
import type { Kernel, Scalar } from "./kernel.ts";
import { hasAddress, scalarsOf } from "./scalar.ts";

export type Load = Extract<Scalar, { readonly kind: "load" }>;

/** result[batch, rows, columns] = sum over depth of left[batch, rows, depth] * right[batch, columns, depth]. */
export type Contraction = {
  readonly left: Load;
  readonly right: Load;
  /** Parallel axes that move in both arrays or in neither: each of their points is a product of its own. */
  readonly batch: readonly number[];
  /** Parallel axes that move in `left` alone. */
  readonly rows: readonly number[];
  /** Parallel axes that move in `right` alone. */
  readonly columns: readonly number[];
  /** What is summed over. */
  readonly depth: readonly number[];
};

/** The product of float32 arrays that a kernel folds, or null if it folds something else. */
export function contractionOf({ axes, reduction }: Pick<Kernel, "axes" | "reduction">): Contraction | null {
  if (reduction?.op !== "sum") return null;
  const { body } = reduction;
  if (body.kind !== "binary" || body.op !== "multiply" || body.dtype !== "f32") return null;
  const { x: left, y: right } = body;
  if (left.kind !== "load" || right.kind !== "load") return null;
  return {
    left,
    right,
    ...sortedAxes(
      axes,
      (axis) => moves(left, axis),
      (axis) => moves(right, axis),
    ),
  };
}

/**
 * A contraction of values that are made of arrays where they are read, such as an image with a border. `left` and `right` are loads
 * within these that stand for how they go through memory.
 */
export type FactoredContraction = Contraction & { readonly factors: { readonly left: Scalar; readonly right: Scalar } };

/** Loads that a factor is made of, at most, and expressions in all. More would be better made once than wherever it is read. */
const mostLoads = 3;
const mostScalars = 16;

/** The product of float32 values that a kernel folds, if each is a load or cheap to make of a few; or null. */
export function factoredContractionOf({
  axes,
  reduction,
}: Pick<Kernel, "axes" | "reduction">): FactoredContraction | null {
  if (reduction?.op !== "sum") return null;
  const { body } = reduction;
  if (body.kind !== "binary" || body.op !== "multiply" || body.dtype !== "f32") return null;
  const factors = { left: body.x, right: body.y };
  const [left, right] = [firstLoad(body.x), firstLoad(body.y)];
  if (left === null || right === null || !isCheapFactor(body.x) || !isCheapFactor(body.y)) return null;
  return { left, right, factors, ...sortedAxes(axes, movesIn(body.x), movesIn(body.y)) };
}

/** The same product with its sides exchanged. */
export function transposedFactors({ factors, ...contraction }: FactoredContraction): FactoredContraction {
  return { ...transposed(contraction), factors: { left: factors.right, right: factors.left } };
}

/** Whether a value may be made wherever a product reads it: of few loads, by no more than arithmetic. */
export function isCheapFactor(factor: Scalar): boolean {
  const scalars = scalarsOf(factor);
  const isSimple = (scalar: Scalar): boolean => {
    switch (scalar.kind) {
      case "unary":
        return unaryCosts[scalar.op].again <= 1;
      case "binary":
        return binaryCosts[scalar.op].again <= 1;
      case "threefry":
      case "gather":
      case "accumulator":
        return false;
      default:
        return true;
    }
  };
  const loads = scalars.filter(({ kind }) => kind === "load").length;
  return loads <= mostLoads && scalars.length <= mostScalars && scalars.every(isSimple);
}

const firstLoad = (factor: Scalar): Load | null => scalarsOf(factor).find((scalar) => scalar.kind === "load") ?? null;

/** Whether a value is another one from point to point of an axis. */
function movesIn(factor: Scalar): (axis: number) => boolean {
  const scalars = scalarsOf(factor);
  return (axis) =>
    scalars.some((scalar) =>
      scalar.kind === "region" ? scalar.axis === axis : hasAddress(scalar) && at(scalar.at.coefficients, axis) !== 0,
    );
}

function sortedAxes(
  axes: Kernel["axes"],
  inLeft: (axis: number) => boolean,
  inRight: (axis: number) => boolean,
): Pick<Contraction, "batch" | "rows" | "columns" | "depth"> {
  const parallel = axesOf(axes, "parallel");
  return {
    batch: parallel.filter((axis) => inLeft(axis) === inRight(axis)),
    rows: parallel.filter((axis) => inLeft(axis) && !inRight(axis)),
    columns: parallel.filter((axis) => inRight(axis) && !inLeft(axis)),
    depth: axesOf(axes, "reduce"),
  };
}

/** Whether a kernel sums products of which each factor is in several, as those of two matrices are: what is loaded can be used again. */
export function reusesLoads(kernel: Pick<Kernel, "axes" | "reduction">): boolean {
  const contraction = contractionOf(kernel);
  return contraction !== null && contraction.rows.length > 0 && contraction.columns.length > 0;
}

/** The same product with its sides exchanged: rows are columns. */
export function transposed({ left, right, rows, columns, ...rest }: Contraction): Contraction {
  return { ...rest, left: right, right: left, rows: columns, columns: rows };
}

/** Two axes that go along one dimension of an image: `stride * position + dilation * tap`, in steps of some size. */
export type Window = {
  readonly position: number;
  readonly tap: number;
  readonly stride: number;
  readonly dilation: number;
};

/**
 * A product whose left side is an image read through overlapping windows. In the names of a convolution over images:
 *
 *     forward          y[n, o, y, x] = sum over c, ky, kx of image[n, c, y + ky, x + kx] * filter[o, c, ky, kx]
 *     filterGradient   y[o, c, ky, kx] = sum over n, y, x of image[n, c, y + ky, x + kx] * cotangent[n, o, y, x]
 *
 * The gradient of the image is a forward convolution of a padded cotangent.
 */
export type Convolution = {
  readonly kind: "forward" | "filterGradient";
  readonly image: Load;
  /** The filter, or the cotangent. */
  readonly other: Load;
  readonly groups: readonly number[];
  readonly n: readonly number[];
  readonly o: readonly number[];
  readonly c: readonly number[];
  /** One for each dimension of the image, the one with the largest steps first: (y, ky), (x, kx). */
  readonly windows: readonly Window[];
};

/**
 * The convolution that a contraction is, or null. Windows that don't overlap, as those of a patch embedding or of 1x1 filters, make
 * none: such a contraction is a plain product.
 */
export function convolutionOf({ axes }: Pick<Kernel, "axes">, contraction: Contraction): Convolution | null {
  const size = (axis: number): number => at(axes, axis).size;
  for (const { left: image, right: other, batch, rows, columns, depth } of [contraction, transposed(contraction)]) {
    const pairs = overlaps(image, rows, depth, size);
    if (pairs === null || pairs.length === 0) continue;
    // Both kinds correlate an image with what is smaller than it or as small: of a filter gradient, the taps are results.
    const points = (of: readonly number[]): number => of.reduce((product, axis) => product * size(axis), 1);
    const kind =
      points(pairs.map(([, inner]) => inner)) <= points(pairs.map(([outer]) => outer)) ? "forward" : "filterGradient";
    const free = rows.filter((axis) => pairs.every(([outer]) => outer !== axis));
    const summed = depth.filter((axis) => pairs.every(([, inner]) => inner !== axis));
    return {
      kind,
      image,
      other,
      groups: batch,
      o: columns,
      n: kind === "forward" ? free : summed,
      c: kind === "forward" ? summed : free,
      windows: pairs
        .map(([outer, inner]) => (kind === "forward" ? windowOf(image, outer, inner) : windowOf(image, inner, outer)))
        .sort((a, b) => stepOf(image, b.tap) / b.dilation - stepOf(image, a.tap) / a.dilation),
    };
  }
  return null;
}

/** The pairs of a row's and a sum's axis along one dimension of `load`; null if an axis goes along one with several. */
function overlaps(
  load: Load,
  rows: readonly number[],
  depth: readonly number[],
  size: (axis: number) => number,
): readonly (readonly [number, number])[] | null {
  const pairs = rows.flatMap((outer) =>
    depth.filter((inner) => overlap(load, outer, inner, size)).map((inner) => [outer, inner] as const),
  );
  const isOnce = new Set(pairs.flat()).size === 2 * pairs.length;
  return isOnce ? pairs : null;
}

/** Whether different points on two axes read the same element. */
function overlap(load: Load, one: number, other: number, size: (axis: number) => number): boolean {
  if (!moves(load, one) || !moves(load, other)) return false;
  const { stride, dilation } = windowOf(load, one, other);
  return stride < size(other) && dilation < size(one);
}

function windowOf(load: Load, position: number, tap: number): Window {
  const unit = greatestDivisor(stepOf(load, position), stepOf(load, tap));
  return { position, tap, stride: stepOf(load, position) / unit, dilation: stepOf(load, tap) / unit };
}

/** Names for the axes of a kernel: those of the convolution or product that it is, else their roles; numbered where several have one. */
export function axisNames(kernel: Pick<Kernel, "axes" | "reduction">): readonly string[] {
  const names = kernel.axes.map(({ role }): string => role);
  const name = (text: string, axes: readonly number[]): void => axes.forEach((axis) => (names[axis] = text));
  const contraction = contractionOf(kernel);
  const convolution = contraction === null ? null : convolutionOf(kernel, contraction);
  if (convolution !== null) {
    const { groups: group, n, o, c, windows } = convolution;
    for (const [text, axes] of Object.entries({ group, n, o, c })) name(text, axes);
    const dimensions = windows.length > 2 ? windows.map((_, d) => `d${d}`) : ["y", "x"].slice(-windows.length);
    windows.forEach(({ position, tap }, d) => {
      name(at(dimensions, d), [position]);
      name(`k${at(dimensions, d)}`, [tap]);
    });
  } else if (contraction !== null) {
    const { batch, rows: row, columns: column, depth } = contraction;
    for (const [text, axes] of Object.entries({ batch, row, column, depth })) name(text, axes);
  }
  return names.map((text, axis) => {
    const isAlone = names.every((other, i) => i === axis || other !== text);
    return isAlone ? text : `${text}${names.slice(0, axis).filter((other) => other === text).length}`;
  });
}

const axesOf = (axes: Kernel["axes"], wanted: "parallel" | "reduce"): readonly number[] =>
  axes.flatMap(({ role }, axis) => (role === wanted ? [axis] : []));

const stepOf = ({ at: { coefficients } }: Load, axis: number): number => Math.abs(at(coefficients, axis));
const moves = (load: Load, axis: number): boolean => stepOf(load, axis) !== 0;
const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
