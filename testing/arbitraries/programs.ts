/**
 * Random programs: a few inputs and a list of instructions, each an operation on earlier values. Every instruction is valid:
 * it adapts its operands, so that shrinking (fewer instructions, smaller numbers) always gives a program again.
 */
import fc from "fast-check";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { makeNode, topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node } from "../../engine/graph/node.ts";
import { at, sameShape, type Shape, sizeOf } from "../../engine/graph/shape.ts";
import {
  absolute,
  add,
  and,
  argmax,
  argmin,
  argsort,
  atan,
  atan2,
  broadcastTo,
  cast,
  checkpoint,
  cholesky,
  clamp,
  concat,
  conv2d,
  conv3d,
  convTranspose3d,
  cos,
  cumulativeProduct,
  cumulativeSum,
  determinant,
  diag,
  divide,
  dynamicSlice,
  dynamicUpdateSlice,
  einsum,
  equal,
  erf,
  exp,
  expm1,
  fft,
  flip,
  floor,
  gather,
  gatherNd,
  gridSample,
  inverse,
  inverseFft,
  iota,
  isFinite,
  isNaN,
  jvp,
  keepLowerTriangle,
  keepUpperTriangle,
  less,
  lessEqual,
  log,
  log1p,
  logSoftmax,
  logSumExp,
  matmul,
  maximum,
  maxPool,
  maxPoolWithIndices,
  mean,
  meanPool,
  minimum,
  multiply,
  negate,
  norm,
  not,
  notEqual,
  oneHot,
  or,
  pad,
  padEdge,
  padReflect,
  padWrap,
  permute,
  power,
  product,
  realFft,
  reduceMax,
  reduceMin,
  reduceSum,
  relu,
  reshape,
  resize,
  roll,
  rootMeanSquare,
  roundToFloat16,
  scalar,
  scan,
  scatterAdd,
  scatterAlongAxis,
  type ScatterMode,
  scatterNd,
  shiftLeft,
  shiftRight,
  sigmoid,
  sign,
  silu,
  sin,
  slice,
  softmax,
  sort,
  sqrt,
  stack,
  standardDeviation,
  subtract,
  takeAlongAxis,
  tanh,
  Tensor,
  threefry,
  tile,
  topK,
  transpose,
  vjp,
  where,
  withDerivativeOf,
  xor,
} from "../../engine/index.ts";
import { values } from "./values.ts";
import { composedDifferentiated, composedUnaries, divisions } from "./composedOperations.ts";

/** One operation of a random program. */
export type Instruction = {
  /** A name of {@link operations}. */
  readonly operation: string;
  /** Which earlier values to use, counted back from the newest. */
  readonly operands: readonly [number, number, number];
  /** Two free choices: axis, amount, order. */
  readonly choices: readonly [number, number];
};

/** An input of a random program. */
export type InputSpec = { readonly dtype: DType; readonly shape: Shape; readonly elements: readonly number[] };

/** A random program, from which `buildProgram` makes tensors. */
export type ProgramSpec = {
  readonly inputs: readonly InputSpec[];
  readonly instructions: readonly Instruction[];
  readonly outputs: number;
};

/** Values may not grow beyond this: the oracle is slow. */
const mostElements = 3000;

const shapes = fc
  .array(
    fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 1, max: 6 }) },
      { weight: 1, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: 7, max: 37 }) },
    ),
    {
      maxLength: 4,
    },
  )
  .filter((shape) => sizeOf(shape) <= 400);

/**
 * Up to 24 distinct elements, repeated: shrinks quickly and still fills any shape. Special values are in a few inputs only,
 * since one NaN may reach everything that a program computes.
 */
const inputs: fc.Arbitrary<InputSpec> = fc
  .tuple(fc.constantFrom<DType>("f32", "f32", "f32", "f32", "i32", "u32", "bool"), shapes, fc.noBias(fc.nat(2)))
  .chain(([dtype, shape, wild]) => {
    return fc
      .array(values(dtype, wild === 0), { minLength: 1, maxLength: 24 })
      .map((elements) => ({ dtype, shape, elements }));
  });

/** The elements of an input, which repeat those of its description. */
export function inputData({ dtype, shape, elements }: InputSpec): TensorData {
  const data = allocateData(dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = at(elements, (i * 7 + (i >> 3)) % elements.length);
  return data;
}

/** What an instruction sees. */
type Context = {
  /** Operand number i, as it is. */
  readonly any: (i: 0 | 1 | 2) => Tensor;
  /** Operand number i as a dtype. */
  readonly of: (i: 0 | 1 | 2, dtype: DType) => Tensor;
  readonly choices: readonly [number, number];
};

type Instructed = (context: Context) => Tensor | undefined;

/** f32 of finite, moderate size, so that a cast to an integer is neither an error nor a saturation. */
const tame = (x: Tensor): Tensor => clamp(where(isFinite(x), x, 0), -1e9, 1e9);

function toDtype(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  if (x.dtype !== "f32" || dtype === "bool") return cast(x, dtype);
  return cast(dtype === "u32" ? absolute(tame(x)) : tame(x), dtype);
}

/** y with a shape that broadcasts with x: itself if it does, else one element of it, else a number. */
function beside(x: Tensor, y: Tensor): Tensor {
  const rank = Math.min(x.rank, y.rank);
  const fits = Array.from({ length: rank }, (_, i) => i + 1).every((back) => {
    const [a, b] = [at(x.shape, x.rank - back), at(y.shape, y.rank - back)];
    return a === b || a === 1 || b === 1;
  });
  return fits ? y : firstElement(y);
}

/** A scalar: the first element, or one where there is none. */
function firstElement(y: Tensor): Tensor {
  if (y.size === 0) return cast(scalar(1, "u32"), y.dtype);
  return reshape(
    slice(
      y,
      y.shape.map(() => [0, 1] as const),
    ),
    [],
  );
}

const axisOf = (x: Tensor, choice: number): number => (x.rank === 0 ? 0 : choice % x.rank);
const lifted = (x: Tensor): Tensor => (x.rank === 0 ? reshape(x, [1]) : x);
/** x with exactly `rank` axes. */
const ofRank = (x: Tensor, rank: number): Tensor => {
  if (x.rank < rank) return reshape(x, [...new Array<number>(rank - x.rank).fill(1), ...x.shape]);
  return reshape(x, [sizeOf(x.shape.slice(0, x.rank - rank + 1)), ...x.shape.slice(x.rank - rank + 1)]);
};
const flat = (x: Tensor): Tensor => reshape(x, [x.size]);
const numeric = (x: Tensor): Tensor => (x.dtype === "bool" ? cast(x, "i32") : x);

const unaries = [
  absolute,
  negate,
  sign,
  floor,
  exp,
  expm1,
  log,
  log1p,
  sqrt,
  sin,
  cos,
  tanh,
  sigmoid,
  silu,
  roundToFloat16,
  atan,
  erf,
];
const arithmetic = [add, subtract, multiply, maximum, minimum];
const comparisons = [less, lessEqual, equal, notEqual];
const bitwise = [and, or, xor];
const choose = <T>(list: readonly T[], choice: number): T => at(list, choice % list.length);

/** Functions of x (and of y, which broadcasts with it) whose derivatives have kinks, poles or scales of their own. */
const differentiated: readonly ((x: Tensor, y: Tensor, axes: number) => Tensor)[] = [
  relu,
  absolute,
  (x) => clamp(x, -1, 1),
  (x, y) => clamp(x, y, 2),
  (x, y) => clamp(y, -1, x),
  maximum,
  minimum,
  (x, y) => where(less(x, y), y, x),
  (x) => sqrt(relu(x)),
  (x) => log(maximum(x, 0)),
  divide,
  ...composedDifferentiated,
  (x, y) => power(x, clamp(floor(y), -2, 3)),
  (x, y) => power(y, clamp(x, -2, 3)),
  (x, _, axes) => reduceMax(x, { axes }),
  (x, _, axes) => reduceMin(x, { axes, keepAxes: true }),
  (x, _, axes) => norm(x, { axes }),
  (x, _, axes) => rootMeanSquare(x, { axes, keepAxes: true }),
  (x, _, axes) => standardDeviation(x, { axes }),
  (x, _, axes) => logSumExp(x, { axes }),
  (x, _, axis) => softmax(x, axis),
  (x, _, axis) => logSoftmax(x, axis),
  (x, _, axis) => cumulativeSum(x, axis, { reverse: true }),
  (x, _, axis) => cumulativeProduct(x, axis),
  (x, _, axes) => product(x, { axes }),
  (x, _, axis) => sort(x, { axis }),
  (x, _, axis) => takeAlongAxis(x, someIndex(x, scalar(3, "i32"), axis), axis),
  (x, y, axis) =>
    scatterAlongAxis(x, someIndex(x, scalar(1, "i32"), axis), broadcastTo(firstElement(y), x.shape), axis, "max"),
  (x) => maxPool(x, { size: [Math.min(2, at(x.shape, x.rank - 1))], stride: [1] }),
  (x) => maxPool(x, { size: [Math.min(2, at(x.shape, x.rank - 1))] }),
];

/** An index along an axis of x, some of it often and some not at all. */
function someIndex(x: Tensor, from: Tensor, axis: number): Tensor {
  const places = add(multiply(iota(x.shape, 0), 5), multiply(iota(x.shape, axis), 3));
  return minimum(and(add(places, firstElement(from)), 7), Math.max(0, at(x.shape, axis) - 1));
}

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

/** Every kind of instruction, by name; `undefined` if it has nothing to do on these operands. */
export const operations: { readonly [name: string]: Instructed } = {
  unary: ({ of, choices: [c] }) => choose(unaries, c)(of(0, "f32")),
  composedUnary: ({ of, choices: [c] }) => choose(composedUnaries, c)(of(0, "f32")),
  integerUnary: ({ of, choices: [c, d] }) =>
    choose([negate, absolute, sign, not], c)(of(0, choose(["i32", "u32"] as const, d))),
  arithmetic: ({ of, choices: [c] }) => {
    const x = of(0, "f32");
    return choose(arithmetic, c)(x, beside(x, of(1, "f32")));
  },
  integerArithmetic: ({ of, choices: [c, d] }) => {
    const dtype = choose(["i32", "u32"] as const, d);
    const x = of(0, dtype);
    return choose([...arithmetic, ...bitwise], c)(x, beside(x, of(1, dtype)));
  },
  divide: ({ of }) => divide(of(0, "f32"), beside(of(0, "f32"), of(1, "f32"))),
  wholeDivision: ({ of, choices: [c, d] }) => {
    const dtype = choose(["f32", "i32", "u32"] as const, d);
    const x = of(0, dtype);
    return choose(divisions, c)(x, beside(x, of(1, dtype)));
  },
  integerPower: ({ of, choices: [c, d] }) => power(of(0, choose(["i32", "u32"] as const, d)), c % 9),
  angle: ({ of }) => atan2(of(0, "f32"), beside(of(0, "f32"), of(1, "f32"))),
  power: ({ of }) => power(absolute(of(0, "f32")), beside(of(0, "f32"), clamp(of(1, "f32"), -4, 4))),
  wholePower: ({ of, choices: [c] }) => power(of(0, "f32"), (c % 7) - 3),
  withNumber: ({ of, choices: [c, d] }) => choose(arithmetic, c)(of(0, "f32"), choose([0, 1, -1, 2, 0.1, -0, 1e-3], d)),
  compare: ({ any, choices: [c] }) => {
    const x = any(0).dtype === "bool" ? cast(any(0), "u32") : any(0);
    return choose(comparisons, c)(x, beside(x, toDtype(any(1), x.dtype)));
  },
  logic: ({ of, choices: [c] }) => choose(bitwise, c)(of(0, "bool"), beside(of(0, "bool"), of(1, "bool"))),
  test: ({ of, choices: [c] }) => choose([isFinite, isNaN], c)(of(0, "f32")),
  select: ({ any, of }) => {
    const x = any(1);
    const y = beside(x, toDtype(any(2), x.dtype));
    return where(beside(add(cast(x, "u32"), cast(y, "u32")), of(0, "bool")), x, y);
  },
  cast: ({ any, choices: [c] }) => toDtype(any(0), choose(["f32", "i32", "u32", "bool"] as const, c)),
  shift: ({ of, choices: [c, d] }) =>
    choose([shiftLeft, shiftRight], c)(of(0, choose(["i32", "u32"] as const, c >> 1)), d % 32),
  shiftByTensor: ({ of, choices: [c, d] }) => {
    const x = of(0, choose(["i32", "u32"] as const, c >> 1));
    return choose([shiftLeft, shiftRight], c)(x, beside(x, of(1, choose(["i32", "u32"] as const, d))));
  },
  threefry: ({ of, choices: [c] }) => {
    const counter = of(0, "u32");
    const key = beside(counter, of(1, "u32"));
    return threefry(c % 2 === 0 ? 0 : 1, [key, key], [counter, scalar(c, "u32")]);
  },
  reduce: ({ any, choices: [c, d] }) => {
    const x = numeric(lifted(any(0)));
    const axes = x.shape.flatMap((_, axis) => ((d >> axis) % 2 === 1 ? [axis] : []));
    const nonEmpty = axes.every((axis) => x.shape[axis] !== 0);
    return choose(nonEmpty ? [reduceSum, reduceMax, reduceMin] : [reduceSum], c)(x, { axes, keepAxes: d % 3 === 0 });
  },
  mean: ({ of, choices: [c] }) => mean(lifted(of(0, "f32")), { axes: axisOf(lifted(of(0, "f32")), c) }),
  softmax: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, "f32"));
    if (x.size === 0) return undefined;
    return d % 2 === 0 ? softmax(x, axisOf(x, c)) : logSumExp(x, { axes: axisOf(x, c) });
  },
  argmax: ({ any, choices: [c] }) => {
    const x = numeric(lifted(any(0)));
    return x.size === 0 ? undefined : choose([argmax, argmin], c)(x, axisOf(x, c));
  },
  reshape: ({ any, choices: [c] }) => {
    const x = any(0);
    const divisors = Array.from({ length: 12 }, (_, i) => i + 1).filter((n) => x.size % n === 0);
    const rows = choose(divisors, c);
    return x.size === 0 ? reshape(x, [0]) : reshape(x, c % 3 === 0 ? [rows, 1, x.size / rows] : [x.size / rows, rows]);
  },
  permute: ({ any, choices: [c] }) => {
    const x = any(0);
    const order = x.shape.map((_, axis) => (axis + c) % Math.max(1, x.rank));
    return permute(x, c % 2 === 0 ? order : order.reverse());
  },
  transpose: ({ any }) => (any(0).rank < 2 ? undefined : transpose(any(0))),
  expand: ({ any, choices: [c, d] }) => {
    const x = any(0);
    return broadcastTo(
      x,
      c % 2 === 0 ? [(d % 4) + 1, ...x.shape] : x.shape.map((size) => (size === 1 ? (d % 5) + 1 : size)),
    );
  },
  slice: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    const axis = axisOf(x, c);
    const size = at(x.shape, axis);
    const start = size === 0 ? 0 : d % size;
    const range =
      c % 3 === 0 ? [start, size, (d % 3) + 1] : c % 3 === 1 ? [start, undefined, -((d % 2) + 1)] : [0, start];
    return size === 0
      ? undefined
      : slice(
          x,
          x.shape.map((_, a) => (a === axis ? (range as [number, number, number?]) : null)),
        );
  },
  flip: ({ any, choices: [c] }) => flip(lifted(any(0)), axisOf(lifted(any(0)), c)),
  pad: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    return pad(
      x,
      x.shape.map((_, axis) => [(c >> axis) % 3, (d >> axis) % 3] as const),
      d % 2,
    );
  },
  concat: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    const y = toDtype(any(1), x.dtype);
    const other =
      y.rank === x.rank && y.shape.every((size, axis) => axis === axisOf(x, c) || size === x.shape[axis]) ? y : x;
    return concat([...new Array<Tensor>((d % 8) + 1).fill(x), other], axisOf(x, c));
  },
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
  derivative: ({ of, choices: [c, d] }) => {
    const differentiable = differentiableOf(of, c, d);
    if (differentiable === undefined) return undefined;
    const { f, x } = differentiable;
    const { value, pullback } = vjp(d % 3 === 0 ? checkpoint(f) : f, x);
    return pullback(ofShape(of(2, "f32"), value.shape));
  },
  tangent: ({ of, choices: [c, d] }) => {
    const differentiable = differentiableOf(of, c, d);
    if (differentiable === undefined) return undefined;
    const { f, x } = differentiable;
    return jvp(f)(x, ofShape(of(2, "f32"), x.shape)).tangent;
  },
  checkpoint: ({ of, choices: [c, d] }) => {
    const differentiable = differentiableOf(of, c, d);
    return differentiable && checkpoint(differentiable.f)(differentiable.x);
  },
  // A program with a loop is several: in one of two cases.
  scan: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, "f32"));
    if (x.size === 0 || c % 2 > 0) return undefined;
    const k = firstElement(of(2, "f32"));
    const bodies: readonly ((h: Tensor, row: Tensor) => Tensor)[] = [
      add,
      maximum,
      (h, row) => tanh(add(multiply(h, k), row)),
      (h, row) => where(less(h, row), multiply(row, k), h),
    ];
    const body = (h: Tensor, row: Tensor) => ({ carry: choose(bodies, c >> 1)(h, row), y: multiply(h, row) });
    const init = broadcastTo(firstElement(of(1, "f32")), x.shape.slice(1));
    const { carry, ys } = scan(body, init, x, { reverse: d % 2 === 1 });
    return d % 3 === 0 ? carry : ys;
  },
  stop: ({ any }) => new Tensor(makeNode("stopGradient", [any(0).node], {})),
  surrogate: ({ of }) => withDerivativeOf(of(0, "f32"), beside(of(0, "f32"), of(0, "f32"))),
  pool: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, choose(["f32", "f32", "i32"] as const, d)));
    if (x.size === 0) return undefined;
    const axes = x.shape.slice(-((c % 2) + 1));
    const size = axes.map((extent) => Math.min(extent, (c % 3) + 1));
    const padding = size.map((extent, axis): [number, number] => [(d >> axis) % extent, d % extent]);
    const options = { size, stride: (d % 3) + 1, padding, ceilMode: d % 5 === 0 };
    if (c % 7 === 0) return maxPoolWithIndices(x, options).indices;
    return x.dtype === "f32" && c % 7 < 3 ? meanPool(x, options) : maxPool(x, options);
  },
  border: ({ any, choices: [c, d] }) => {
    const x = lifted(any(0));
    if (x.size === 0) return undefined;
    return choose([padReflect, padEdge, padWrap], c)(
      x,
      x.shape.map((_, axis) => [(c >> axis) % 3, (d >> axis) % 3] as const),
    );
  },
  resize: ({ of, choices: [c, d] }) => {
    const x = lifted(of(0, "f32"));
    if (x.size === 0) return undefined;
    const mode = choose(["nearest", "linear", "cubic"] as const, c);
    const coordinates = choose(["halfPixel", "alignCorners", "asymmetric"] as const, d);
    return resize(x, { mode, coordinates, size: (d % 11) + 1, antialias: d % 4 === 0, axes: [axisOf(x, c)] });
  },
  gridSample: ({ of, choices: [c, d] }) => {
    const x = ofRank(of(0, "f32"), 3);
    const places = flat(of(1, "f32"));
    if (x.size === 0 || places.size === 0) return undefined;
    const some = slice(places, [[0, Math.min(places.size, 5)]]);
    const grid = broadcastTo(reshape(some, [1, some.size, 1]), [at(x.shape, 0), some.size, 1]);
    const padding = choose(["zeros", "border", "reflection"] as const, c);
    return gridSample(x, grid, { padding, mode: choose(["nearest", "linear"] as const, d), alignCorners: d % 3 === 0 });
  },
  transform: ({ of, choices: [c] }) => {
    const x = lifted(of(0, "f32"));
    const axis = axisOf(x, c);
    if (x.size === 0 || at(x.shape, axis) > 70) return undefined;
    return choose([fft, inverseFft, realFft], c)(x, axis)[c % 2 === 0 ? "real" : "imaginary"];
  },
  matrices: ({ of, choices: [c, d] }) => {
    const x = ofRank(of(0, "f32"), 2);
    const size = Math.min(at(x.shape, 0), at(x.shape, 1), (d % 4) + 1);
    const matrix = slice(x, [
      [0, size],
      [0, size],
    ]);
    return choose([determinant, inverse, cholesky], c)(matrix);
  },
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

/** A function that has a derivative, and where. */
function differentiableOf(
  of: Context["of"],
  c: number,
  d: number,
): { readonly f: (x: Tensor) => Tensor; readonly x: Tensor } | undefined {
  const x = lifted(of(0, "f32"));
  const y = beside(x, of(1, "f32"));
  if (x.size === 0 || y.size === 0) return undefined;
  return { f: (z) => choose(differentiated, c)(z, y, axisOf(x, d)), x };
}

/** g if it has the shape, else an element of it everywhere. */
const ofShape = (g: Tensor, shape: Shape): Tensor =>
  sameShape(g.shape, shape) ? g : broadcastTo(firstElement(g), shape);

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

/** Operations that stand for many are drawn more often. */
const weights: { readonly [name: string]: number } = {
  unary: 9,
  arithmetic: 3,
  conv: 3,
  compare: 2,
  derivative: 3,
  reduce: 2,
  matmul: 2,
  indexed: 2,
};

const operationNames = Object.keys(operations).flatMap((name) => new Array<string>(weights[name] ?? 1).fill(name));

/** Mostly the newest values, so that most of what is computed reaches the results. */
const operand = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 3, arbitrary: fc.nat(7) },
);

// Without bias: small numbers would otherwise come far more often, and with them the first of every list of choices.
const choice = fc.noBias(fc.nat(99));

const instructions: fc.Arbitrary<Instruction> = fc.record({
  operation: fc.constantFrom(...operationNames),
  operands: fc.tuple(operand, operand, operand),
  choices: fc.tuple(choice, choice),
});

/** Random programs of one to fourteen instructions on one to four inputs, special values in some. */
export const programSpecs: fc.Arbitrary<ProgramSpec> = fc.record({
  inputs: fc.array(inputs, { minLength: 1, maxLength: 4 }),
  instructions: fc.array(instructions, { minLength: 1, maxLength: 14 }),
  outputs: fc.integer({ min: 1, max: 3 }),
});

/** Programs without loops: each has one plan. */
export const loopFreePrograms = programSpecs.map((spec): ProgramSpec => {
  return { ...spec, instructions: spec.instructions.filter(({ operation }) => operation !== "scan") };
});

/**
 * Runs a program's instructions on its inputs; the newest values are its results.
 * @param supports which primitives there may be: inputs and instructions that need others are left out
 */
export function buildProgram(
  spec: ProgramSpec,
  given: readonly Tensor[],
  supports?: (node: Node) => boolean,
): Tensor[] {
  const seen = new Set<Node>();
  const isSupported = ({ node }: Tensor): boolean => {
    if (supports === undefined) return true;
    const met = new Set(seen);
    if (!topologicalOrder([node], met).every(supports)) return false;
    for (const each of met) seen.add(each);
    return true;
  };
  const known = given.filter(isSupported);
  if (known.length === 0) return [];
  for (const instruction of spec.instructions) {
    const any = (i: 0 | 1 | 2): Tensor => at(known, known.length - 1 - (instruction.operands[i] % known.length));
    const apply = operations[instruction.operation];
    const value = apply?.({ any, of: (i, dtype) => toDtype(any(i), dtype), choices: instruction.choices });
    if (value !== undefined && value.size <= mostElements && isSupported(value)) known.push(value);
  }
  return known.slice(-spec.outputs);
}

/** A program in words: inputs, then one instruction a line. */
export function printProgram(spec: ProgramSpec): string {
  const elements = (list: readonly number[]): string =>
    list.map((value) => (Object.is(value, -0) ? "-0" : String(value))).join(" ");
  return [
    ...spec.inputs.map((input) => `input ${input.dtype} [${input.shape.join(", ")}] of ${elements(input.elements)}`),
    ...spec.instructions.map((i) => `${i.operation} operands ${i.operands.join(" ")} choices ${i.choices.join(" ")}`),
    `the newest ${spec.outputs} are results`,
  ].join("\n");
}
