import {
  add,
  and,
  any,
  arange,
  argmax,
  broadcastTo,
  cast,
  concat,
  equal,
  expandDims,
  gather,
  greater,
  iota,
  less,
  lowerTriangle,
  matmul,
  maximum,
  minimum,
  multiply,
  negate,
  not,
  ones,
  or,
  pad,
  permute,
  reduceMax,
  reduceMin,
  reduceSum,
  type ReduceOptions,
  reshape,
  split,
  squeeze,
  type Tensor,
  transpose,
  where,
  zeros,
} from "../../engine/index.ts";

export type WriteMode = "set" | "add" | "multiply" | "max" | "min";

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const stridesOf = (shape: readonly number[]): number[] => shape.map((_, i) => sizeOf(shape.slice(i + 1)));

function scatterFlat(data: Tensor, places: Tensor, updates: Tensor, mode: WriteMode): Tensor {
  const isHere = equal(expandDims(places, 1), expandDims(arange(data.size), 0));
  const spread = expandDims(updates, 1);
  const total = (neutral: number): Tensor => where(isHere, spread, neutral);
  switch (mode) {
    case "add":
      return add(data, reduceSum(total(0), { axes: 0 }));
    case "multiply":
      return multiply(data, product(total(1), { axes: 0 }));
    case "max":
      return maximum(data, reduceMax(total(-Infinity), { axes: 0 }));
    case "min":
      return minimum(data, reduceMin(total(Infinity), { axes: 0 }));
    case "set": {
      const last = reduceMax(where(isHere, expandDims(arange(updates.size), 1), -1), { axes: 0, keepAxes: true });
      const isLast = and(isHere, equal(expandDims(arange(updates.size), 1), last));
      return where(any(isHere, { axes: 0 }), reduceSum(where(isLast, spread, 0), { axes: 0 }), data);
    }
  }
}

function flatPlaces(index: Tensor, shape: readonly number[], axis: number): Tensor {
  const steps = stridesOf(shape);
  return index.shape.reduce<Tensor>(
    (sum, _, a) => add(sum, multiply(a === axis ? index : iota(index.shape, a), steps[a] ?? 0)),
    zeros(index.shape, "i32"),
  );
}

function rowsToPlaces(index: Tensor, shape: readonly number[]): Tensor {
  const steps = stridesOf(shape);
  const k = index.shape.at(-1) ?? 0;
  const parts = split(index, new Array<number>(k).fill(1), -1).map((part, d) =>
    multiply(squeeze(part, -1), steps[d] ?? 0),
  );
  return parts.reduce((a, b) => add(a, b), zeros(index.shape.slice(0, -1), "i32"));
}

export const takeAlongAxis = (x: Tensor, index: Tensor, axis: number): Tensor =>
  gather(reshape(x, [x.size]), flatPlaces(index, x.shape, axis));

export function scatterAlongAxis(x: Tensor, index: Tensor, values: Tensor, axis: number, mode: WriteMode): Tensor {
  const places = reshape(flatPlaces(index, x.shape, axis), [index.size]);
  return reshape(scatterFlat(reshape(x, [x.size]), places, reshape(values, [values.size]), mode), x.shape);
}

export function gatherNd(x: Tensor, indices: Tensor, batchAxes = 0): Tensor {
  const k = indices.shape.at(-1) ?? 0;
  const inner = x.shape.slice(batchAxes + k);
  const rows = reshape(x, [sizeOf(x.shape.slice(0, batchAxes + k)), sizeOf(inner)]);
  let places = rowsToPlaces(indices, x.shape.slice(batchAxes, batchAxes + k));
  for (let axis = 0; axis < batchAxes; axis++) {
    places = add(places, multiply(iota(places.shape, axis), sizeOf(x.shape.slice(axis + 1, batchAxes + k))));
  }
  return reshape(gather(rows, places, 0), [...indices.shape.slice(0, -1), ...inner]);
}

export function scatterNd(x: Tensor, indices: Tensor, values: Tensor, mode: WriteMode): Tensor {
  const k = indices.shape.at(-1) ?? 0;
  const inner = sizeOf(x.shape.slice(k));
  const n = sizeOf(indices.shape.slice(0, -1));
  const first = multiply(reshape(rowsToPlaces(indices, x.shape.slice(0, k)), [n, 1]), inner);
  const places = reshape(add(first, reshape(arange(inner), [1, inner])), [n * inner]);
  return reshape(scatterFlat(reshape(x, [x.size]), places, reshape(values, [values.size]), mode), x.shape);
}

export function cumulativeSum(
  x: Tensor,
  axis: number,
  { exclusive = false, reverse = false }: { readonly exclusive?: boolean; readonly reverse?: boolean } = {},
): Tensor {
  const size = x.shape[axis] ?? 1;
  const lower = lowerTriangle(size, size, "f32", exclusive);
  const sums = reverse ? transpose(lower) : lower;
  const rows = transpose(x.rank === 1 ? expandDims(x, 1) : x, x.rank === 1 ? 0 : axis, -1);
  const y = transpose(matmul(cast(rows, "f32"), transpose(sums)), x.rank === 1 ? 0 : axis, -1);
  return cast(reshape(y, x.shape), x.dtype);
}

export function topK(
  x: Tensor,
  k: number,
  { axis, largest }: { readonly axis: number; readonly largest: boolean },
): { readonly values: Tensor; readonly indices: Tensor } {
  const last = transpose(x, axis, -1);
  const n = last.shape.at(-1) ?? 0;
  const [mine, other] = [expandDims(last, -1), expandDims(last, -2)];
  const before = largest ? greater(other, mine) : less(other, mine);
  const index = arange(n);
  const earlier = or(before, and(equal(other, mine), less(expandDims(index, 0), expandDims(index, 1))));
  const rank = reduceSum(earlier, { axes: -1 });
  const isAt = equal(expandDims(rank, -2), reshape(arange(k), [k, 1]));
  const values = reduceSum(where(isAt, expandDims(last, -2), 0), { axes: -1 });
  const indices = reduceSum(multiply(cast(isAt, "i32"), index), { axes: -1 });
  return { values: transpose(values, axis, -1), indices: transpose(indices, axis, -1) };
}

export const argmin = (x: Tensor, axis: number, keepAxes: boolean): Tensor =>
  argmax(x.dtype === "f32" ? negate(x) : not(x), axis, keepAxes);

export function product(x: Tensor, options: ReduceOptions = {}): Tensor {
  const all = x.shape.map((_, axis) => axis);
  const given = options.axes ?? all;
  const axes = (typeof given === "number" ? [given] : given).map((axis) => (axis < 0 ? axis + x.rank : axis));
  const rest = all.filter((axis) => !axes.includes(axis));
  const restShape = rest.map((axis) => x.shape[axis] ?? 1);
  let y = reshape(permute(x, [...rest, ...axes]), [...restShape, sizeOf(axes.map((axis) => x.shape[axis] ?? 1))]);
  if (y.shape.at(-1) === 0) y = ones([...restShape, 1], x.dtype);
  for (let size = y.shape.at(-1) ?? 1; size > 1; size = Math.ceil(size / 2)) {
    const even = size % 2 === 0 ? y : pad(y, [...restShape.map(() => [0, 0] as const), [0, 1]], 1);
    const [a, b] = split(even, [Math.ceil(size / 2), Math.ceil(size / 2)], -1);
    if (a !== undefined && b !== undefined) y = multiply(a, b);
  }
  return reshape(
    y,
    options.keepAxes === true ? x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) : restShape,
  );
}

export function tile(x: Tensor, repeats: readonly number[]): Tensor {
  const apart = reshape(
    x,
    x.shape.flatMap((size) => [1, size]),
  );
  const spread = broadcastTo(
    apart,
    x.shape.flatMap((size, i) => [repeats[i] ?? 1, size]),
  );
  return reshape(
    spread,
    x.shape.map((size, i) => size * (repeats[i] ?? 1)),
  );
}

export { concat };
