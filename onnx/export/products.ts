/** Matrix products and convolutions in their three roles. */
import type { ConvGeometry, NodeOf } from "../../engine/graph/node.ts";
import { at } from "../../engine/graph/shape.ts";
import type { AttributeSpec } from "../format/writeModel.ts";
import type { GraphWriter } from "./graphWriter.ts";
import { fixedSize, type Size, timesSize } from "./sizes.ts";

export const matmul = (w: GraphWriter, node: NodeOf<"matmul">): string =>
  w.op(
    "MatMul",
    node.inputs.map((input) => w.value(input)),
  );

export function conv(w: GraphWriter, node: NodeOf<"conv">): string {
  switch (node.attributes.role) {
    case "forward": {
      const [x, filters] = node.inputs;
      return convolved(w, w.value(x), w.value(filters), node.attributes.geometry, w.shape(node));
    }
    case "inputGradient":
      return inputGradient(w, node);
    case "filterGradient":
      return filterGradient(w, node);
  }
}

const axes = [0, 1] as const;

/** Rows of zeros behind the last so that exactly `outputSize` places of the filter fit; negative if rows are left over. */
function sidesBehind({ inputSize, kernelSize, outputSize, stride, padding, dilation }: ConvGeometry): number[] {
  return axes.map((i) => {
    const reach = (outputSize[i] - 1) * stride[i] + (kernelSize[i] - 1) * dilation[i] + 1;
    return reach - inputSize[i] - padding[i];
  });
}

function windowAttributes(
  { kernelSize, stride, dilation, padding, groups }: ConvGeometry,
  behind: readonly number[],
): Record<string, AttributeSpec> {
  return {
    kernel_shape: { ints: kernelSize },
    strides: { ints: stride },
    dilations: { ints: dilation },
    pads: { ints: [...padding, ...behind] },
    group: { int: groups },
  };
}

/** Rows and columns of x up to the last one that a place of the filter reaches. */
const reached = ({ inputSize }: ConvGeometry, behind: readonly number[]): number[] =>
  axes.map((i) => inputSize[i] + Math.min(0, behind[i] ?? 0));

/** x [N, C, H, W], filters w. Rows that no place of the filter reaches are cut off, since paddings can't be negative. */
function convolved(w: GraphWriter, x: string, filters: string, geometry: ConvGeometry, shape: readonly Size[]): string {
  const behind = sidesBehind(geometry);
  const ends = reached(geometry, behind);
  if (ends.some((end) => end <= 0)) return w.filled("f32", shape, 0);
  const vector = (numbers: readonly number[]): string => w.vector(numbers.map(fixedSize));
  const isWhole = behind.every((side) => side >= 0);
  const kept = isWhole ? x : w.op("Slice", [x, vector([0, 0]), vector(ends), vector([2, 3])]);
  const padding = behind.map((side) => Math.max(0, side));
  return w.op("Conv", [kept, filters], windowAttributes(geometry, padding));
}

/** y and filters to what x would be given. Rows of x that no place reaches are zeros. */
function inputGradient(w: GraphWriter, node: NodeOf<"conv">): string {
  const { geometry } = node.attributes;
  const behind = sidesBehind(geometry);
  if (reached(geometry, behind).some((end) => end <= 0)) return w.filled("f32", w.shape(node), 0);
  const padding = behind.map((side) => Math.max(0, side));
  const [y, filters] = node.inputs;
  const x = w.op("ConvTranspose", [w.value(y), w.value(filters)], windowAttributes(geometry, padding));
  if (behind.every((side) => side >= 0)) return x;
  const missing = [0, 0, 0, 0, 0, 0, ...behind.map((side) => Math.max(0, -side))];
  return w.op("Pad", [x, w.vector(missing.map(fixedSize)), w.number("f32", 0)]);
}

/**
 * Filters [groups O, C, k] of x [N, groups C, H, W] and y [N, groups O, h, w]: a convolution of x by y over images, in which the stride of
 * the one is the dilation of the other.
 */
function filterGradient(w: GraphWriter, node: NodeOf<"conv">): string {
  const { geometry } = node.attributes;
  const { groups, kernelSize, outputSize, stride, dilation } = geometry;
  const [x, y] = node.inputs;
  const channels = at(node.shape, 1);
  const images = at(w.shape(x), 0);
  const fixed = (sizes: readonly number[]): Size[] => sizes.map(fixedSize);
  const turned = (name: string, sizes: readonly Size[], order: readonly number[]): string =>
    w.op("Transpose", [w.reshape(name, sizes)], { perm: { ints: order } });
  // [C, groups N, H, W]
  const perChannel = turned(w.value(x), [images, ...fixed([groups, channels, ...x.shape.slice(2)])], [2, 1, 0, 3, 4]);
  const data = w.reshape(perChannel, [fixedSize(channels), timesSize(images, groups), ...fixed(x.shape.slice(2))]);
  // [groups O, N, h, w]
  const filters = w.op("Transpose", [w.value(y)], { perm: { ints: [1, 0, 2, 3] } });
  const swapped = { ...geometry, kernelSize: outputSize, outputSize: kernelSize, stride: dilation, dilation: stride };
  const sizes = w.shape(node);
  const made = convolved(w, data, filters, swapped, [at(sizes, 1), at(sizes, 0), ...sizes.slice(2)]);
  return w.op("Transpose", [made], { perm: { ints: [1, 0, 2, 3] } });
}
