/** Images read between their pixels, at places that are themselves values. */
import {
  absolute,
  add,
  and,
  cast,
  clamp,
  divide,
  equal,
  expandDims,
  floor,
  gather,
  greater,
  greaterEqual,
  iota,
  less,
  lessEqual,
  maximum,
  mean,
  minimum,
  multiply,
  or as either,
  permute,
  reduceMax,
  reshape,
  round,
  split,
  squeeze,
  subtract,
  type Tensor,
  where,
  zerosLike,
} from "../../engine/index.ts";
import { flag, float, integer, oneOf } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { entry, upTo } from "./axes.ts";

type Padding = "zeros" | "border" | "reflection";

/** Places folded back at both ends of an axis: at the outermost pixels' centres, or at their edges. */
function reflected(place: Tensor, size: number, isAligned: boolean): Tensor {
  const [low, high] = isAligned ? [0, size - 1] : [-0.5, size - 0.5];
  const span = high - low;
  if (span === 0) return zerosLike(place);
  const away = absolute(subtract(place, low));
  const turns = floor(divide(away, span));
  const rest = subtract(away, multiply(turns, span));
  const isEven = equal(subtract(turns, multiply(floor(multiply(turns, 0.5)), 2)), 0);
  return clamp(where(isEven, add(rest, low), subtract(high, rest)), 0, size - 1);
}

/** Keys' cubic kernel with slope -3/4 at distance 1. */
function cubic(distance: Tensor): Tensor {
  const a = -0.75;
  const d = absolute(distance);
  const near = add(multiply(multiply(subtract(multiply(d, a + 2), a + 3), d), d), 1);
  const far = multiply(a, subtract(multiply(add(multiply(subtract(d, 5), d), 8), d), 4));
  return where(lessEqual(d, 1), near, where(less(d, 2), far, 0));
}

/** x [N, C, H, W] at the places of grid [N, H', W', 2], each (x, y) from -1 to 1. */
function gridSample(
  call: NodeCall,
  mode: "nearest" | "linear" | "cubic",
  padding: Padding,
  isAligned: boolean,
): Tensor {
  const [image, grid] = [call.tensor(0), call.tensor(1)];
  if (image.rank !== 4) throw call.error("shape", `samples ${image.rank - 2} spatial axes, expected 2.`);
  const [n, channels, height, width] = upTo(4).map((i) => entry(call, image.shape, i)) as [
    number,
    number,
    number,
    number,
  ];
  const rows = reshape(permute(image, [0, 2, 3, 1]), [n * height * width, channels]);
  const places = [n, entry(call, grid.shape, 1), entry(call, grid.shape, 2)];
  const first = multiply(iota(places, 0), height * width);
  const inPixels = (unit: Tensor, size: number): Tensor =>
    isAligned ? multiply(add(unit, 1), (size - 1) / 2) : multiply(subtract(multiply(add(unit, 1), size), 1), 0.5);
  const settled = (place: Tensor, size: number): Tensor => {
    if (padding === "border") return clamp(place, 0, size - 1);
    return padding === "reflection" ? reflected(place, size, isAligned) : place;
  };
  const [unitX = grid, unitY = grid] = split(grid, [1, 1], -1).map((part) => squeeze(part, -1));
  const [x, y] = [inPixels(unitX, width), inPixels(unitY, height)];
  /** Pixels at whole places; zero outside. */
  const pixel = (px: Tensor, py: Tensor): Tensor => {
    const isInside = [
      greaterEqual(px, 0),
      lessEqual(px, width - 1),
      greaterEqual(py, 0),
      lessEqual(py, height - 1),
    ].reduce(and);
    const row = multiply(cast(clamp(py, 0, height - 1), "i32"), width);
    const index = add(add(row, cast(clamp(px, 0, width - 1), "i32")), first);
    return where(expandDims(isInside, -1), gather(rows, index, 0), 0);
  };
  const weighted = (value: Tensor, weight: Tensor): Tensor => multiply(value, expandDims(weight, -1));
  const sampled = (): Tensor => {
    if (mode === "nearest") return pixel(round(settled(x, width)), round(settled(y, height)));
    if (mode === "linear") {
      const [sx, sy] = [settled(x, width), settled(y, height)];
      const [x0, y0] = [floor(sx), floor(sy)];
      const [fx, fy] = [subtract(sx, x0), subtract(sy, y0)];
      const corners = [0, 1].flatMap((dy) =>
        [0, 1].map((dx) =>
          weighted(
            pixel(add(x0, dx), add(y0, dy)),
            multiply(dx === 0 ? subtract(1, fx) : fx, dy === 0 ? subtract(1, fy) : fy),
          ),
        ),
      );
      return corners.reduce(add);
    }
    const [x0, y0] = [floor(x), floor(y)];
    const taps = [-1, 0, 1, 2];
    const all = taps.flatMap((dy) =>
      taps.map((dx) =>
        weighted(
          pixel(settled(add(x0, dx), width), settled(add(y0, dy), height)),
          multiply(cubic(subtract(subtract(x, x0), dx)), cubic(subtract(subtract(y, y0), dy))),
        ),
      ),
    );
    return all.reduce(add);
  };
  return permute(sampled(), [0, 3, 1, 2]);
}

type RoiAttributes = {
  readonly output_height: number;
  readonly output_width: number;
  readonly sampling_ratio: number;
  readonly spatial_scale: number;
  readonly mode: "avg" | "max";
};

/** Means (or maxima) over the cells of rectangles of an image. @param isCentred whether pixels' centres are at halves */
function roiAlign(call: NodeCall, attributes: RoiAttributes, isCentred: boolean): Tensor {
  const [x, rois, batch] = [call.tensor(0), call.tensor(1), cast(call.tensor(2), "i32")];
  const { output_height: rowsOut, output_width: columnsOut, sampling_ratio: ratio, spatial_scale: scale } = attributes;
  if (ratio === 0) {
    throw call.error(
      "value",
      "sampling_ratio 0 takes as many samples as rectangles are large, which can't be expressed. Export it with a number.",
    );
  }
  const [n, channels, height, width] = upTo(4).map((i) => entry(call, x.shape, i)) as [number, number, number, number];
  const count = entry(call, rois.shape, 0);
  const [left, top, right, bottom] = split(rois, [1, 1, 1, 1], 1).map((part) =>
    subtract(multiply(part, scale), isCentred ? 0.5 : 0),
  ) as [Tensor, Tensor, Tensor, Tensor];
  const lengthOf = (a: Tensor, b: Tensor): Tensor => (isCentred ? subtract(b, a) : maximum(subtract(b, a), 1));
  /** Where samples are: [rectangles, cells * samples]. */
  const samples = (start: Tensor, length: Tensor, cells: number): Tensor => {
    const within = add(multiply(iota([1, cells * ratio], 1, "f32"), 1 / ratio), 0.5 / ratio);
    return add(start, multiply(divide(length, cells), within));
  };
  const settle = (place: Tensor, size: number) => {
    const inside = clamp(place, 0, size - 1);
    const low = floor(inside);
    const high = minimum(add(low, 1), size - 1);
    return { isOutside: either(less(place, -1), greater(place, size)), low, high, part: subtract(inside, low) };
  };
  const across = settle(samples(left, lengthOf(left, right), columnsOut), width);
  const down = settle(samples(top, lengthOf(top, bottom), rowsOut), height);
  const wide = (value: Tensor): Tensor => expandDims(value, 1);
  const tall = (value: Tensor): Tensor => expandDims(value, 2);
  const first = reshape(multiply(batch, height * width), [count, 1, 1]);
  const rows = reshape(permute(x, [0, 2, 3, 1]), [n * height * width, channels]);
  const terms = (["low", "high"] as const).flatMap((dy) =>
    (["low", "high"] as const).map((dx) => {
      const place = add(multiply(cast(tall(down[dy]), "i32"), width), cast(wide(across[dx]), "i32"));
      const weightY = dy === "low" ? subtract(1, down.part) : down.part;
      const weightX = dx === "low" ? subtract(1, across.part) : across.part;
      return multiply(gather(rows, add(place, first), 0), expandDims(multiply(tall(weightY), wide(weightX)), -1));
    }),
  );
  const isMax = attributes.mode === "max";
  const isOutside = expandDims(either(tall(down.isOutside), wide(across.isOutside)), -1);
  const sampled = where(isOutside, 0, terms.reduce(isMax ? maximum : add));
  const cells = reshape(sampled, [count, rowsOut, ratio, columnsOut, ratio, channels]);
  return permute(isMax ? reduceMax(cells, { axes: [2, 4] }) : mean(cells, { axes: [2, 4] }), [0, 3, 1, 2]);
}

const paddingAttribute = oneOf(["zeros", "border", "reflection"]).or("zeros");

const roiAttributes = {
  mode: oneOf(["avg", "max"]).or("avg"),
  output_height: integer.or(1),
  output_width: integer.or(1),
  sampling_ratio: integer.or(0),
  spatial_scale: float.or(1),
};

export const samplings: OperatorTable = {
  GridSample: [
    operator({
      since: 16,
      attributes: {
        align_corners: flag(false),
        mode: oneOf(["bilinear", "nearest", "bicubic"]).or("bilinear"),
        padding_mode: paddingAttribute,
      },
      build: (call, { align_corners: isAligned, mode, padding_mode: padding }) => {
        const names = { bilinear: "linear", nearest: "nearest", bicubic: "cubic" } as const;
        return gridSample(call, names[mode], padding, isAligned);
      },
    }),
    operator({
      since: 20,
      attributes: {
        align_corners: flag(false),
        mode: oneOf(["linear", "nearest", "cubic"]).or("linear"),
        padding_mode: paddingAttribute,
      },
      build: (call, { align_corners: isAligned, mode, padding_mode: padding }) =>
        gridSample(call, mode, padding, isAligned),
    }),
  ],
  RoiAlign: [
    operator({
      since: 10,
      attributes: roiAttributes,
      build: (call, attributes) => roiAlign(call, attributes, false),
    }),
    operator({
      since: 16,
      attributes: {
        ...roiAttributes,
        coordinate_transformation_mode: oneOf(["half_pixel", "output_half_pixel"]).or("half_pixel"),
      },
      build: (call, attributes) =>
        roiAlign(call, attributes, attributes.coordinate_transformation_mode === "half_pixel"),
    }),
  ],
};
