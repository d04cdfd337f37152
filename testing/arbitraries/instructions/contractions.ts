/** Instructions that sum products, for random programs: of matrices, of windows, of any axes. */
import { makeNode } from "../../../engine/graph/graph.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  conv2d,
  conv3d,
  convTranspose3d,
  einsum,
  matmul,
  permute,
  reshape,
  slice,
  Tensor,
  transpose,
} from "../../../engine/index.ts";
import { choose, type Context, firstElement, type Instructions, lifted, ofRank } from "./operands.ts";

/** Products of matrices, and convolutions of images. */
export const matmulsAndConv: Instructions = {
  matmul: ({ of, choices: [c] }) => {
    const x = ofRank(of(0, "f32"), 2);
    const y = ofRank(of(1, "f32"), 2);
    if (x.shape[1] === y.shape[0]) return matmul(x, y);
    if (x.shape[1] === y.shape[1]) return matmul(x, transpose(y));
    return c % 2 === 0 ? matmul(x, transpose(x)) : matmul(transpose(x), x);
  },
  batchMatmul: ({ of, choices: [c] }) => {
    const x = ofRank(of(0, "f32"), 3);
    return matmul(x, c % 2 === 0 ? transpose(x) : transpose(slice(x, [[0, Math.min(1, at(x.shape, 0))]])));
  },
  conv: convInstruction,
};

/** Sums over named axes, and convolutions of volumes. */
export const otherContractions: Instructions = {
  einsum: ({ of, choices: [c] }) => {
    const x = lifted(of(0, "f32"));
    const forms = [
      () => einsum("...a,...a", x, x),
      () => einsum("a...,a...->a", x, x),
      () => einsum("...a,...a,...a->a...", x, x, x),
      () => einsum("...a,b->b...", x, reshape(firstElement(x), [1])),
    ];
    return choose(forms, c)();
  },
  otherConv: ({ of, choices: [c, d] }) => {
    const x = ofRank(of(0, "f32"), 5);
    if (x.size === 0) return undefined;
    const w = slice(
      x,
      x.shape.map((size, axis) => [0, axis === 1 ? size : Math.min(size, 2)]),
    );
    if (c % 2 === 0) return conv3d(x, w, { padding: d % 2, stride: (d % 3) + 1 });
    return convTranspose3d(x, permute(w, [1, 0, 2, 3, 4]), { stride: (d % 2) + 1, outputPadding: d % 2 });
  },
};

function convInstruction({ of, choices: [c, d] }: Context): Tensor | undefined {
  const x = ofRank(of(0, "f32"), 4);
  const w = ofRank(of(1, "f32"), 4);
  if (x.size === 0 || w.size === 0) return undefined;
  const groups = at(x.shape, 1) % 2 === 0 && at(w.shape, 0) % 2 === 0 && at(x.shape, 1) > 0 && c % 2 === 1 ? 2 : 1;
  const options = { stride: (c % 3) + 1, padding: d % 3, dilation: (d % 2) + 1, groups };
  const fits =
    at(w.shape, 1) * groups === at(x.shape, 1) &&
    [2, 3].every(
      (axis) =>
        at(w.shape, axis) > 0 &&
        at(x.shape, axis) + 2 * options.padding >= options.dilation * (at(w.shape, axis) - 1) + 1,
    );
  const filter = fits ? w : reshape(slice(x, [[0, 1], null, [0, 1], [0, 1]]), [1, at(x.shape, 1), 1, 1]);
  const y = conv2d(x, filter, fits ? options : { stride: options.stride });
  if (y.node.kind !== "conv" || c % 5 < 2) return y;
  const { geometry } = y.node.attributes;
  return c % 5 < 4
    ? new Tensor(makeNode("conv", [y.node, filter.node], { role: "inputGradient", geometry }))
    : new Tensor(makeNode("conv", [x.node, y.node], { role: "filterGradient", geometry }));
}
