/**
 * Makes every convolution a plain sum over affine addresses: padding becomes a `pad` of the input, an input gradient
 * becomes a forward convolution of the spread and padded cotangent with the flipped filter. No kernel then tests for
 * a border.
 */
import { type Graph, rewriteGraph } from "../graph/graph.ts";
import type { ConvGeometry, Node, NodeOf } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { convOfRole } from "../ops/conv.ts";
import { flip, pad, permute, reshape, slice } from "../ops/movement.ts";

export function lowerConvolutions(graph: Graph): Graph {
  return rewriteGraph(graph, (node) => (node.kind === "conv" ? lowerConvolution(node) : node));
}

function lowerConvolution(node: NodeOf<"conv">): Node {
  const { role, geometry } = node.attributes;
  const [a, b] = [new Tensor(node.inputs[0]), new Tensor(node.inputs[1])];
  switch (role) {
    case "forward": {
      const { x, plain } = padInput(a, geometry);
      return convOfRole("forward", plain, x, b).node;
    }
    case "filterGradient": {
      const { x, plain } = padInput(a, geometry);
      return convOfRole("filterGradient", plain, x, b).node;
    }
    case "inputGradient":
      return inputGradient(a, b, geometry).node;
  }
}

/** The image with exactly the rows and columns that the windows touch, and the geometry that is left to do. */
function padInput(x: Tensor, geometry: ConvGeometry): { x: Tensor; plain: ConvGeometry } {
  const extent = ([0, 1] as const).map(
    (d) => (geometry.outputSize[d] - 1) * geometry.stride[d] + (geometry.kernelSize[d] - 1) * geometry.dilation[d] + 1,
  ) as [number, number];
  const fitted = fit(x, geometry.padding, extent);
  return { x: fitted, plain: { ...geometry, inputSize: extent, padding: [0, 0] } };
}

/** Shifts the two last axes by `low` (negative: cuts) and pads or cuts them to `extent`. */
function fit(x: Tensor, low: readonly [number, number], extent: readonly [number, number]): Tensor {
  const size = [at(x.shape, 2), at(x.shape, 3)] as const;
  const ranges = ([0, 1] as const).map(
    (d) => [Math.min(size[d], Math.max(0, -low[d])), Math.min(size[d], Math.max(0, extent[d] - low[d]))] as const,
  );
  const widths = ([0, 1] as const).map((d) => {
    const [start, stop] = at(ranges, d);
    const before = Math.min(extent[d], Math.max(0, low[d]));
    return [before, extent[d] - before - Math.max(0, stop - start)] as const;
  });
  const cut = ranges.map(([start, stop]) => [start, Math.max(start, stop)] as const);
  return pad(slice(x, [null, null, at(cut, 0), at(cut, 1)]), [[0, 0], [0, 0], at(widths, 0), at(widths, 1)]);
}

function inputGradient(y: Tensor, w: Tensor, geometry: ConvGeometry): Tensor {
  const { inputSize, kernelSize, stride, dilation, padding, groups } = geometry;
  const reach = ([0, 1] as const).map((d) => (kernelSize[d] - 1) * dilation[d]) as [number, number];
  const spread = spreadOut(y, stride);
  const padded = fit(
    spread,
    [reach[0] - padding[0], reach[1] - padding[1]],
    [inputSize[0] + reach[0], inputSize[1] + reach[1]],
  );
  const [outputs, channels] = [at(w.shape, 0), at(w.shape, 1)];
  const grouped = reshape(w, [groups, outputs / groups, channels, ...kernelSize]);
  const turned = reshape(flip(permute(grouped, [0, 2, 1, 3, 4]), [3, 4]), [
    groups * channels,
    outputs / groups,
    ...kernelSize,
  ]);
  const plain: ConvGeometry = {
    inputSize: [inputSize[0] + reach[0], inputSize[1] + reach[1]],
    kernelSize,
    outputSize: inputSize,
    stride: [1, 1],
    padding: [0, 0],
    dilation,
    groups,
  };
  return convOfRole("forward", plain, padded, turned);
}

/** Zeros between rows and columns: element i moves to i * stride. */
function spreadOut(y: Tensor, stride: readonly [number, number]): Tensor {
  if ((stride[0] === 1 && stride[1] === 1) || y.size === 0) return y;
  const [batch, channels, rows, columns] = [at(y.shape, 0), at(y.shape, 1), at(y.shape, 2), at(y.shape, 3)];
  const apart = pad(reshape(y, [batch, channels, rows, 1, columns, 1]), [
    [0, 0],
    [0, 0],
    [0, 0],
    [0, stride[0] - 1],
    [0, 0],
    [0, stride[1] - 1],
  ]);
  const joined = reshape(apart, [batch, channels, rows * stride[0], columns * stride[1]]);
  return slice(joined, [null, null, [0, (rows - 1) * stride[0] + 1], [0, (columns - 1) * stride[1] + 1]]);
}
