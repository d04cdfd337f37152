/** The law of derivatives: they are those of finite differences in float64. */
import { EvenkeelError } from "../../engine/errors.ts";
import { at, formatShape, rowMajorStrides, type Shape } from "../../engine/graph/shape.ts";
import { isTensor, type Tensor } from "../../engine/graph/tensor.ts";
import { mapTree, treeLeaves } from "../../engine/tree.ts";
import {
  agree,
  type Differentiable,
  drawRay,
  gradientOf,
  type Ray,
  type Slopes,
  slopesAlong,
  type Traced,
  traceScalar,
} from "./derivatives.ts";

const orders: readonly number[] = [1, 2];

/** Where derivatives are compared. */
export type GradientLawOptions = {
  /** 1: first derivatives only. 2: second ones, too (default). */
  readonly order?: 1 | 2;
  /** Elements of the f32 leaves are drawn evenly from `low` to `high`; default -1.5 to 1.5. */
  readonly low?: number;
  readonly high?: number;
  /** Random points, each with a random direction. Default 3. */
  readonly points?: number;
  /** The same seed draws the same points. Default 1. */
  readonly seed?: number;
};

/**
 * Compares the derivatives of a function by all f32 leaves of a tree with finite differences in float64, along random directions at random
 * points: the first ones of the function, the second ones through the squared gradient of its sum of squares. A direction has a part along
 * every element, so that a wrong derivative by any of them shows, if it is no smaller than the tolerance, which is one for the sum over all
 * elements: with a few dozen elements one that is off by 1e-4 is found, with thousands it has to be off by 1e-3 or more. Keep shapes small.
 *
 * Differences are central and extrapolated (Romberg) from steps of 2^-5; where that disagrees, as it does near a kink, steps of 2^-9, 2^-13,
 * 2^-17 and 2^-21 are tried, and one that agrees is enough: a derivative that is wrong by more than the tolerance (1e-6 of the sum of its
 * terms and what rounding makes of the differences) disagrees with all of them. A right one is refused only where a kink lies nearer than
 * 2^-21 to a point, which happens to one in a million draws for each kink that the function has within the range.
 * @param fn of a tree, gives one f32 tensor of any shape; deterministic, and differentiable almost everywhere from `low` to `high`
 * @param tree says the shapes of f32 leaves; all other leaves and static values are handed on as they are
 * @throws Error with the one element by which the derivative is wrong, at a point of simple numbers where there is one
 * @throws EvenkeelError `range` for options that compare nothing, `value` if there is nothing to differentiate, `dtype` if the function doesn't give
 * an f32 tensor
 * @example
 * ```ts
 * import { tanh, zeros } from "evenkeel/engine";
 *
 * gradientLaw(({ x, scale }) => tanh(x).multiply(scale), { x: zeros([2, 3]), scale: zeros([3]) });
 * ```
 */
export function gradientLaw<T>(fn: (tree: T) => Tensor, tree: T, options: GradientLawOptions = {}): void {
  const { order = 2, low = -1.5, high = 1.5, points = 3, seed = 1 } = options;
  if (!(Number.isInteger(points) && points > 0) || !(low < high) || !orders.includes(order)) {
    throw new EvenkeelError(
      "range",
      `gradientLaw: order ${order}, low ${low}, high ${high}, points ${points}; expected order 1 or 2, low below high, and a whole number of points above 0.`,
    );
  }
  const leaves = treeLeaves(tree).filter(({ tensor }) => tensor.dtype === "f32");
  if (leaves.every(({ tensor }) => tensor.size === 0)) {
    throw new EvenkeelError("value", "gradientLaw: the tree has no elements of dtype f32 to differentiate by.");
  }
  const subject: Differentiable = {
    fn: (...inputs) => {
      let next = 0;
      const result: unknown = fn(mapTree(tree, (leaf) => (leaf.dtype === "f32" ? at(inputs, next++) : leaf)));
      if (isTensor(result) && result.dtype === "f32") return result;
      throw new EvenkeelError(
        "dtype",
        `gradientLaw: the function must give one f32 tensor, got ${isTensor(result) ? String(result) : typeof result}.`,
      );
    },
    shapes: leaves.map(({ tensor }) => tensor.shape),
    low,
    high,
  };
  for (const [of, differentiable] of [
    ["first derivative", subject],
    ["second derivative (of the squared gradient of the sum of squares)", gradientOf(subject)],
  ] as const) {
    if (order === 1 && differentiable !== subject) continue;
    for (let point = 0; point < points; point++) {
      const drawn = 2 * (seed * points + point);
      const traced = traceScalar(differentiable, drawn + 1);
      const ray = drawRay(differentiable, drawn);
      if (disagreement(traced, ray) === undefined) continue;
      throw new Error(
        explain(
          of,
          smallest(traced, ray),
          leaves.map(({ path }) => path),
          differentiable.shapes,
          seed,
        ),
      );
    }
  }
}

/** Largest steps of differences. */
const steps = [2 ** -5, 2 ** -9, 2 ** -13, 2 ** -17, 2 ** -21];

/** The slopes with the largest steps, if none agrees. */
function disagreement(traced: Traced, ray: Ray): Slopes | undefined {
  let first: Slopes | undefined;
  for (const h of steps) {
    const slopes = slopesAlong(traced, ray, h);
    if (agree(slopes)) return undefined;
    first ??= slopes;
  }
  return first;
}

type Failure = { readonly ray: Ray; readonly slopes: Slopes; readonly leaf: number; readonly element: number };

/** The failure along one element alone, at rounder numbers if they do. */
function smallest(traced: Traced, { point, along }: Ray): Failure {
  let places = along.flatMap((direction, leaf) => [...direction.keys()].map((element) => ({ leaf, element })));
  let kept: Ray = { point, along };
  while (places.length > 1) {
    const half = Math.ceil(places.length / 2);
    const halves = [places.slice(0, half), places.slice(half)].map((part) => ({ part, ray: only(kept, part) }));
    // The errors of both halves add up to that of the whole: one of them is beyond its tolerance, but for rounding.
    const failing = halves.find(({ ray }) => disagreement(traced, ray) !== undefined);
    if (failing === undefined) break;
    [places, kept] = [failing.part, failing.ray];
  }
  const unit = { point, along: kept.along.map((direction) => direction.map(Math.sign)) };
  if (places.length === 1 && disagreement(traced, unit) !== undefined) kept = unit;
  for (const digits of [0, 1, 2]) {
    const rounder = { ...kept, point: point.map((x) => x.map((value) => Number(value.toFixed(digits)))) };
    if (disagreement(traced, rounder) === undefined) continue;
    kept = rounder;
    break;
  }
  const slopes = disagreement(traced, kept) ?? slopesAlong(traced, kept);
  return { ray: kept, slopes, ...(places[0] ?? { leaf: 0, element: 0 }) };
}

/** The direction without all but some elements. */
function only({ point, along }: Ray, part: readonly { readonly leaf: number; readonly element: number }[]): Ray {
  const rest = along.map((direction) => direction.map(() => 0));
  for (const { leaf, element } of part) at(rest, leaf)[element] = along[leaf]?.[element] ?? 0;
  return { point, along: rest };
}

/** Elements of a leaf that are shown. */
const shownElements = 16;

function explain(
  of: string,
  { ray, slopes: { got, wanted, tolerance }, leaf, element }: Failure,
  paths: readonly string[],
  shapes: readonly Shape[],
  seed: number,
): string {
  const name = (path: string): string => (path === "" ? "the tensor" : path);
  const shape = at(shapes, leaf);
  let rest = element;
  const place = rowMajorStrides(shape).map((stride) => {
    const coordinate = Math.floor(rest / stride);
    rest -= coordinate * stride;
    return coordinate;
  });
  const isAlone = ray.along.flatMap((direction) => [...direction]).filter((part) => part !== 0).length === 1;
  const by = isAlone ? `by element ${formatShape(place)} of ${name(at(paths, leaf))}` : "along a random direction";
  const points = paths.map((path, i) => {
    const values = [...at(ray.point, i)];
    const more = values.length > shownElements ? ` ... (${values.length} in all)` : "";
    return `  ${name(path)} ${formatShape(at(shapes, i))} of ${values.slice(0, shownElements).join(" ")}${more}`;
  });
  const note = Number.isNaN(wanted) ? " The function isn't a number there: choose low and high within its domain." : "";
  return [
    `gradientLaw: the ${of} ${by} is ${got}, differences in float64 give ${wanted} (they may be ${tolerance} apart).${note} The point, of seed ${seed}:`,
    ...points,
  ].join("\n");
}
