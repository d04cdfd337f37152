/** Which elements a matrix product or a convolution multiplies and sums. */
import type { NodeOf } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { combine, type IndexExpression } from "./indexing.ts";

/** Sizes of the axes to sum over and, given their indices, the element of each operand. */
export type Multiplied = {
  readonly reduceSizes: readonly number[];
  readonly indices: (
    reduced: readonly IndexExpression[],
  ) => readonly [readonly IndexExpression[], readonly IndexExpression[]];
};

/** @param axes index of the result: [batch, row, column] */
export function matrixProduct(node: NodeOf<"matmul">, axes: readonly IndexExpression[]): Multiplied {
  const [batch, row, column] = [at(axes, 0), at(axes, 1), at(axes, 2)];
  return {
    reduceSizes: [at(node.inputs[0].shape, 2)],
    indices: ([inner]) => {
      const k = inner ?? { offset: 0, terms: [] };
      return [
        [batch, row, k],
        [batch, k, column],
      ];
    },
  };
}

/**
 * Of a convolution without padding, forward or filter gradient.
 * @param axes index of the result
 * @param group index of the group of the output channel
 */
export function convolution(
  node: NodeOf<"conv">,
  axes: readonly IndexExpression[],
  group: IndexExpression,
): Multiplied {
  const { role, geometry } = node.attributes;
  const { stride, dilation, kernelSize, outputSize, groups, padding } = geometry;
  if (role === "inputGradient" || padding[0] !== 0 || padding[1] !== 0) {
    throw new Error("convolution: must have been lowered to an unpadded one");
  }
  const [a, b] = node.inputs;
  const tap = (y: IndexExpression, ky: IndexExpression, d: 0 | 1): IndexExpression =>
    combine(ky, dilation[d], combine(y, stride[d]));
  if (role === "forward") {
    const [n, o, y, x] = [at(axes, 0), at(axes, 1), at(axes, 2), at(axes, 3)];
    const channels = at(b.shape, 1);
    return {
      reduceSizes: [channels, ...kernelSize],
      indices: (reduced) => {
        const [c, ky, kx] = [at(reduced, 0), at(reduced, 1), at(reduced, 2)];
        return [
          [n, combine(group, channels, c), tap(y, ky, 0), tap(x, kx, 1)],
          [o, c, ky, kx],
        ];
      },
    };
  }
  const [o, c, ky, kx] = [at(axes, 0), at(axes, 1), at(axes, 2), at(axes, 3)];
  return {
    reduceSizes: [at(b.shape, 0), ...outputSize],
    indices: (reduced) => {
      const [n, y, x] = [at(reduced, 0), at(reduced, 1), at(reduced, 2)];
      return [
        [n, combine(group, at(a.shape, 1) / groups, c), tap(y, ky, 0), tap(x, kx, 1)],
        [n, o, y, x],
      ];
    },
  };
}
