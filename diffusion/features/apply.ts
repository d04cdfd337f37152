import {
  add,
  clamp,
  concat,
  conv2d,
  EvenkeelError,
  maximum,
  mean,
  multiply,
  pad,
  relu,
  reshape,
  type Shape,
  slice,
  type Tensor,
  tensor,
} from "../../engine/index.ts";
import { convolutionArrays, type FeatureNetwork, type NetworkStep, type StepPadding } from "./network.ts";

/**
 * Features [N, dimension] of images x [N, 3, size, size] in 0..1.
 * @throws EvenkeelError `shape` if weights are missing or don't fit, or the features are of another length.
 */
export function applyNetwork(network: FeatureNetwork, weights: Readonly<Record<string, Tensor>>, x: Tensor): Tensor {
  const results = new Map([[network.input, x]]);
  for (const step of network.steps) results.set(step.name, applyStep(step, results, weights));
  const output = take(results, network.output, "the output");
  const wanted = [x.shape[0], network.dimension, 1, 1];
  if (output.shape.join() !== wanted.join()) {
    throw new EvenkeelError(
      "shape",
      `feature network: ${network.output} is [${output.shape.join(", ")}], expected [${wanted.join(", ")}].`,
    );
  }
  return reshape(output, wanted.slice(0, 2) as unknown as Shape);
}

function take(values: ReadonlyMap<string, Tensor>, name: string, user: string): Tensor {
  const value = values.get(name);
  if (value !== undefined) return value;
  throw new EvenkeelError("shape", `feature network: ${user} uses ${name}, which no step before it makes.`);
}

function applyStep(
  step: NetworkStep,
  results: ReadonlyMap<string, Tensor>,
  weights: Readonly<Record<string, Tensor>>,
): Tensor {
  const result = (name: string): Tensor => take(results, name, step.name);
  switch (step.kind) {
    case "scale":
      return add(multiply(result(step.input), step.factor), step.shift);
    case "conv": {
      const { weight, bias } = convolutionArrays(step.name);
      const [w, b] = [weights[weight], weights[bias]];
      if (w === undefined || b === undefined) {
        throw new EvenkeelError("shape", `feature network: the weights lack ${w === undefined ? weight : bias}.`);
      }
      const { stride, groups } = step;
      return add(
        conv2d(result(step.input), w, { stride, padding: step.padding, groups }),
        reshape(b, [1, b.size, 1, 1]),
      );
    }
    case "relu":
      return step.maximum === null ? relu(result(step.input)) : clamp(result(step.input), 0, step.maximum);
    case "add":
      return step.inputs.map(result).reduce((sum, part) => add(sum, part));
    case "concat":
      return concat(step.inputs.map(result), 1);
    case "maxPool":
      return pool(result(step.input), step, "max");
    case "averagePool":
      return pool(result(step.input), step, "average");
  }
}

type Window = {
  readonly window: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: StepPadding;
};

/**
 * Largest value or mean of each window. Padding takes no part: it is the least number of a maximum and isn't counted in a mean,
 * as TensorFlow has it.
 */
function pool(x: Tensor, { window, stride, padding }: Window, kind: "max" | "average"): Tensor {
  const extents = [x.shape[2] ?? 0, x.shape[3] ?? 0] as const;
  const sides =
    padding === "same" ? extents.map((size, d) => sameSides(size, window[d] ?? 1, stride[d] ?? 1)) : padding;
  const padded = sides.flat().some((width) => width > 0);
  if (kind === "average" && !padded && window.every((size, d) => size === extents[d])) {
    return mean(x, { axes: [2, 3], keepAxes: true });
  }
  const border = kind === "max" ? -Infinity : 0;
  const combine = kind === "max" ? maximum : add;
  const around = [[0, 0], [0, 0], ...sides] as (readonly [number, number])[];
  // A window is a column of rows: one direction after the other.
  let result = padded ? pad(x, around, border) : x;
  for (const d of [0, 1] as const) result = slide(result, 2 + d, window[d], stride[d], combine);
  if (kind === "max") return result;
  const counts = [0, 1].map((d) => {
    const [before = 0] = sides[d] ?? [];
    return windowCounts(extents[d] ?? 0, result.shape[2 + d] ?? 0, window[d] ?? 1, stride[d] ?? 1, before);
  });
  const weights = (counts[0] ?? []).flatMap((rows) => (counts[1] ?? []).map((columns) => 1 / (rows * columns)));
  return multiply(result, tensor(weights, { shape: [1, 1, result.shape[2] ?? 0, result.shape[3] ?? 0] }));
}

function sameSides(size: number, window: number, stride: number): readonly [number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + window - size);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

function slide(
  x: Tensor,
  axis: number,
  window: number,
  stride: number,
  combine: (a: Tensor, b: Tensor) => Tensor,
): Tensor {
  const count = Math.floor(((x.shape[axis] ?? 0) - window) / stride) + 1;
  const parts = Array.from({ length: window }, (_, offset) =>
    slice(
      x,
      x.shape.map((_size, i) => (i === axis ? [offset, offset + (count - 1) * stride + 1, stride] : null)),
    ),
  );
  return parts.reduce(combine);
}

/** How many elements of the image each window sees along an axis. */
function windowCounts(size: number, count: number, window: number, stride: number, before: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => {
    const start = i * stride - before;
    return Math.min(start + window, size) - Math.max(start, 0);
  });
}
