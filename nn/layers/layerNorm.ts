import {
  add,
  divide,
  EvenkeelError,
  mean,
  multiply,
  type Shape,
  sqrt,
  square,
  subtract,
  type Tensor,
} from "../../engine/index.ts";
import type { ParameterSpec } from "../parameters.ts";

/** Scale and shift of each of the last axes' elements; both may be left out. */
export type LayerNormParameters<T = Tensor> = { readonly weight?: T; readonly bias?: T };

/**
 * What a norm learns over axes of this shape (a number: one axis): a scale, 1 at first, and with `hasBias` a shift, 0.
 * @example
 * ```ts
 * const { weight, bias } = describeLayerNorm(64);
 * console.log(weight?.shape, bias?.shape); // [ 64 ] [ 64 ]
 * ```
 */
export function describeLayerNorm(shape: number | Shape, hasBias = true): LayerNormParameters<ParameterSpec> {
  const sizes = typeof shape === "number" ? [shape] : shape;
  return {
    weight: { shape: sizes, role: "scale", init: { kind: "constant", value: 1 } },
    ...(hasBias ? { bias: { shape: sizes, role: "bias", init: { kind: "constant", value: 0 } } } : {}),
  };
}

/** The last axes of x, as many as parameters have; the last alone if there are none. */
function normalizedAxes(operation: string, x: Tensor, given: readonly (Tensor | undefined)[]): readonly number[] {
  const count = given.find((parameter) => parameter !== undefined)?.rank ?? 1;
  const shape = x.shape.slice(x.rank - count);
  for (const parameter of given) {
    if (parameter === undefined) continue;
    if (parameter.rank === 0 || parameter.rank > x.rank || parameter.shape.join() !== shape.join()) {
      throw new EvenkeelError(
        "shape",
        `${operation}: a parameter is [${parameter.shape.join(", ")}], expected the last axes of x [${x.shape.join(", ")}].`,
      );
    }
  }
  return Array.from({ length: count }, (_, i) => x.rank - count + i);
}

/**
 * Layer normalization (Ba et al. 2016) over the last axes, those that the parameters have (the last one if there are none): (x - mean) /
 * sqrt(variance + epsilon), times `weight`, plus `bias`. The variance is that of the population.
 * @param epsilon default 1e-5.
 * @throws EvenkeelError `shape` for parameters of other sizes.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await layerNorm(tensor([[10, 30], [0, 100]])).array()); // [ [ -1, 1 ], [ -1, 1 ] ]
 * ```
 */
export function layerNorm(x: Tensor, { weight, bias }: LayerNormParameters = {}, epsilon = 1e-5): Tensor {
  const over = { axes: normalizedAxes("layerNorm", x, [weight, bias]), keepAxes: true } as const;
  const centred = subtract(x, mean(x, over));
  const normalized = divide(centred, sqrt(add(mean(square(centred), over), epsilon)));
  const scaled = weight === undefined ? normalized : multiply(normalized, weight);
  return bias === undefined ? scaled : add(scaled, bias);
}

/**
 * Root mean square normalization (Zhang and Sennrich 2019) over the last axes, those that the weight has (the last one if there is none):
 * x / sqrt(mean(x^2) + epsilon), times `weight`.
 * @param epsilon default 2^-23, as in PyTorch.
 * @throws EvenkeelError `shape` for a weight of other sizes.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * console.log(await rmsNorm(tensor([1, 7])).array()); // [ 0.2, 1.4 ]
 * ```
 */
export function rmsNorm(x: Tensor, { weight }: { readonly weight?: Tensor } = {}, epsilon = 2 ** -23): Tensor {
  const over = { axes: normalizedAxes("rmsNorm", x, [weight]), keepAxes: true } as const;
  const normalized = divide(x, sqrt(add(mean(square(x), over), epsilon)));
  return weight === undefined ? normalized : multiply(normalized, weight);
}
