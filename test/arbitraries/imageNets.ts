/** Random programs of images with channels: convolutions and what networks put around them, and their gradients. */
import fc from "fast-check";
import { at } from "../../engine/graph/shape.ts";
import {
  add,
  broadcastTo,
  concat,
  conv2d,
  grad,
  matmul,
  maximum,
  mean,
  multiply,
  pad,
  permute,
  reduceSum,
  reshape,
  slice,
  square,
  type Tensor,
} from "../../engine/index.ts";

export type ImageNet = {
  readonly batch: number;
  readonly size: readonly [number, number];
  /** Channels of the image, and inside. */
  readonly channels: readonly [number, number];
  readonly layers: readonly Layer[];
  /** Whether gradients for all that is given are outputs, too. */
  readonly gradients: boolean;
};

const layers = [
  "conv3",
  "conv3",
  "conv3",
  "conv1",
  "strided",
  "grouped",
  "clip",
  "gain",
  "pixelNorm",
  "join",
  "residual",
  "up",
  "down",
  "crop",
  "border",
  "heads",
  "turn",
  "keep",
] as const;
type Layer = (typeof layers)[number];

export const imageNets: fc.Arbitrary<ImageNet> = fc.record({
  batch: fc.constantFrom(1, 2, 2),
  size: fc.constantFrom([8, 8], [7, 9], [8, 10]),
  channels: fc.constantFrom([3, 16], [4, 16], [8, 12], [5, 9], [16, 16]),
  layers: fc.array(fc.constantFrom(...layers), { minLength: 2, maxLength: 5 }),
  gradients: fc.boolean(),
});

/** What a net is given: an image first, then a filter for each convolution, numbers for channels where there are some. */
export type Given = readonly (readonly number[])[];

/** The outputs; each array that they are made of comes from `give`, always in the same order. */
export function buildImageNet(net: ImageNet, give: (shape: readonly number[]) => Tensor): readonly Tensor[] {
  const shapes: (readonly number[])[] = [];
  // Once for the shapes, once for each function of what is given.
  outputsOf(net, (shape) => {
    shapes.push(shape);
    return give(shape);
  });
  const given = shapes.map(give);
  const run = (values: readonly Tensor[]): readonly Tensor[] => {
    let next = 0;
    return outputsOf(net, () => at(values, next++));
  };
  if (!net.gradients) return run(given);
  const loss = (values: readonly Tensor[]): Tensor =>
    run(values)
      .map((output) => reduceSum(square(output)))
      .reduce((sum, each) => add(sum, each));
  return [loss(given), ...grad(loss)(given)];
}

function outputsOf(
  { batch, size, channels, layers: wanted }: ImageNet,
  give: (shape: readonly number[]) => Tensor,
): Tensor[] {
  const [first, inner] = channels;
  const start = give([batch, first, ...size]);
  const kept: Tensor[] = [];
  let x = conv2d(start, give([inner, first, 3, 3]), { padding: 1 });
  let before = x;
  for (const layer of wanted) {
    const [n, c, h, w] = x.shape as [number, number, number, number];
    const next = ((): Tensor => {
      switch (layer) {
        case "conv3":
          return conv2d(x, give([inner, c, 3, 3]), { padding: 1 });
        case "conv1":
          return conv2d(x, give([inner, c, 1, 1]));
        case "strided":
          return conv2d(x, give([inner, c, 3, 3]), { padding: 1, stride: 2 });
        case "grouped":
          return c % 2 === 0 ? conv2d(x, give([2 * inner, c / 2, 3, 3]), { padding: 1, groups: 2 }) : x;
        case "clip":
          return maximum(x, -1);
        case "gain":
          return multiply(x, broadcastTo(reshape(give([n, c]), [n, c, 1, 1]), x.shape));
        case "pixelNorm":
          return add(x, broadcastTo(mean(square(x), { axes: [1], keepAxes: true }), x.shape));
        case "join":
          return sameSize(x, before) ? concat([x, before], 1) : x;
        case "residual":
          return sameSize(x, before) && c === before.shape[1] ? add(x, before) : x;
        case "up":
          return h * w > 100
            ? x
            : reshape(broadcastTo(reshape(x, [n, c, h, 1, w, 1]), [n, c, h, 2, w, 2]), [n, c, 2 * h, 2 * w]);
        case "down":
          return h % 2 === 0 && w % 2 === 0 ? mean(reshape(x, [n, c, h / 2, 2, w / 2, 2]), { axes: [3, 5] }) : x;
        case "crop":
          return h > 4 ? slice(x, [null, null, [1, h - 1], null]) : x;
        case "border":
          return pad(x, [
            [0, 0],
            [0, 1],
            [0, 0],
            [1, 0],
          ]);
        case "heads": {
          if (c % 2 !== 0 || h * w > 100) return x;
          const heads = reshape(x, [n * 2, c / 2, h * w]);
          return reshape(matmul(heads, matmul(permute(heads, [0, 2, 1]), heads)), x.shape);
        }
        case "turn":
          return permute(x, [0, 1, 3, 2]);
        case "keep":
          kept.push(x);
          return x;
      }
    })();
    before = x;
    x = next;
  }
  return [x, ...kept];
}

const sameSize = (one: Tensor, other: Tensor): boolean =>
  one.shape[0] === other.shape[0] && one.shape[2] === other.shape[2] && one.shape[3] === other.shape[3];
