/**
 * Random kernels with data for their operands: free expressions with and without a reduction, and the contractions that
 * devices have fast paths for. A kernel is built from a compact description, so that shrinking gives small kernels.
 */
import fc from "fast-check";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { at, rowMajorStrides, sizeOf } from "../../engine/graph/shape.ts";
import type { Axis, Kernel, ReduceOp, Scalar } from "../../engine/kernel/kernel.ts";
import {
  type Access,
  accesses,
  ExpressionBuilder,
  literal,
  type OperandSlot,
  type ScalarInstruction,
  scalarInstruction,
  toDtype,
} from "./kernelExpressions.ts";

/** The elements of an operand are drawn from a few values, spread without a pattern. */
export type OperandData = { readonly dtype: DType; readonly elements: readonly number[] };

type ExpressionSpec = {
  readonly kind: "expression";
  readonly parallel: readonly number[];
  /** Empty: no reduction. */
  readonly reduce: readonly number[];
  /** The sizes are made smaller until the kernel has no more points. */
  readonly most: number;
  readonly op: ReduceOp;
  readonly body: readonly ScalarInstruction[];
  readonly epilogue: readonly ScalarInstruction[];
};

/** Sums of products of operands 0 and 1, which must be f32 and as long as it takes. */
type ContractionSpec = {
  readonly kind: "contraction";
  readonly what: "matmul" | "convolution" | "filterGradient";
  /** Batch, rows or filters, columns or output width, inner or channels. */
  readonly sizes: readonly [number, number, number, number];
  /** matmul: transposed a, transposed b, b shared by the batch. Convolutions: kernel size, stride, dilation less 1. */
  readonly variant: readonly [number, number, number];
  readonly epilogue: readonly ScalarInstruction[];
  /** The sizes are made smaller until the kernel has no more products. */
  readonly most?: number;
};

/** Sums for each row of the values of those reduce points whose index says that row. */
type ScatterSpec = {
  readonly kind: "scatter";
  readonly parallel: readonly number[];
  readonly reduce: readonly number[];
  readonly most: number;
  readonly index: { readonly choice: number; readonly access: Access };
  /** The parallel axes that tell the row, as bits; the first row; whether they are counted downwards; the distance of rows. */
  readonly row: readonly [number, number, boolean, number];
  /** Whether the row is on the left of the comparison. */
  readonly isRowFirst: boolean;
  readonly body: readonly ScalarInstruction[];
  readonly epilogue: readonly ScalarInstruction[];
};

export type KernelSpec = ExpressionSpec | ContractionSpec | ScatterSpec;

/** A kernel with data. */
export type KernelCase = { readonly spec: KernelSpec; readonly operands: readonly OperandData[] };

const mostProducts = 5000;

/** The sizes, the largest halved until there are no more than `most` points. Empty axes don't count. */
function clampSizes(sizes: readonly number[], most: number): number[] {
  const clamped = [...sizes];
  while (clamped.reduce((product, size) => product * Math.max(1, size), 1) > most) {
    const largest = clamped.indexOf(Math.max(...clamped));
    clamped[largest] = Math.ceil(at(clamped, largest) / 2);
  }
  return clamped;
}

/** Builds the kernel of a spec over operands, of which those without a fixed length grow as needed. */
export function buildKernel(spec: KernelSpec, operands: readonly OperandSlot[], name: string): Kernel {
  const { axes, body, op } = nestOf(spec, operands);
  const parallel = axes.flatMap(({ role, size }) => (role === "parallel" ? [size] : []));
  const accumulator: Scalar = { kind: "accumulator", dtype: body.dtype };
  const epilogue = new ExpressionBuilder(axes, operands).build(spec.epilogue, [accumulator], "epilogue");
  const isReduction = axes.length > parallel.length;
  const value = isReduction ? epilogue : body;
  return {
    name,
    axes,
    operands: operands.map(({ dtype, length }) => ({ dtype, length })),
    reduction: isReduction ? { op, body } : null,
    stores: [
      {
        value,
        dtype: value.dtype,
        length: sizeOf(parallel),
        at: { offset: 0, coefficients: axes.map((_, axis) => rowMajorStrides(parallel)[axis] ?? 0) },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

function nestOf(spec: KernelSpec, operands: readonly OperandSlot[]): Nest {
  switch (spec.kind) {
    case "expression":
      return expression(spec, operands);
    case "contraction":
      return contraction(spec, operands);
    case "scatter":
      return scatter(spec, operands);
  }
}

type Nest = { readonly axes: readonly Axis[]; readonly body: Scalar; readonly op: ReduceOp };

function axesOf(parallel: readonly number[], reduce: readonly number[], most: number): Axis[] {
  return clampSizes([...parallel, ...reduce], most).map((size, axis) => ({
    role: axis < parallel.length ? "parallel" : "reduce",
    size,
  }));
}

function expression({ parallel, reduce, most, op, body }: ExpressionSpec, operands: readonly OperandSlot[]): Nest {
  const axes = axesOf(parallel, reduce, most);
  const built = new ExpressionBuilder(axes, operands).build(body, [], "body");
  return { axes, body: reduce.length > 0 && built.dtype === "bool" ? toDtype(built, "i32") : built, op };
}

function scatter(spec: ScatterSpec, operands: readonly OperandSlot[]): Nest {
  const axes = axesOf(spec.parallel, spec.reduce, spec.most);
  const builder = new ExpressionBuilder(axes, operands);
  const built = builder.build(spec.body, [], "body");
  const value = built.dtype === "bool" ? toDtype(built, "i32") : built;
  const [bits, first, isDown, distance] = spec.row;
  const coefficients = axes.map(() => 0);
  let [rows, offset] = [distance, first - 2];
  for (const [axis, { role, size }] of [...axes.entries()].reverse()) {
    if (role === "reduce" || (bits >> axis) % 2 === 0) continue;
    coefficients[axis] = isDown ? -rows : rows;
    if (isDown) offset += rows * (size - 1);
    rows *= Math.max(1, size);
  }
  const index = builder.rowIndex(spec.index.choice, spec.index.access);
  const row: Scalar = { kind: "index", dtype: "i32", at: { offset, coefficients } };
  const [x, y] = spec.isRowFirst ? [row, index] : [index, row];
  return {
    axes,
    op: "sum",
    body: {
      kind: "select",
      dtype: value.dtype,
      condition: { kind: "compare", dtype: "bool", op: "equal", x, y },
      x: value,
      y: literal(0, value.dtype),
    },
  };
}

function contraction(spec: ContractionSpec, operands: readonly OperandSlot[]): Nest {
  const { axes, strides } = spec.what === "matmul" ? matrixProduct(spec) : convolution(spec);
  const isEmpty = axes.some(({ size }) => size === 0);
  const load = (operand: 0 | 1): Scalar => {
    const slot = at(operands, operand);
    const coefficients = strides[operand];
    const reach = axes.reduce((sum, { size }, axis) => sum + (size - 1) * at(coefficients, axis), 1);
    slot.length = Math.max(slot.length, isEmpty ? 0 : reach);
    return { kind: "load", dtype: "f32", operand, at: { offset: 0, coefficients } };
  };
  return { axes, body: { kind: "binary", dtype: "f32", op: "multiply", x: load(0), y: load(1) }, op: "sum" };
}

type Strides = { readonly axes: readonly Axis[]; readonly strides: readonly [readonly number[], readonly number[]] };

function matrixProduct(spec: ContractionSpec): Strides {
  const { sizes, variant, most = mostProducts } = spec;
  const [batch, rows, columns, inner] = sizes;
  const axes = axesOf([batch, rows, columns], [inner], most);
  const [b, m, n, k] = axes.map(({ size }) => size) as [number, number, number, number];
  const [aRow, aInner] = variant[0] % 2 === 0 ? [k, 1] : [1, m];
  const [bInner, bColumn] = variant[1] % 2 === 0 ? [n, 1] : [1, k];
  const bBatch = variant[2] % 2 === 0 || b === 1 ? k * n : 0;
  return {
    axes,
    strides: [
      [m * k, aRow, 0, aInner],
      [bBatch, 0, bColumn, bInner],
    ],
  };
}

/** On images that carry their border already: x[n, c, y * stride + ky * dilation, ...] with w[o, c, ky, kx] or y[n, o, y, x]. */
function convolution({ what, sizes: [n, o, width, c], variant, most = mostProducts }: ContractionSpec): Strides {
  const kernel = (variant[0] % 3) + 1;
  const [stride, dilation] = [(variant[1] % 2) + 1, (variant[2] % 2) + 1];
  const forward = what === "convolution";
  const height = Math.min(width, 5);
  const axes = forward
    ? axesOf([n, o, height, width], [c, kernel, kernel], most)
    : axesOf([o, c, kernel, kernel], [n, height, width], most);
  const size = (axis: number): number => at(axes, axis).size;
  const [rows, columns, channels] = forward ? [size(2), size(3), size(4)] : [size(5), size(6), size(1)];
  const [kernelRows, kernelColumns] = forward ? [size(5), size(6)] : [size(2), size(3)];
  const inputWidth = Math.max(0, columns - 1) * stride + Math.max(0, kernelColumns - 1) * dilation + 1;
  const inputHeight = Math.max(0, rows - 1) * stride + Math.max(0, kernelRows - 1) * dilation + 1;
  const image = inputWidth * inputHeight;
  const area = kernelRows * kernelColumns;
  if (forward) {
    return {
      axes,
      strides: [
        [channels * image, 0, stride * inputWidth, stride, image, dilation * inputWidth, dilation],
        [0, channels * area, 0, 0, area, kernelColumns, 1],
      ],
    };
  }
  return {
    axes,
    strides: [
      [0, image, dilation * inputWidth, dilation, channels * image, stride * inputWidth, stride],
      [rows * columns, 0, 0, 0, size(0) * rows * columns, columns, 1],
    ],
  };
}

/** Element `i` of data of any length. */
export function fillData({ dtype, elements }: OperandData, length: number): TensorData {
  const data = allocateData(dtype, length);
  for (let i = 0; i < length; i++) {
    // Knuth's multiplicative hash: no stride meets the same element everywhere.
    const hash = Math.imul(i + 1, 0x9e37_79b1) >>> 0;
    data[i] = at(elements, Math.floor((hash / 2 ** 32) * elements.length));
  }
  return data;
}

/**
 * The kernel of a case and its data.
 * @example
 * ```ts
 * const { kernel, data } = buildCase({
 *   spec: { kind: "contraction", what: "matmul", sizes: [1, 2, 3, 4], variant: [0, 0, 0], epilogue: [] },
 *   operands: [
 *     { dtype: "f32", elements: [1, -2] },
 *     { dtype: "f32", elements: [0.5] },
 *   ],
 * });
 * console.log(kernel.axes.map(({ size }) => size), data.map(({ length }) => length)); // [ 1, 2, 3, 4 ] [ 8, 12 ]
 * ```
 */
export function buildCase({ spec, operands }: KernelCase): { readonly kernel: Kernel; readonly data: TensorData[] } {
  const slots = operands.map(({ dtype }): OperandSlot => ({ dtype, length: 0, isFixed: false }));
  const kernel = buildKernel(spec, slots, "random");
  return { kernel, data: operands.map((operand, i) => fillData(operand, at(slots, i).length)) };
}

const tameElement = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: -64, max: 64 }).map((n) => n / 16) },
  // All 24 bits of the significand are used.
  { weight: 1, arbitrary: fc.integer({ min: -(2 ** 24), max: 2 ** 24 }).map((n) => n / 2 ** 21) },
  // Where differences from 1 cancel.
  { weight: 1, arbitrary: fc.integer({ min: -64, max: 64 }).map((n) => n / 2 ** 14) },
);
const largest = 3.4028234663852886e38;
const wildElement = fc.oneof(
  { weight: 3, arbitrary: tameElement },
  { weight: 1, arbitrary: fc.float({ noDefaultInfinity: true, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity, 0, -0) },
  { weight: 1, arbitrary: fc.constantFrom(1e-40, -1e-40, 2e-38, 1e30, 3e38, -3e38, largest).map(Math.fround) },
);
const elementOf: { readonly [D in DType]: fc.Arbitrary<number> } = {
  f32: tameElement,
  i32: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  u32: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  bool: fc.integer({ min: 0, max: 1 }),
};

/** Special values are in a few operands only, since one NaN may reach everything that a kernel computes. */
export function operandData(dtypes: readonly DType[]): fc.Arbitrary<OperandData> {
  return fc.tuple(fc.constantFrom(...dtypes), fc.nat(2)).chain(([dtype, wild]) =>
    fc
      .array(dtype === "f32" && wild === 0 ? wildElement : elementOf[dtype], {
        minLength: 1,
        maxLength: 16,
        size: "max",
      })
      .map((elements) => ({ dtype, elements })),
  );
}

const axisSize = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33) },
  { weight: 1, arbitrary: fc.constant(0) },
);
/** Short lists show small errors, which long ones hide behind larger ones. */
const instructions = (most: number): fc.Arbitrary<ScalarInstruction[]> =>
  fc.oneof(
    fc.array(scalarInstruction, { maxLength: 3, size: "max" }),
    fc.array(scalarInstruction, { maxLength: most, size: "max" }),
  );

const expressionSpec = (
  parallel: fc.Arbitrary<number[]>,
  reduce: fc.Arbitrary<number[]>,
  most: fc.Arbitrary<number>,
): fc.Arbitrary<KernelSpec> =>
  fc.record({
    kind: fc.constant("expression" as const),
    parallel,
    reduce,
    most,
    op: fc.constantFrom<ReduceOp>("sum", "sum", "max"),
    body: instructions(14),
    epilogue: fc.oneof(fc.constant([]), instructions(5)),
  });

const large = fc.integer({ min: 1, max: 9000 }).map((size) => [size]);
const few = fc.array(axisSize, { maxLength: 4 });

const some = fc.array(axisSize, { minLength: 1, maxLength: 3 });
const none = fc.constant<number[]>([]);
// Large kernels take as long as a hundred small ones.
const points = fc.constantFrom(60, 60, 60, 60, 60, 400, 400, 400, 4096);

const expressionSpecs: fc.Arbitrary<KernelSpec> = fc.oneof(
  { weight: 20, arbitrary: expressionSpec(few, none, points) },
  { weight: 20, arbitrary: expressionSpec(few, some, points) },
  { weight: 1, arbitrary: expressionSpec(large, none, fc.constant(Infinity)) },
  { weight: 1, arbitrary: expressionSpec(none, large, fc.constant(Infinity)) },
);

const scatterSpec = (most: fc.Arbitrary<number>): fc.Arbitrary<KernelSpec> =>
  fc.record({
    kind: fc.constant("scatter" as const),
    parallel: fc.array(axisSize, { minLength: 1, maxLength: 4 }),
    reduce: fc.array(axisSize, { minLength: 1, maxLength: 2 }),
    most,
    index: fc.record({ choice: fc.nat(5), access: accesses }),
    row: fc.tuple(fc.nat(15), fc.nat(4), fc.boolean(), fc.constantFrom(1, 1, 1, 1, 2)),
    isRowFirst: fc.boolean(),
    body: instructions(6),
    epilogue: fc.oneof(fc.constant([]), instructions(5)),
  });

/** Of up to 400 points. */
export const smallSpecs: fc.Arbitrary<KernelSpec> = fc.oneof(
  { weight: 2, arbitrary: expressionSpec(few, none, fc.constantFrom(40, 400)) },
  { weight: 2, arbitrary: expressionSpec(few, some, fc.constantFrom(40, 400)) },
  { weight: 1, arbitrary: scatterSpec(fc.constantFrom(40, 400)) },
);

const contractionSpec = (size: fc.Arbitrary<number>, most: number): fc.Arbitrary<KernelSpec> =>
  fc.record({
    kind: fc.constant("contraction" as const),
    what: fc.constantFrom("matmul" as const, "matmul" as const, "convolution" as const, "filterGradient" as const),
    sizes: fc.tuple(fc.constantFrom(1, 1, 2, 3), size, size, size),
    variant: fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2)),
    epilogue: fc.oneof(fc.constant([]), instructions(3)),
    most: fc.constant(most),
  });

const anyDtype: readonly DType[] = ["f32", "f32", "f32", "f32", "i32", "u32", "bool"];

const contractionCase = (
  specs: fc.Arbitrary<KernelSpec>,
  factor: fc.Arbitrary<OperandData>,
): fc.Arbitrary<KernelCase> =>
  fc.record({
    spec: specs,
    operands: fc
      .tuple(factor, factor, fc.array(operandData(anyDtype), { maxLength: 2 }))
      .map(([x, y, rest]) => [x, y, ...rest]),
  });

const productSize = fc.constantFrom(1, 3, 4, 8, 12, 16, 20, 32, 33, 36, 64, 65, 72, 100, 132);

/** Of which a NaN or an infinity would reach all sums. */
const tameFactor = fc
  .array(tameElement, { minLength: 1, maxLength: 16, size: "max" })
  .map((elements): OperandData => ({ dtype: "f32", elements }));

/** Contractions as large as a few tiles of a device, with borders of every kind. */
export const contractionCases: fc.Arbitrary<KernelCase> = fc.noBias(
  contractionCase(contractionSpec(productSize, 40_000), tameFactor),
);

/**
 * Random kernels with data: free expressions, folded or not, sums by index, and the contractions that devices have fast paths for. Without
 * bias: fast-check's first values are the smallest, and of them kernels would have few operands and elements.
 */
export const kernelCases: fc.Arbitrary<KernelCase> = fc.noBias(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        spec: expressionSpecs,
        operands: fc.array(operandData(anyDtype), { minLength: 1, maxLength: 5, size: "max" }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        spec: scatterSpec(points),
        operands: fc
          .tuple(operandData(["i32"]), fc.array(operandData(anyDtype), { minLength: 1, maxLength: 3, size: "max" }))
          .map(([index, rest]) => [index, ...rest]),
      }),
    },
    { weight: 2, arbitrary: contractionCase(contractionSpec(axisSize, mostProducts), operandData(["f32"])) },
  ),
);

/**
 * Data in words.
 * @example console.log(printOperands([{ dtype: "i32", elements: [1, -2] }])); // x0: i32 of 1 -2
 */
export function printOperands(operands: readonly OperandData[]): string {
  return operands
    .map(({ dtype, elements }, i) => {
      const list = elements.map((value) => (Object.is(value, -0) ? "-0" : String(value)));
      return `x${i}: ${dtype} of ${list.join(" ")}`;
    })
    .join("\n");
}
