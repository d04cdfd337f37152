/** Operators that give elements another shape or order, or take some of them, at places that are known when the program is built. */
import {
  add,
  broadcastTo,
  cast,
  concat,
  expandDims,
  gather,
  iota,
  less,
  multiply,
  pad,
  padEdge,
  padReflect,
  padWrap,
  permute,
  reshape,
  type Shape,
  slice,
  type SliceRange,
  split,
  squeeze,
  subtract,
  type Tensor,
  tile,
  where,
} from "../../engine/index.ts";
import { flag, float, integer, integers, oneOf, unused } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { axisOf, entry, sizeOf, upTo } from "./axes.ts";

/** @param keepsZeros whether a size of 0 is none instead of the input's */
function reshaped(call: NodeCall, shape: Shape, keepsZeros = false): Tensor {
  const x = call.tensor(0);
  return reshape(
    x,
    shape.map((size, i) => (size === 0 && !keepsZeros ? entry(call, x.shape, i) : size)),
  );
}

function unsqueezed(call: NodeCall, axes: readonly number[]): Tensor {
  const x = call.tensor(0);
  const rank = x.rank + axes.length;
  const places = axes.map((axis) => axisOf(call, axis, rank)).sort((a, b) => a - b);
  return places.reduce((y, axis) => expandDims(y, axis), x);
}

const squeezed = (call: NodeCall, axes: readonly number[] | undefined): Tensor => squeeze(call.tensor(0), axes);

/** Pieces of one size, the last of which may be smaller. */
function evenSizes(size: number, count: number): number[] {
  const even = Math.ceil(size / count);
  return upTo(count).map((i) => Math.max(0, Math.min(even, size - i * even)));
}

/** Input 0 cut into pieces of the given sizes along an axis. */
export const splitAlong = (call: NodeCall, axis: number, sizes: readonly number[]): Tensor[] =>
  split(call.tensor(0), sizes, axis);

function pieces(call: NodeCall, axis: number, sizes: readonly number[] | undefined, count: number): Tensor[] {
  const x = call.tensor(0);
  const along = axisOf(call, axis, x.rank);
  return splitAlong(call, along, sizes ?? evenSizes(entry(call, x.shape, along), count));
}

/** NumPy's slices: what lies outside of an axis is cut off. */
function sliced(
  call: NodeCall,
  starts: readonly number[],
  ends: readonly number[],
  axes: readonly number[] = upTo(starts.length),
  steps: readonly number[] = starts.map(() => 1),
): Tensor {
  const x = call.tensor(0);
  const ranges: (SliceRange | null)[] = x.shape.map(() => null);
  axes.forEach((axis, i) => {
    const along = axisOf(call, axis, x.rank);
    const [size, step] = [entry(call, x.shape, along), entry(call, steps, i)];
    const place = (value: number, low: number, high: number): number =>
      Math.min(high, Math.max(low, value < 0 ? value + size : value));
    const [start, end] = [entry(call, starts, i), entry(call, ends, i)];
    const first = step > 0 ? place(start, 0, size) : place(start, -1, size - 1);
    const stop = step > 0 ? place(end, 0, size) : place(end, -1, size - 1);
    const isEmpty = step > 0 ? stop <= first : stop >= first;
    ranges[along] = isEmpty ? [0, 0, 1] : [first, stop < 0 ? undefined : stop, step];
  });
  return slice(x, ranges);
}

const borders = { reflect: padReflect, edge: padEdge, wrap: padWrap };
const padModes = ["constant", "reflect", "edge"] as const;
type PadMode = (typeof padModes)[number] | "wrap";

/** Elements put around x; negative widths take some away. `widths` are all before, then all behind, of the axes. */
function padded(
  call: NodeCall,
  widths: readonly number[],
  mode: PadMode,
  value: number,
  axes?: readonly number[],
): Tensor {
  const x = call.tensor(0);
  const along = (axes ?? upTo(x.rank)).map((axis) => axisOf(call, axis, x.rank));
  const sides = upTo(x.rank).map((axis) => {
    const i = along.indexOf(axis);
    return i < 0 ? ([0, 0] as const) : ([entry(call, widths, i), entry(call, widths, i + along.length)] as const);
  });
  const kept = slice(
    x,
    sides.map(([low, high], axis) => [Math.max(0, -low), entry(call, x.shape, axis) - Math.max(0, -high)]),
  );
  const added = sides.map(([low, high]) => [Math.max(0, low), Math.max(0, high)] as const);
  return mode === "constant" ? pad(kept, added, value) : borders[mode](kept, added);
}

const padInputs = [1, 2, 3];
const padValue = (call: NodeCall): number => call.optionalNumbers(2)?.[0] ?? 0;

/** Blocks of channels as blocks of pixels. DCR: depth, column, row: blocks vary slowest among channels. */
function depthToSpace(call: NodeCall, block: number, mode: "DCR" | "CRD"): Tensor {
  const x = call.tensor(0);
  const [n, c, h, w] = [0, 1, 2, 3].map((i) => entry(call, x.shape, i)) as [number, number, number, number];
  const depth = c / (block * block);
  const apart =
    mode === "DCR"
      ? permute(reshape(x, [n, block, block, depth, h, w]), [0, 3, 4, 1, 5, 2])
      : permute(reshape(x, [n, depth, block, block, h, w]), [0, 1, 4, 2, 5, 3]);
  return reshape(apart, [n, depth, h * block, w * block]);
}

function spaceToDepth(call: NodeCall, block: number): Tensor {
  const x = call.tensor(0);
  const [n, c, h, w] = [0, 1, 2, 3].map((i) => entry(call, x.shape, i)) as [number, number, number, number];
  const apart = permute(reshape(x, [n, c, h / block, block, w / block, block]), [0, 3, 5, 1, 2, 4]);
  return reshape(apart, [n, c * block * block, h / block, w / block]);
}

/** The first `length` steps of each sequence in reverse order, the others as they are. */
function reverseSequence(call: NodeCall, batch: number, time: number): Tensor {
  const [x, lengths] = [call.tensor(0), cast(call.tensor(1), "i32")];
  const order = [batch, time, ...upTo(x.rank).filter((axis) => axis !== batch && axis !== time)];
  const y = permute(x, order);
  const [b, t] = [entry(call, y.shape, 0), entry(call, y.shape, 1)];
  const step = iota([b, t], 1);
  const length = expandDims(lengths, 1);
  const source = where(less(step, length), subtract(subtract(length, 1), step), step);
  const rows = gather(reshape(y, [b * t, ...y.shape.slice(2)]), add(source, multiply(iota([b, t], 0), t)), 0);
  return permute(
    reshape(rows, y.shape),
    upTo(x.rank).map((axis) => order.indexOf(axis)),
  );
}

export const shapes: OperatorTable = {
  Identity: operator({ build: (call) => call.inputs[0] }),
  Shape: [
    operator({
      readsShapes: true,
      build: (call) => call.known("i64", [call.value(0).shape.length], Float64Array.from(call.value(0).shape)),
    }),
    operator({
      since: 15,
      readsShapes: true,
      attributes: { start: integer.or(0), end: integer },
      build: (call, { start, end }) => {
        const { shape } = call.value(0);
        const place = (value: number): number =>
          Math.min(shape.length, Math.max(0, value < 0 ? value + shape.length : value));
        const part = shape.slice(place(start), place(end ?? shape.length));
        return call.known("i64", [part.length], Float64Array.from(part));
      },
    }),
  ],
  Size: operator({
    readsShapes: true,
    build: (call) => call.known("i64", [], Float64Array.of(sizeOf(call.value(0).shape))),
  }),
  Reshape: [
    operator({
      moves: [0],
      attributes: { shape: integers.required, consumed_inputs: unused },
      build: (call, { shape }) => reshaped(call, shape),
    }),
    operator({ since: 5, moves: [0], numbers: [1], build: (call) => reshaped(call, call.numbers(1)) }),
    operator({
      since: 14,
      moves: [0],
      numbers: [1],
      attributes: { allowzero: flag(false) },
      build: (call, { allowzero }) => reshaped(call, call.numbers(1), allowzero),
    }),
  ],
  Flatten: operator({
    moves: [0],
    attributes: { axis: integer.or(1) },
    build: (call, { axis }) => {
      const x = call.tensor(0);
      const place = axis === x.rank ? axis : axisOf(call, axis, x.rank);
      return reshape(x, [sizeOf(x.shape.slice(0, place)), sizeOf(x.shape.slice(place))]);
    },
  }),
  Transpose: operator({
    moves: [0],
    attributes: { perm: integers },
    build: (call, { perm }) => permute(call.tensor(0), perm),
  }),
  Squeeze: [
    operator({ moves: [0], attributes: { axes: integers }, build: (call, { axes }) => squeezed(call, axes) }),
    operator({ since: 13, moves: [0], numbers: [1], build: (call) => squeezed(call, call.optionalNumbers(1)) }),
  ],
  Unsqueeze: [
    operator({
      moves: [0],
      attributes: { axes: integers.required },
      build: (call, { axes }) => unsqueezed(call, axes),
    }),
    operator({ since: 13, moves: [0], numbers: [1], build: (call) => unsqueezed(call, call.numbers(1)) }),
  ],
  Expand: operator({
    since: 8,
    moves: [0],
    numbers: [1],
    build: (call) => {
      const [x, wanted] = [call.tensor(0), call.numbers(1)];
      // Sizes of 1 are x's: the shape is broadcast, too.
      const rank = Math.max(x.rank, wanted.length);
      const [own, other] = [x.shape, wanted].map((shape) => [
        ...new Array<number>(rank - shape.length).fill(1),
        ...shape,
      ]);
      return broadcastTo(
        x,
        upTo(rank).map((axis) => (own?.[axis] === 1 ? (other?.[axis] ?? 1) : (own?.[axis] ?? 1))),
      );
    },
  }),
  Tile: [
    operator({
      moves: [0],
      numbers: [1, 2],
      build: (call) =>
        concat(
          upTo(call.number(1)).map(() => call.tensor(0)),
          axisOf(call, call.number(2), call.tensor(0).rank),
        ),
    }),
    operator({ since: 6, moves: [0], numbers: [1], build: (call) => tile(call.tensor(0), call.numbers(1)) }),
  ],
  Concat: [
    operator({
      moves: "all",
      attributes: { axis: integer.or(1) },
      build: (call, { axis }) => concat(call.tensors(), axis),
    }),
    operator({
      since: 4,
      moves: "all",
      attributes: { axis: integer.required },
      build: (call, { axis }) => concat(call.tensors(), axis),
    }),
  ],
  Split: [
    operator({
      moves: [0],
      numbers: [1],
      attributes: { axis: integer.or(0), split: integers },
      build: (call, { axis, split: sizes }) =>
        pieces(call, axis, sizes ?? call.optionalNumbers(1), call.node.outputs.length),
    }),
    operator({
      since: 2,
      moves: [0],
      attributes: { axis: integer.or(0), split: integers },
      build: (call, { axis, split: sizes }) => pieces(call, axis, sizes, call.node.outputs.length),
    }),
    operator({
      since: 13,
      moves: [0],
      numbers: [1],
      attributes: { axis: integer.or(0) },
      build: (call, { axis }) => pieces(call, axis, call.optionalNumbers(1), call.node.outputs.length),
    }),
    operator({
      since: 18,
      moves: [0],
      numbers: [1],
      attributes: { axis: integer.or(0), num_outputs: integer },
      build: (call, { axis, num_outputs: count }) =>
        pieces(call, axis, call.optionalNumbers(1), count ?? call.node.outputs.length),
    }),
  ],
  Slice: [
    operator({
      moves: [0],
      attributes: { starts: integers.required, ends: integers.required, axes: integers },
      build: (call, { starts, ends, axes }) => sliced(call, starts, ends, axes),
    }),
    operator({
      since: 10,
      moves: [0],
      numbers: [1, 2, 3, 4],
      build: (call) => sliced(call, call.numbers(1), call.numbers(2), call.optionalNumbers(3), call.optionalNumbers(4)),
    }),
  ],
  Pad: [
    operator({
      attributes: { paddings: integers.required, mode: oneOf(padModes).or("constant"), value: float.or(0) },
      build: (call, { paddings, mode, value }) => padded(call, paddings, mode, value),
    }),
    operator({
      since: 2,
      attributes: { pads: integers.required, mode: oneOf(padModes).or("constant"), value: float.or(0) },
      build: (call, { pads, mode, value }) => padded(call, pads, mode, value),
    }),
    operator({
      since: 11,
      numbers: padInputs,
      attributes: { mode: oneOf(padModes).or("constant") },
      build: (call, { mode }) => padded(call, call.numbers(1), mode, padValue(call)),
    }),
    operator({
      since: 18,
      numbers: padInputs,
      attributes: { mode: oneOf([...padModes, "wrap"]).or("constant") },
      build: (call, { mode }) => padded(call, call.numbers(1), mode, padValue(call), call.optionalNumbers(3)),
    }),
  ],
  DepthToSpace: [
    operator({
      attributes: { blocksize: integer.required },
      build: (call, { blocksize }) => depthToSpace(call, blocksize, "DCR"),
    }),
    operator({
      since: 11,
      attributes: { blocksize: integer.required, mode: oneOf(["DCR", "CRD"]).or("DCR") },
      build: (call, { blocksize, mode }) => depthToSpace(call, blocksize, mode),
    }),
  ],
  SpaceToDepth: operator({
    attributes: { blocksize: integer.required },
    build: (call, { blocksize }) => spaceToDepth(call, blocksize),
  }),
  ReverseSequence: operator({
    since: 10,
    attributes: { batch_axis: integer.or(1), time_axis: integer.or(0) },
    build: (call, { batch_axis: batch, time_axis: time }) => reverseSequence(call, batch, time),
  }),
};
