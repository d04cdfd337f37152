/** Instructions that take and put elements by indices, accumulate along axes, and order, for random programs. */
import { at, sameShape } from "../../../engine/graph/shape.ts";
import {
  and,
  argsort,
  broadcastTo,
  cumulativeProduct,
  cumulativeSum,
  diag,
  dynamicSlice,
  dynamicUpdateSlice,
  flip,
  gather,
  gatherNd,
  iota,
  keepLowerTriangle,
  keepUpperTriangle,
  maximum,
  minimum,
  oneHot,
  pad,
  product,
  reshape,
  roll,
  scatterAdd,
  scatterAlongAxis,
  type ScatterMode,
  scatterNd,
  slice,
  sort,
  stack,
  takeAlongAxis,
  tile,
  topK,
} from "../../../engine/index.ts";
import {
  axisOf,
  choose,
  firstElement,
  flat,
  type Instructed,
  type Instructions,
  lifted,
  numeric,
  ofRank,
  someIndex,
  toDtype,
} from "./operands.ts";

// Products sort first: programs of many of them would take most of the time.
const modes: readonly ScatterMode[] = ["set", "add", "max", "min", "set", "add", "max", "multiply"];

/** Elements taken and put by indices. */
const indexed: readonly Instructed[] = [
  ({ any, of, choices: [c] }) => {
    const x = lifted(any(0));
    return x.size === 0 ? undefined : takeAlongAxis(x, someIndex(x, of(1, "i32"), axisOf(x, c)), axisOf(x, c));
  },
  ({ any, of, choices: [c, d] }) => {
    const x = lifted(any(0));
    if (x.size === 0) return undefined;
    const y = toDtype(any(2), x.dtype);
    const values = sameShape(y.shape, x.shape) ? y : broadcastTo(firstElement(y), x.shape);
    const mode = x.dtype === "bool" ? "set" : choose(modes, d);
    return scatterAlongAxis(x, someIndex(x, of(1, "i32"), axisOf(x, c)), values, axisOf(x, c), mode);
  },
  ({ any, of, choices: [c, d] }) => {
    const x = ofRank(any(0), 3);
    if (x.size === 0) return undefined;
    const counts = [(c % 3) + 1, (d % 2) + 1];
    const places = stack(
      [0, 1].map((axis) => someIndex(x, of(1, "i32"), axis)).map((index) => slice(flat(index), [[0, 1]])),
    );
    const indices = broadcastTo(reshape(slice(places, [[0, at(counts, 1)]]), [1, at(counts, 1)]), [
      at(counts, 0),
      at(counts, 1),
    ]);
    const taken = gatherNd(x, indices);
    return c % 2 === 0 ? taken : scatterNd(x, indices, taken, x.dtype === "bool" ? "set" : choose(modes, d));
  },
  ({ any, of, choices: [c, d] }) => {
    const x = lifted(any(0));
    const size = x.shape.map((extent, axis) => ((c >> axis) % 2 === 0 ? extent : Math.ceil(extent / 2)));
    const start = x.shape.map((extent, axis) =>
      (d >> axis) % 2 === 0
        ? extent - at(size, axis)
        : minimum(and(firstElement(of(1, "i32")), 3), extent - at(size, axis)),
    );
    if (c % 3 === 0) return dynamicSlice(x, start, size);
    const update = slice(
      flip(x, []),
      size.map((extent) => [0, extent] as const),
    );
    return dynamicUpdateSlice(x, update, start);
  },
];

/** Running sums and products, and what moves along axes and diagonals. */
const accumulated: readonly Instructed[] = [
  ({ any, of, choices: [c, d] }) => {
    const options = { exclusive: d % 2 === 1, reverse: d % 3 === 1 };
    const x = lifted(c % 2 === 0 ? numeric(any(0)) : of(0, "f32"));
    return choose([cumulativeSum, cumulativeProduct], c >> 1)(x, axisOf(x, c), options);
  },
  ({ any, choices: [c, d] }) => {
    const x = numeric(lifted(any(0)));
    return product(x, { axes: d % 5 === 0 ? undefined : axisOf(x, c), keepAxes: d % 2 === 1 });
  },
  ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    return d % 2 === 0 ? roll(x, (d % 7) - 3, axisOf(x, c)) : tile(x, x.rank < 3 ? [(c % 2) + 1, 2] : [2]);
  },
  ({ any, choices: [c, d] }) => {
    const x = ofRank(any(0), 2);
    if (x.dtype === "bool" || x.size === 0) return undefined;
    return choose([diag, keepLowerTriangle, keepUpperTriangle], c)(x, d % 2 === 0 ? -(d % at(x.shape, 0)) : 0);
  },
];

/** Gathers, scatters, running sums, orders, and what is made of indices alone. */
export const indexing: Instructions = {
  gather: ({ any, of, choices: [c] }) => {
    const x = lifted(any(0));
    const size = at(x.shape, axisOf(x, c));
    if (size === 0) return undefined;
    const index = minimum(maximum(of(1, "i32"), 0), size - 1);
    return gather(x, index.rank > 1 ? reshape(index, [index.size]) : index, axisOf(x, c));
  },
  scatterAdd: ({ any, of, choices: [c, d] }) => {
    const x = numeric(lifted(any(0)));
    const [axis, size] = [axisOf(x, c), (d % 9) + 1];
    // As many rows as the axis has: some of the given ones, and 0 for those that are missing.
    const given = flat(of(1, "i32"));
    const count = at(x.shape, axis);
    const rows = pad(slice(given, [[0, Math.min(count, given.size)]]), [[0, Math.max(0, count - given.size)]]);
    return scatterAdd(x, minimum(maximum(rows, 0), size - 1), size, axis);
  },
  indexed: (context) => choose(indexed, context.choices[0] >> 2)(context),
  accumulated: (context) => choose(accumulated, context.choices[1] >> 3)(context),
  order: ({ any, choices: [c, d] }) => {
    const x = numeric(lifted(any(0)));
    const axis = axisOf(x, c);
    if (d % 3 === 2) return topK(x, Math.min(at(x.shape, axis), (d % 4) + 1), { axis, largest: d % 2 === 0 }).values;
    return choose([sort, argsort], d)(x, { axis, descending: c % 2 === 1 });
  },
  oneHot: ({ of, choices: [c] }) => oneHot(of(0, "i32"), (c % 5) + 1),
  iota: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    return iota(x.shape, axisOf(x, c), choose(["f32", "i32", "u32"] as const, d));
  },
};
