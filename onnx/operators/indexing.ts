/** Operators that pick or write elements at places that are themselves values. Negative places count from the end. */
import {
  add,
  cast,
  dynamicUpdateSlice,
  gather,
  gatherNd,
  less,
  oneHot,
  permute,
  reshape,
  scatterAlongAxis,
  type ScatterMode,
  scatterNd,
  slice,
  split,
  takeAlongAxis,
  tensor,
  type Tensor,
  where,
} from "../../engine/index.ts";
import { flag, integer, oneOf } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { type Operator, operator, type OperatorTable } from "../build/operator.ts";
import { axisOf, entry, sizeOf, upTo } from "./axes.ts";
import { uniqueElements } from "./uniqueElements.ts";

/** Places counted from the front of an axis of `size`. */
function fromFront(index: Tensor, size: number): Tensor {
  const whole = cast(index, "i32");
  return where(less(whole, 0), add(whole, size), whole);
}

/** Rows of places, [.., k], each counted from the front of its axis. */
function rowsFromFront(index: Tensor, sizes: readonly number[]): Tensor {
  const whole = cast(index, "i32");
  return where(less(whole, 0), add(whole, tensor(Int32Array.from(sizes))), whole);
}

const modes: { readonly [name: string]: ScatterMode } = {
  none: "set",
  add: "add",
  mul: "multiply",
  max: "max",
  min: "min",
};
const firstReductions = ["none", "add", "mul"] as const;
const allReductions = [...firstReductions, "max", "min"] as const;

/** The part of x that an index reaches which is smaller outside of the axis. */
function reached(x: Tensor, index: Tensor, axis: number): Tensor {
  return slice(
    x,
    x.shape.map((_, i) => (i === axis ? null : [0, index.shape[i]])),
  );
}

function gatherElements(call: NodeCall, axis: number): Tensor {
  const x = call.tensor(0);
  const along = axisOf(call, axis, x.rank);
  const index = fromFront(call.tensor(1), entry(call, x.shape, along));
  return takeAlongAxis(reached(x, index, along), index, along);
}

function scatterElements(call: NodeCall, axis: number, reduction: string): Tensor {
  const x = call.tensor(0);
  const along = axisOf(call, axis, x.rank);
  const index = fromFront(call.tensor(1), entry(call, x.shape, along));
  const part = reached(x, index, along);
  const written = scatterAlongAxis(part, index, call.tensor(2), along, modes[reduction] ?? "set");
  return part === x ? written : dynamicUpdateSlice(x, written, new Array<number>(x.rank).fill(0));
}

function scatterRows(call: NodeCall, reduction: string): Tensor {
  const [x, index] = [call.tensor(0), call.tensor(1)];
  const rows = rowsFromFront(index, x.shape.slice(0, index.shape.at(-1)));
  return scatterNd(x, rows, call.tensor(2), modes[reduction] ?? "set");
}

function gatherRows(call: NodeCall, batchAxes: number): Tensor {
  const [x, index] = [call.tensor(0), call.tensor(1)];
  const k = index.shape.at(-1) ?? 0;
  return gatherNd(x, rowsFromFront(index, x.shape.slice(batchAxes, batchAxes + k)), batchAxes);
}

const scatterVersion = (since: number, reductions: readonly ("none" | "add" | "mul" | "max" | "min")[]): Operator =>
  operator({
    since,
    attributes: { axis: integer.or(0), reduction: oneOf(reductions).or("none") },
    build: (call, { axis, reduction }) => scatterElements(call, axis, reduction),
  });

const scatterRowsVersion = (since: number, reductions: readonly ("none" | "add" | "mul" | "max" | "min")[]): Operator =>
  operator({
    since,
    attributes: { reduction: oneOf(reductions).or("none") },
    build: (call, { reduction }) => scatterRows(call, reduction),
  });

const places = (numbers: readonly number[]): Tensor => tensor(Int32Array.from(numbers));

/** Rows of which a known condition holds: how many there are decides about the shape. */
function compressed(call: NodeCall, axis: number | undefined): Tensor {
  const condition = call.numbers(1);
  const chosen = condition.flatMap((holds, i) => (holds === 0 ? [] : [i]));
  const x = call.tensor(0);
  if (axis === undefined) return gather(reshape(x, [x.size]), places(chosen));
  return gather(x, places(chosen), axisOf(call, axis, x.rank));
}

/** The coordinates of all elements that aren't 0: [rank, how many]. */
function nonZero(call: NodeCall): Result {
  const { shape } = call.value(0);
  const found = call.numbers(0).flatMap((value, i) => (value === 0 ? [] : [i]));
  const coordinates = shape.flatMap((size, axis) => {
    const stride = sizeOf(shape.slice(axis + 1));
    return found.map((i) => Math.floor(i / stride) % size);
  });
  return call.known("i64", [shape.length, found.length], Float64Array.from(coordinates));
}

function oneHotOf(call: NodeCall, axis: number): Tensor {
  const classes = call.number(1);
  const hot = oneHot(fromFront(call.tensor(0), classes), classes, "bool");
  const [off, on] = split(call.tensor(2), [1, 1]);
  if (off === undefined || on === undefined) throw call.error("shape", "needs two values, for off and on.");
  const order = upTo(hot.rank - 1);
  order.splice(axisOf(call, axis, hot.rank), 0, hot.rank - 1);
  return permute(where(hot, on, off), order);
}

export const indexing: OperatorTable = {
  Gather: operator({
    moves: [0],
    attributes: { axis: integer.or(0) },
    build: (call, { axis }) => {
      const x = call.tensor(0);
      const along = axisOf(call, axis, x.rank);
      return gather(x, fromFront(call.tensor(1), entry(call, x.shape, along)), along);
    },
  }),
  GatherElements: operator({
    since: 11,
    moves: [0],
    attributes: { axis: integer.or(0) },
    build: (call, { axis }) => gatherElements(call, axis),
  }),
  GatherND: [
    operator({ since: 11, moves: [0], build: (call) => gatherRows(call, 0) }),
    operator({
      since: 12,
      moves: [0],
      attributes: { batch_dims: integer.or(0) },
      build: (call, { batch_dims: batchAxes }) => gatherRows(call, batchAxes),
    }),
  ],
  Scatter: operator({
    since: 9,
    attributes: { axis: integer.or(0) },
    build: (call, { axis }) => scatterElements(call, axis, "none"),
  }),
  ScatterElements: [
    scatterVersion(11, ["none"]),
    scatterVersion(16, firstReductions),
    scatterVersion(18, allReductions),
  ],
  ScatterND: [
    scatterRowsVersion(11, ["none"]),
    scatterRowsVersion(16, firstReductions),
    scatterRowsVersion(18, allReductions),
  ],
  OneHot: operator({
    since: 9,
    numbers: [1],
    attributes: { axis: integer.or(-1) },
    build: (call, { axis }) => oneHotOf(call, axis),
  }),
  Compress: operator({
    since: 9,
    moves: [0],
    numbers: [1],
    attributes: { axis: integer },
    build: (call, { axis }) => compressed(call, axis),
  }),
  NonZero: operator({ since: 9, numbers: [0], build: nonZero }),
  Unique: operator({
    since: 11,
    numbers: [0],
    attributes: { axis: integer, sorted: flag(true) },
    build: (call, { axis, sorted }) => uniqueElements(call, axis, sorted),
  }),
};
