/** Images read between their pixels, at places that are themselves values. */
import {
  add,
  cast,
  clamp,
  divide,
  expandDims,
  floor,
  gather,
  greater,
  gridSample,
  iota,
  less,
  maximum,
  mean,
  minimum,
  multiply,
  or as either,
  permute,
  reduceMax,
  reshape,
  split,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";
import { flag, float, integer, oneOf } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { entry, upTo } from "./axes.ts";

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
      build: (call, { align_corners: alignCorners, mode, padding_mode: padding }) => {
        const names = { bilinear: "linear", nearest: "nearest", bicubic: "cubic" } as const;
        return gridSample(call.tensor(0), call.tensor(1), { mode: names[mode], padding, alignCorners });
      },
    }),
    operator({
      since: 20,
      attributes: {
        align_corners: flag(false),
        mode: oneOf(["linear", "nearest", "cubic"]).or("linear"),
        padding_mode: paddingAttribute,
      },
      build: (call, { align_corners: alignCorners, mode, padding_mode: padding }) =>
        gridSample(call.tensor(0), call.tensor(1), { mode, padding, alignCorners }),
    }),
  ],
  RoiAlign: [
    operator({
      since: 10,
      roundabout: "regions of images, which gathers are made for here",
      attributes: roiAttributes,
      build: (call, attributes) => roiAlign(call, attributes, false),
    }),
    operator({
      since: 16,
      roundabout: "regions of images, which gathers are made for here",
      attributes: {
        ...roiAttributes,
        coordinate_transformation_mode: oneOf(["half_pixel", "output_half_pixel"]).or("half_pixel"),
      },
      build: (call, attributes) =>
        roiAlign(call, attributes, attributes.coordinate_transformation_mode === "half_pixel"),
    }),
  ],
};
