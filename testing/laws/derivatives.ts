/** Derivatives against central differences, in float64 on the oracle. */
import { evaluateGraph } from "../../engine/devices/oracle/evaluate.ts";
import { makeNode, topologicalOrder } from "../../engine/graph/graph.ts";
import { type Shape, sizeOf } from "../../engine/graph/shape.ts";
import { full, multiply, reduceSum, Tensor, vjp } from "../../engine/index.ts";

/** A function of several f32 tensors; inputs are drawn from [low, high]. */
export type Differentiable = {
  readonly fn: (...inputs: Tensor[]) => Tensor;
  readonly shapes: readonly Shape[];
  readonly low?: number;
  readonly high?: number;
};

/** A function of tensors of these shapes. */
export const on = (fn: Differentiable["fn"], ...shapes: Differentiable["shapes"]): Differentiable => ({ fn, shapes });

/** `subject` with inputs from a range where it is smooth. */
export const between = (low: number, high: number, subject: Differentiable): Differentiable => ({
  ...subject,
  low,
  high,
});

/** Numbers in [0, 1) of a seed: enough for test points. */
export function randomNumbers(seed: number): () => number {
  let state = (seed * 2654435761 + 12345) >>> 0 || 1;
  return () => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state / 2 ** 32;
  };
}

/** A scalar made of a function, and its derivatives, in float64. */
export type Traced = {
  /** The elements of fn times weights: their sum is the scalar that is differentiated. */
  readonly terms: (inputs: readonly Float64Array[]) => Float64Array;
  /** For every element of the inputs, the derivative of that scalar by it, from `vjp`. */
  readonly gradients: (inputs: readonly Float64Array[]) => Float64Array[];
  /** Roundings on the way to one element of the result, at most: one a node, and those of its longest sum. */
  readonly roundings: number;
};

/** The weighted sum of what a function gives, with weights of a seed. */
export function traceScalar({ fn, shapes }: Differentiable, weightsSeed: number): Traced {
  const nodes = shapes.map((shape, i) => makeNode("input", [], { dtype: "f32", shape, name: `x${i}` }));
  const primals = nodes.map((node) => new Tensor(node));
  const random = randomNumbers(weightsSeed);
  const weighted = (inputs: readonly Tensor[]): Tensor => {
    const y = fn(...inputs);
    // Of both signs: weights of one sign would hide what a sum of the outputs hides, as for softmax.
    const weights = Float32Array.from({ length: y.size }, () => (random() + 0.5) * (random() < 0.5 ? -1 : 1));
    return multiply(y, new Tensor(makeNode("constant", [], { dtype: "f32", shape: y.shape, data: weights })));
  };
  const { value, pullback } = vjp(weighted, primals);
  const gradients = pullback(full(value.shape, 1));
  const order = topologicalOrder([value.node]);
  const longestSum = Math.max(
    1,
    ...order.flatMap((node) => node.inputs.map((input) => sizeOf(input.shape) / Math.max(1, sizeOf(node.shape)))),
  );
  return {
    terms: (inputs) => evaluateGraph({ inputs: nodes, outputs: [value.node] }, inputs)[0] ?? new Float64Array(),
    gradients: (inputs) =>
      evaluateGraph({ inputs: nodes, outputs: gradients.map((gradient) => gradient.node) }, inputs),
    roundings: order.length + longestSum,
  };
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

/** Halvings of the step: each removes another even power of it from the error of central differences. */
const levels = 4;
const step = 2 ** -5;

/**
 * The derivative of f at 0: central differences with steps h, h/2, h/4, h/8, extrapolated to 0 (Romberg). The error is of order
 * M (h/r)^8 / 4096 for a function bounded by M within the distance r of the nearest singularity: for h = 2^-5 and r = 0.25 that
 * is 1e-11 M.
 */
function extrapolated(f: (t: number) => number, h: number): number {
  let row = Array.from(
    { length: levels },
    (_, level) => (f(h / 2 ** level) - f(-h / 2 ** level)) / ((2 * h) / 2 ** level),
  );
  for (let order = 1; order < levels; order++) {
    const factor = 4 ** order;
    row = row.slice(1).map((finer, i) => (factor * finer - (row[i] ?? NaN)) / (factor - 1));
  }
  return row[0] ?? NaN;
}

/** A point, and a direction from there. */
export type Ray = { readonly point: readonly Float64Array[]; readonly along: readonly Float64Array[] };

/** The slope that a derivative gives along a direction and that of central differences, with how far they may be apart. */
export type Slopes = { readonly got: number; readonly wanted: number; readonly tolerance: number };

/**
 * Both slopes along a ray. They may be 1e-6 of the sum of the derivative's terms apart (not of their total, which may cancel), plus what
 * rounding to float64 makes of the differences.
 * @param h the largest step
 */
export function slopesAlong({ terms, gradients, roundings }: Traced, { point, along }: Ray, h: number = step): Slopes {
  const move = (t: number): readonly Float64Array[] =>
    point.map((x, i) => x.map((element, j) => element + t * (along[i]?.[j] ?? 0)));
  const wanted = extrapolated((t) => sum(terms(move(t))), h);
  const slopes = gradients(point).flatMap((gradient, i) =>
    [...gradient].map((slope, j) => slope * (along[i]?.[j] ?? 0)),
  );
  // Differences of two roundings each, divided by the smallest step; extrapolation at most doubles them.
  const smallestStep = h / 2 ** (levels - 1);
  const rounding = (2 * roundings * 2 ** -53 * sum(terms(point).map(Math.abs))) / smallestStep;
  return { got: sum(slopes), wanted, tolerance: 1e-6 * sum(slopes.map(Math.abs)) + rounding };
}

/** Whether a derivative has the slope of central differences. */
export const agree = ({ got, wanted, tolerance }: Slopes): boolean => Math.abs(got - wanted) <= tolerance;

/** A random point of a function's inputs and a random direction from there. */
export function drawRay({ shapes, low = -1.5, high = 1.5 }: Omit<Differentiable, "fn">, seed: number): Ray {
  const random = randomNumbers(seed);
  const point = shapes.map((shape) =>
    Float64Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random()),
  );
  return { point, along: point.map((x) => x.map(() => 2 * random() - 1)) };
}

/** Asserts that the derivative along a random direction at a random point is that of central differences. @throws Error with both */
export function checkDerivative(subject: Differentiable, seed: number): void {
  const slopes = slopesAlong(traceScalar(subject, seed + 1), drawRay(subject, seed));
  if (agree(slopes)) return;
  const { got, wanted, tolerance } = slopes;
  throw new Error(`derivative ${got}, central differences ${wanted}, tolerance ${tolerance}`);
}

/** The gradient of <fn, 1> with respect to all inputs, joined to one vector: differentiating it checks second derivatives. */
export function gradientOf({ fn, shapes, ...range }: Differentiable): Differentiable {
  return {
    ...range,
    shapes,
    fn: (...inputs) => {
      const { pullback } = vjp(
        (xs: readonly Tensor[]) => reduceSum(multiply(fn(...xs), fn(...xs))),
        inputs as readonly Tensor[],
      );
      const gradients = pullback(new Tensor(makeNode("literal", [], { dtype: "f32", value: 1 })));
      return gradients.map((gradient) => reduceSum(multiply(gradient, gradient))).reduce((a, b) => a.add(b));
    },
  };
}
