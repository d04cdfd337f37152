/** Sampling images at places that are computed. */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { alongAxisShape, gatherAlong } from "./alongAxis.ts";
import { iota } from "./creation.ts";
import {
  absolute,
  add,
  and,
  cast,
  equal,
  floor,
  greaterEqual,
  isNaN,
  lessEqual,
  maximum,
  minimum,
  multiply,
  greater,
  requireDtype,
  subtract,
  where,
} from "./elementwise.ts";
import { permute, reshape, slice } from "./movement.ts";
import { round } from "./rounding.ts";

/** Options of `gridSample`. */
export type GridSampleOptions = {
  /** Default "linear": of the two nearest elements of each axis. "cubic" (of four, with a = -0.75) is for two axes. */
  readonly mode?: "nearest" | "linear" | "cubic" | undefined;
  /** What lies beyond x. Default "zeros". "reflection" mirrors at the centres of the outer elements with `alignCorners`, else at their outer edges. */
  readonly padding?: "zeros" | "border" | "reflection" | undefined;
  /** Whether -1 and 1 are the centres of the first and last elements, or their outer edges. Default false. */
  readonly alignCorners?: boolean | undefined;
};

/**
 * Values of x at the places of a grid, as PyTorch's `grid_sample` and ONNX's GridSample: x [N, C, H, W], grid [N, H', W', 2] of places (x, y)
 * from -1 to 1 to [N, C, H', W']; or x [N, C, D, H, W], grid [N, D', H', W', 3] of (x, y, z). f32. A place that is NaN is taken for
 * one before the first element, an infinite one for one far off.
 *
 * The derivative by the grid is that of the interpolation; it is 0 where padding "border" holds a place at or beyond the edge, and for
 * "nearest".
 * @throws EvenkeelError `shape` unless grid fits x
 * @example
 * ```ts
 * const middle = gridSample(tensor([[[[1, 2], [3, 4]]]]), tensor([[[[0, 0]]]]));
 * console.log(await middle.item()); // 2.5
 * ```
 */
export function gridSample(x: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
  const { mode = "linear", padding = "zeros", alignCorners = false } = options;
  const rank = x.rank - 2;
  requireDtype("gridSample (x)", x.dtype, ["f32"]);
  requireDtype("gridSample (grid)", grid.dtype, ["f32"]);
  const fits = grid.rank === x.rank && grid.shape[0] === x.shape[0] && grid.shape[grid.rank - 1] === rank;
  if (rank < 1 || rank > 3 || !fits) {
    throw new EvenkeelError(
      "shape",
      `gridSample: x ${formatShape(x.shape)} and grid ${formatShape(grid.shape)} don't fit. Expected x [N, C, H, W] and grid [N, H', W', 2] ` +
        "of places (x, y), or the same with one or three axes.",
    );
  }
  if (mode === "cubic" && rank !== 2) {
    throw new EvenkeelError(
      "value",
      `gridSample: mode "cubic" is for x [N, C, H, W], got ${formatShape(x.shape)}. Use "linear".`,
    );
  }
  const sizes = x.shape.slice(2);
  if (sizes.includes(0)) {
    throw new EvenkeelError("shape", `gridSample: x ${formatShape(x.shape)} has no elements to sample.`);
  }
  // The last entry of a place is along the first axis.
  const axes = sizes.map((size, axis) => {
    const entry = rank - 1 - axis;
    const place = slice(grid, [...grid.shape.slice(0, -1).map(() => null), [entry, entry + 1]]);
    return tapsAlong(reshape(place, grid.shape.slice(0, -1)), size, mode, padding, alignCorners);
  });
  // Rows of all channels of an element, one after the other: [N * H * W, C]
  const toLast = [0, ...sizes.map((_, axis) => axis + 2), 1];
  const channels = at(x.shape, 1);
  const rows = reshape(permute(x, toLast), [at(x.shape, 0) * sizes.reduce((a, b) => a * b, 1), channels]);
  const image = iota(grid.shape.slice(0, -1), 0);
  const corners = axes.reduce<readonly Corner[]>(
    (found, taps, axis) =>
      found.flatMap((corner) =>
        taps.map((tap) => ({
          index: add(multiply(corner.index, at(sizes, axis)), tap.index),
          weight: combined(corner.weight, tap.weight, multiply),
          isInside: combined(corner.isInside, tap.isInside, and),
        })),
      ),
    [{ index: image, weight: undefined, isInside: undefined }],
  );
  const values = corners.map(({ index, weight, isInside }) => {
    const lift = (value: Tensor): Tensor => reshape(value, [...value.shape, 1]);
    // In range as they are made: they need no check.
    const taken = gatherAlong(rows, reshape(index, alongAxisShape(index.size, 0, rows.rank)), 0);
    const read = reshape(taken, [...index.shape, ...rows.shape.slice(1)]);
    const kept = isInside === undefined ? read : where(lift(isInside), read, 0);
    return weight === undefined ? kept : multiply(kept, lift(weight));
  });
  const sum = values.reduce((left, right) => add(left, right));
  return permute(sum, [0, sum.rank - 1, ...sizes.map((_, axis) => axis + 1)]);
}

/** An element that is read: its number, its weight and whether it is on x; undefined: 1, and always. */
type Corner = {
  readonly index: Tensor;
  readonly weight: Tensor | undefined;
  readonly isInside: Tensor | undefined;
};

function combined(
  x: Tensor | undefined,
  y: Tensor | undefined,
  f: (x: Tensor, y: Tensor) => Tensor,
): Tensor | undefined {
  return x === undefined || y === undefined ? (x ?? y) : f(x, y);
}

/** What is read along one axis, for places from -1 to 1. */
function tapsAlong(
  place: Tensor,
  size: number,
  mode: NonNullable<GridSampleOptions["mode"]>,
  padding: NonNullable<GridSampleOptions["padding"]>,
  alignCorners: boolean,
): readonly Corner[] {
  const fromEdge = add(place, 1);
  const raw = alignCorners
    ? multiply(multiply(fromEdge, 0.5), size - 1)
    : multiply(subtract(multiply(fromEdge, size), 1), 0.5);
  // Beyond these nothing changes any more, or float32 can't tell places apart.
  const [least, most] = padding === "reflection" ? [-(2 ** 22), 2 ** 22] : [-4, size + 3];
  const safe = minimum(maximum(where(isNaN(raw), least, raw), least), most);
  const limit = (coordinate: Tensor): Tensor => limited(coordinate, size, padding, alignCorners);
  const read = (coordinate: Tensor, weight: Tensor | undefined): Corner => {
    const inside = minimum(maximum(coordinate, 0), size - 1);
    return {
      index: cast(inside, "i32"),
      weight,
      isInside: padding === "zeros" ? equal(inside, coordinate) : undefined,
    };
  };
  switch (mode) {
    case "nearest":
      return [read(round(limit(safe)), undefined)];
    case "linear": {
      const coordinate = limit(safe);
      const low = floor(coordinate);
      const share = subtract(coordinate, low);
      return [read(low, subtract(1, share)), read(add(low, 1), share)];
    }
    case "cubic": {
      const low = floor(safe);
      const share = subtract(safe, low);
      const weights = [far(add(share, 1)), near(share), near(subtract(1, share)), far(subtract(2, share))];
      return weights.map((weight, i) => read(limit(add(low, i - 1)), weight));
    }
  }
}

/** A coordinate in the range of x, if what lies beyond is made of x. */
function limited(
  coordinate: Tensor,
  size: number,
  padding: NonNullable<GridSampleOptions["padding"]>,
  alignCorners: boolean,
): Tensor {
  switch (padding) {
    case "zeros":
      return coordinate;
    case "border":
      return held(coordinate, size);
    case "reflection": {
      // From one mirror to the other and back is one period.
      const [first, span] = alignCorners ? [0, size - 1] : [-0.5, size];
      if (span === 0) return multiply(coordinate, 0);
      const from = absolute(subtract(coordinate, first));
      const periods = multiply(floor(multiply(from, 1 / (2 * span))), 2 * span);
      const part = subtract(from, periods);
      const folded = where(greater(part, span), subtract(2 * span, part), part);
      return held(add(folded, first), size);
    }
  }
}

/** Between 0 and size - 1; at these and beyond without a derivative. */
const held = (coordinate: Tensor, size: number): Tensor =>
  where(lessEqual(coordinate, 0), 0, where(greaterEqual(coordinate, size - 1), size - 1, coordinate));

/** Keys' cubic convolution with a = -0.75, at distances up to 1 and from there to 2. */
const a = -0.75;
const near = (d: Tensor): Tensor => add(multiply(subtract(multiply(d, a + 2), a + 3), multiply(d, d)), 1);
const far = (d: Tensor): Tensor => multiply(subtract(multiply(add(multiply(subtract(d, 5), d), 8), d), 4), a);
