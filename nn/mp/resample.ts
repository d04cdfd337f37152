import {
  broadcastTo,
  conv2d,
  EvenkeelError,
  flip,
  mean,
  multiply,
  pad,
  reshape,
  type Tensor,
  tensor,
} from "../../engine/index.ts";

/** Same size, half or twice the width and height. */
export type ResampleMode = "keep" | "down" | "up";

/**
 * Halves or doubles x [N, C, H, W] with a separable filter of even length, e.g. [1, 1]: the mean of 2 x 2 pixels down, each
 * pixel repeated 2 x 2 up. The filter is scaled to sum 1.
 * @throws EvenkeelError `value` for a filter of odd length or sum 0, `shape` if H or W is odd when halving.
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 *
 * const x = tensor([[[[1, 3], [5, 7]]]]);
 * console.log(await resample(x, "down").item(), resample(x, "up").shape); // 4 [ 1, 1, 4, 4 ]
 * ```
 */
export function resample(x: Tensor, mode: ResampleMode, filter: readonly number[] = [1, 1]): Tensor {
  const sum = filter.reduce((a, b) => a + b, 0);
  if (filter.length === 0 || filter.length % 2 !== 0 || !Number.isFinite(sum) || sum === 0) {
    throw new EvenkeelError(
      "value",
      `resample: the filter [${filter.join(", ")}] needs an even length and a sum not 0.`,
    );
  }
  if (mode === "keep") return x;
  const [count = 0, channels = 0, height = 0, width = 0] = x.shape;
  if (mode === "down" && (height % 2 !== 0 || width % 2 !== 0)) {
    throw new EvenkeelError("shape", `resample: can't halve [${x.shape.join(", ")}]: height and width must be even.`);
  }
  const isBox = filter.length === 2 && filter[0] === filter[1];
  if (isBox) {
    if (mode === "down") return mean(reshape(x, [count, channels, height / 2, 2, width / 2, 2]), { axes: [3, 5] });
    const blocks = reshape(x, [count, channels, height, 1, width, 1]);
    return reshape(broadcastTo(blocks, [count, channels, height, 2, width, 2]), [
      count,
      channels,
      height * 2,
      width * 2,
    ]);
  }
  const kernel = tensor(filter.map((a) => filter.map((b) => (a * b) / (sum * sum))));
  const weight = broadcastTo(reshape(kernel, [1, 1, filter.length, filter.length]), [
    channels,
    1,
    filter.length,
    filter.length,
  ]);
  const half = filter.length / 2;
  if (mode === "down") return conv2d(x, weight, { stride: 2, padding: half - 1, groups: channels });
  // Up is the transpose of down: zeros between the pixels, the filter turned round, four times the weight.
  const spread = pad(reshape(x, [count, channels, height, 1, width, 1]), [
    [0, 0],
    [0, 0],
    [0, 0],
    [0, 1],
    [0, 0],
    [0, 1],
  ]);
  const stuffed = reshape(spread, [count, channels, height * 2, width * 2]);
  const sides = [half, half - 1] as const;
  return conv2d(stuffed, multiply(flip(weight, [2, 3]), 4), { padding: [sides, sides], groups: channels });
}
