/** Derivatives against central differences, in float64 on the oracle. */
import assert from "node:assert/strict";
import { evaluateGraph } from "../../engine/devices/oracle/evaluate.ts";
import { makeNode } from "../../engine/graph/graph.ts";
import { type Shape, sizeOf } from "../../engine/graph/shape.ts";
import { multiply, reduceSum, Tensor, vjp } from "../../engine/index.ts";

/** A function of several f32 tensors; inputs are drawn from [low, high]. */
export type Differentiable = {
  readonly fn: (...inputs: Tensor[]) => Tensor;
  readonly shapes: readonly Shape[];
  readonly low?: number;
  readonly high?: number;
};

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

type Traced = {
  readonly value: (inputs: readonly Float64Array[]) => number;
  readonly slope: (inputs: readonly Float64Array[], along: readonly Float64Array[]) => number;
};

/** <fn(inputs), weights> and its derivative along a direction by `vjp`, as functions of float64 arrays. */
function traceScalar({ fn, shapes }: Differentiable, weightsSeed: number): Traced {
  const nodes = shapes.map((shape, i) => makeNode("input", [], { dtype: "f32", shape, name: `x${i}` }));
  const primals = nodes.map((node) => new Tensor(node));
  const random = randomNumbers(weightsSeed);
  const weighted = (inputs: readonly Tensor[]): Tensor => {
    const y = fn(...inputs);
    const weights = Float64Array.from({ length: y.size }, () => Math.fround(random() + 0.5));
    const constant = makeNode("constant", [], { dtype: "f32", shape: y.shape, data: Float32Array.from(weights) });
    return reduceSum(multiply(y, new Tensor(constant)));
  };
  const { value, pullback } = vjp(weighted, primals);
  const one = new Tensor(makeNode("literal", [], { dtype: "f32", value: 1 }));
  const gradients = pullback(one);
  return {
    value: (inputs) => evaluateGraph({ inputs: nodes, outputs: [value.node] }, inputs)[0]?.[0] ?? NaN,
    slope: (inputs, along) => {
      const values = evaluateGraph({ inputs: nodes, outputs: gradients.map((gradient) => gradient.node) }, inputs);
      return values.reduce(
        (sum, gradient, i) => sum + gradient.reduce((part, slope, j) => part + slope * (along[i]?.[j] ?? 0), 0),
        0,
      );
    },
  };
}

/**
 * Asserts that the derivative along a random direction is the limit of central differences: two steps h and h/2 combined
 * (Richardson) leave an error of order h^4 and a rounding error of 2^-52 / h; with h = 2^-9 both are far below the
 * relative 1e-6 that is asked for.
 */
export function checkDerivative(subject: Differentiable, seed: number): void {
  const random = randomNumbers(seed);
  const [low, high] = [subject.low ?? -1.5, subject.high ?? 1.5];
  const inputs = subject.shapes.map((shape) =>
    Float64Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random()),
  );
  const along = inputs.map((x) => x.map(() => 2 * random() - 1));
  const { value, slope } = traceScalar(subject, seed + 1);
  const move = (step: number): readonly Float64Array[] =>
    inputs.map((x, i) => x.map((element, j) => element + step * (along[i]?.[j] ?? 0)));
  const central = (h: number): number => (value(move(h)) - value(move(-h))) / (2 * h);
  const h = 2 ** -9 * Math.min(1, high - low);
  const wanted = (4 * central(h / 2) - central(h)) / 3;
  const got = slope(inputs, along);
  const scale = Math.max(1, Math.abs(wanted), Math.abs(value(inputs)));
  assert.ok(Math.abs(got - wanted) <= 1e-6 * scale, `derivative ${got}, central differences ${wanted}`);
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
