/**
 * Random programs: a few inputs and a list of instructions, each an operation on earlier values. Every instruction is valid:
 * it adapts its operands, so that shrinking (fewer instructions, smaller numbers) always gives a program again.
 */
import fc from "fast-check";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { makeNode } from "../../engine/graph/graph.ts";
import { at, sameShape, type Shape, sizeOf } from "../../engine/graph/shape.ts";
import {
  absolute,
  add,
  and,
  argmax,
  broadcastTo,
  cast,
  checkpoint,
  clamp,
  concat,
  conv2d,
  cos,
  divide,
  equal,
  exp,
  expm1,
  flip,
  floor,
  gather,
  iota,
  isFinite,
  isNaN,
  jvp,
  less,
  lessEqual,
  log,
  log1p,
  logSoftmax,
  logSumExp,
  matmul,
  maximum,
  mean,
  minimum,
  multiply,
  negate,
  norm,
  not,
  notEqual,
  oneHot,
  or,
  pad,
  permute,
  power,
  reduceMax,
  reduceMin,
  reduceSum,
  relu,
  reshape,
  rootMeanSquare,
  roundToFloat16,
  scalar,
  scan,
  scatterAdd,
  shiftLeft,
  shiftRight,
  sigmoid,
  sign,
  silu,
  sin,
  slice,
  softmax,
  sqrt,
  standardDeviation,
  subtract,
  Tensor,
  tanh,
  threefry,
  transpose,
  vjp,
  where,
  xor,
} from "../../engine/index.ts";

export type Instruction = {
  /** A name of {@link operations}. */
  readonly operation: string;
  /** Which earlier values to use, counted back from the newest. */
  readonly operands: readonly [number, number, number];
  /** Two free choices: axis, amount, order. */
  readonly choices: readonly [number, number];
};

export type InputSpec = { readonly dtype: DType; readonly shape: Shape; readonly elements: readonly number[] };

export type ProgramSpec = {
  readonly inputs: readonly InputSpec[];
  readonly instructions: readonly Instruction[];
  readonly outputs: number;
};

/** Values may not grow beyond this: the oracle is slow. */
const mostElements = 3000;

/** Where kinks, ties and poles are. */
const cornerElements = fc.constantFrom(0, 1, -1, 2);
const tameElements = fc.oneof(
  { weight: 1, arbitrary: cornerElements },
  { weight: 2, arbitrary: fc.integer({ min: -64, max: 64 }).map((n) => Math.fround(n / 16)) },
  { weight: 1, arbitrary: fc.float({ min: -8, max: 8, noNaN: true }) },
);
const wildElements = fc.oneof(
  { weight: 4, arbitrary: tameElements },
  { weight: 2, arbitrary: fc.float({ noDefaultInfinity: true, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, -0, 1, -1, 1e-40, -1e-40, 3.4028234663852886e38, 1e30, 2 ** -126).map(Math.fround),
  },
);
const elementsOf: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: tameElements,
  i32: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  u32: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  bool: fc.integer({ min: 0, max: 1 }),
};

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
    const element = dtype === "f32" && wild === 0 ? wildElements : elementsOf[dtype];
    return fc.array(element, { minLength: 1, maxLength: 24 }).map((elements) => ({ dtype, shape, elements }));
  });

/** The host data of an input. */
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
];

/** Every kind of instruction, by name; `undefined` if it has nothing to do on these operands. */
export const operations: { readonly [name: string]: (context: Context) => Tensor | undefined } = {
  unary: ({ of, choices: [c] }) => choose(unaries, c)(of(0, "f32")),
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
    return x.size === 0 ? undefined : argmax(x, axisOf(x, c));
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
  unary: 6,
  arithmetic: 3,
  conv: 3,
  compare: 2,
  derivative: 3,
  reduce: 2,
  matmul: 2,
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

export const programSpecs: fc.Arbitrary<ProgramSpec> = fc.record({
  inputs: fc.array(inputs, { minLength: 1, maxLength: 4 }),
  instructions: fc.array(instructions, { minLength: 1, maxLength: 14 }),
  outputs: fc.integer({ min: 1, max: 3 }),
});

/** Programs without loops: each has one plan. */
export const loopFreePrograms = programSpecs.map((spec): ProgramSpec => {
  return { ...spec, instructions: spec.instructions.filter(({ operation }) => operation !== "scan") };
});

/** Runs a program's instructions on its inputs; the newest values are its results. */
export function buildProgram(spec: ProgramSpec, given: readonly Tensor[]): Tensor[] {
  const values = [...given];
  for (const instruction of spec.instructions) {
    const any = (i: 0 | 1 | 2): Tensor => at(values, values.length - 1 - (instruction.operands[i] % values.length));
    const apply = operations[instruction.operation];
    const value = apply?.({ any, of: (i, dtype) => toDtype(any(i), dtype), choices: instruction.choices });
    if (value !== undefined && value.size <= mostElements) values.push(value);
  }
  return values.slice(-spec.outputs);
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
