/** The truth about kernels, held against answers found by hand. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DType } from "../../engine/graph/dtype.ts";
import type { Axis, Kernel, ReduceOp, Scalar } from "../../engine/kernel/kernel.ts";
import { accuracies } from "../../testing/bounds/accuracies.ts";
import { type Accuracy, conversionError } from "../../testing/bounds/bounds.ts";
import { boundedInput } from "../../testing/bounds/bounded.ts";
import { interpretKernel } from "../../testing/bounds/interpretKernel.ts";

const exact = accuracies.wasm;
const shader = accuracies.webgpu;
const literal = (value: number, dtype: DType = "f32"): Scalar => ({ kind: "literal", dtype, value });
const load = (operand: number, coefficients: readonly number[], dtype: DType = "f32", offset = 0): Scalar => ({
  kind: "load",
  dtype,
  operand,
  at: { offset, coefficients },
});
const unary = (op: "exp" | "sqrt" | "floor" | "negate" | "isNaN", x: Scalar): Scalar => ({
  kind: "unary",
  dtype: op === "isNaN" ? "bool" : "f32",
  op,
  x,
});
const binary = (op: "add" | "multiply" | "divide" | "maximum" | "subtract", x: Scalar, y: Scalar): Scalar => ({
  kind: "binary",
  dtype: x.dtype,
  op,
  x,
  y,
});
const cast = (x: Scalar, dtype: DType): Scalar => ({ kind: "cast", dtype, x });

type Data = { readonly dtype: DType; readonly elements: readonly number[] };
const f32 = (...elements: readonly number[]): Data => ({ dtype: "f32", elements });

/** Runs a kernel over `sizes` parallel axes and `reduce` further ones. */
function run(
  body: Scalar,
  data: readonly Data[] = [],
  {
    sizes = [1],
    reduce = [],
    op = "sum",
    value: stored,
    accuracy = exact,
  }: {
    sizes?: readonly number[];
    reduce?: readonly number[];
    op?: ReduceOp;
    value?: Scalar;
    accuracy?: Accuracy;
  } = {},
): { values: number[]; errors: number[] } {
  const axes: Axis[] = [
    ...sizes.map((size): Axis => ({ role: "parallel", size })),
    ...reduce.map((size): Axis => ({ role: "reduce", size })),
  ];
  const strides = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((product, size) => product * size, 1));
  const value: Scalar = reduce.length === 0 ? body : (stored ?? { kind: "accumulator", dtype: body.dtype });
  const kernel: Kernel = {
    name: "kernel",
    axes,
    operands: data.map(({ dtype, elements }) => ({ dtype, length: elements.length })),
    reduction: reduce.length === 0 ? null : { op, body },
    stores: [
      {
        value,
        dtype: value.dtype,
        length: sizes.reduce((product, size) => product * size, 1),
        at: { offset: 0, coefficients: [...strides, ...reduce.map(() => 0)] },
      },
    ],
    flops: 0,
    bytes: 0,
  };
  const { values, errors } = interpretKernel(
    kernel,
    data.map(({ dtype, elements }) => boundedInput(elements, dtype, accuracy)),
    accuracy,
  );
  return { values: [...values], errors: [...errors] };
}

const value = (body: Scalar, data: readonly Data[] = []): number => run(body, data).values[0] ?? assert.fail();
const error = (body: Scalar, data: readonly Data[] = [], accuracy = exact): number =>
  run(body, data, { accuracy }).errors[0] ?? assert.fail();

describe("loops and addresses", () => {
  it("multiplies matrices", () => {
    const product = binary("multiply", load(0, [3, 0, 1]), load(1, [0, 1, 2]));
    const { values } = run(product, [f32(1, 2, 3, 4, 5, 6), f32(1, 2, 3, 4, 5, 6)], { sizes: [2, 2], reduce: [3] });
    assert.deepEqual(values, [22, 28, 49, 64]);
  });

  it("walks backwards, in steps and on the spot", () => {
    assert.deepEqual(run(load(0, [-1], "f32", 3), [f32(1, 2, 3, 4)], { sizes: [4] }).values, [4, 3, 2, 1]);
    assert.deepEqual(run(load(0, [0, 2]), [f32(1, 2, 3)], { sizes: [2, 2] }).values, [1, 3, 1, 3]);
  });

  it("enters the branch of a region that is meant", () => {
    const region: Scalar = {
      kind: "region",
      dtype: "f32",
      axis: 0,
      start: 1,
      stop: 3,
      inside: load(0, [1], "f32", -1),
      outside: literal(9),
    };
    assert.deepEqual(run(region, [f32(5, 6)], { sizes: [4] }).values, [9, 5, 6, 9]);
  });

  it("clamps the index of a gather", () => {
    const gather: Scalar = {
      kind: "gather",
      dtype: "f32",
      operand: 0,
      at: { offset: 1, coefficients: [0] },
      index: load(1, [1], "i32"),
      stride: 2,
      size: 2,
    };
    const index: Data = { dtype: "i32", elements: [-5, 0, 1, 7] };
    assert.deepEqual(run(gather, [f32(1, 2, 3, 4), index], { sizes: [4] }).values, [2, 2, 4, 4]);
  });

  it("counts the axes in the index's dtype", () => {
    const index = (dtype: DType): Scalar => ({ kind: "index", dtype, at: { offset: -1, coefficients: [1] } });
    assert.deepEqual(run(index("f32"), [], { sizes: [3] }).values, [-1, 0, 1]);
    assert.deepEqual(run(index("u32"), [], { sizes: [3] }).values, [2 ** 32 - 1, 0, 1]);
    assert.deepEqual(run(index("bool"), [], { sizes: [3] }).values, [1, 0, 1]);
  });

  it("refuses kernels that read or write out of bounds", () => {
    assert.throws(() => run(load(0, [1]), [f32(1, 2)], { sizes: [3] }), RangeError);
    assert.throws(() => run(load(0, [-1]), [f32(1, 2)], { sizes: [2] }), RangeError);
    const twice: Kernel = {
      name: "twice",
      axes: [{ role: "parallel", size: 2 }],
      operands: [],
      reduction: null,
      stores: [{ value: literal(1), dtype: "f32", length: 2, at: { offset: 0, coefficients: [0] } }],
      flops: 0,
      bytes: 0,
    };
    assert.throws(() => interpretKernel(twice, [], exact), /twice/);
    const once: Kernel = {
      ...twice,
      stores: [{ ...twice.stores[0], at: { offset: 0, coefficients: [1] }, length: 3 }],
    };
    assert.throws(() => interpretKernel(once, [], exact), /writes 2 elements of 3/);
  });
});

describe("reductions", () => {
  it("of nothing give 0 and the lowest number", () => {
    const empty = (dtype: DType, op: ReduceOp): number =>
      run(literal(3, dtype), [], { reduce: [0], op }).values[0] ?? assert.fail();
    assert.deepEqual([empty("f32", "sum"), empty("i32", "sum"), empty("u32", "sum")], [0, 0, 0]);
    assert.deepEqual([empty("f32", "max"), empty("i32", "max"), empty("u32", "max")], [-Infinity, -(2 ** 31), 0]);
  });

  it("wrap integers, let NaN win and are stored as part of an expression", () => {
    const of = (data: Data, op: ReduceOp): number[] =>
      run(load(0, [0, 1], data.dtype), [data], { reduce: [data.elements.length], op }).values;
    assert.deepEqual(of({ dtype: "i32", elements: [2 ** 31 - 1, 2] }, "sum"), [-(2 ** 31) + 1]);
    assert.deepEqual(of({ dtype: "u32", elements: [2 ** 32 - 1, 2] }, "sum"), [1]);
    assert.deepEqual(of(f32(1, NaN, 3), "max"), [NaN]);
    const value = binary("multiply", { kind: "accumulator", dtype: "f32" }, literal(10));
    assert.deepEqual(run(load(0, [0, 1]), [f32(1, 2)], { reduce: [2], value }).values, [30]);
  });

  it("bound the error of any order of summation", () => {
    const elements = Array.from({ length: 1000 }, (_, i) => Math.fround(Math.sin(i + 1)));
    const bound = run(load(0, [0, 1]), [f32(...elements)], { reduce: [1000] });
    const sum = (list: readonly number[]): number => list.reduce((total, x) => Math.fround(total + x), 0);
    const orders = [elements, elements.toReversed(), elements.toSorted((a, b) => a - b)].map(sum);
    const truth = bound.values[0] ?? assert.fail();
    for (const got of orders) assert.ok(Math.abs(got - truth) <= (bound.errors[0] ?? 0));
    // About 1000 terms of mean absolute value 2 / pi, each rounded once at most: no looser than that.
    assert.ok((bound.errors[0] ?? Infinity) < (1.1 * 1000 * 1000 * 2) / Math.PI / 2 ** 24);
  });
});

describe("integers", () => {
  it("wrap, shift with and without sign, and cast as C does with saturation", () => {
    const whole = (x: number, dtype: DType = "i32"): Scalar => literal(x, dtype);
    assert.equal(value(binary("multiply", whole(2 ** 31 - 1), whole(2 ** 31 - 1))), 1);
    assert.equal(value(binary("subtract", whole(0, "u32"), whole(1, "u32"))), 2 ** 32 - 1);
    const right = (x: Scalar): Scalar => ({ kind: "shift", dtype: x.dtype, direction: "right", amount: 31, x });
    assert.equal(value(right(whole(-1))), -1);
    assert.equal(value(right(whole(2 ** 32 - 1, "u32"))), 1);
    const truncated = [2.9, -2.9, 1e20, -1e20].map((x) => value(cast(literal(x), "i32")));
    assert.deepEqual(truncated, [2, -2, 2 ** 31 - 1, -(2 ** 31)]);
    assert.deepEqual([value(cast(literal(-1), "u32")), value(cast(literal(5e9), "u32"))], [0, 2 ** 32 - 1]);
    assert.equal(value(cast(whole(-1), "u32")), 2 ** 32 - 1);
  });

  it("give Threefry's published vectors", () => {
    const words = (key0: number, key1: number, counter0: number, counter1: number): number[] =>
      ([0, 1] as const).map((word) =>
        value({
          kind: "threefry",
          dtype: "u32",
          word,
          key0: literal(key0, "u32"),
          key1: literal(key1, "u32"),
          counter0: literal(counter0, "u32"),
          counter1: literal(counter1, "u32"),
        }),
      );
    const ones = 0xffff_ffff;
    assert.deepEqual(words(0, 0, 0, 0), [0x6b20_0159, 0x99ba_4efe]);
    assert.deepEqual(words(ones, ones, ones, ones), [0x1cb9_96fc, 0xbb00_2be7]);
    assert.deepEqual(words(0x1319_8a2e, 0x0370_7344, 0x243f_6a88, 0x85a3_08d3), [0xc492_3a9c, 0x483d_f7a0]);
  });
});

describe("error bounds", () => {
  const third = binary("divide", literal(1), literal(3));

  it("are half a unit in the last place for one rounded operation, and follow its operands", () => {
    assert.ok(error(third) >= 2 ** -24 / 3 && error(third) < (1.01 * 2 ** -24) / 3);
    // d(x * x) = 2 x dx, and a rounding of its own.
    const square = error(binary("multiply", third, third));
    assert.ok(square >= (3 * 2 ** -24) / 9 && square < (3.01 * 2 ** -24) / 9);
  });

  it("are wide where a difference cancels", () => {
    const difference = binary("subtract", binary("add", third, literal(1000)), literal(1000));
    assert.ok(error(difference) > 1000 * 2 ** -24);
  });

  it("are infinite where a rounding error may change a decision", () => {
    const one = binary("multiply", third, literal(3));
    assert.equal(error(unary("floor", one)), Infinity);
    assert.equal(error(cast(one, "i32")), Infinity);
    const compare = (y: number): Scalar => ({ kind: "compare", dtype: "bool", op: "less", x: one, y: literal(y) });
    assert.equal(error(compare(1)), Infinity);
    assert.equal(error(compare(1.1)), 0);
    const select = (y: number): Scalar => ({
      kind: "select",
      dtype: "f32",
      condition: compare(y),
      x: literal(5),
      y: unary("floor", one),
    });
    assert.equal(error(select(1)), Infinity);
    assert.deepEqual([value(select(1.1)), error(select(1.1))], [5, 0]);
  });

  it("are infinite where the result may overflow, and 0 where it is infinite or NaN beyond doubt", () => {
    const large = f32(3e38);
    assert.equal(error(binary("add", load(0, [0]), load(0, [0])), [large]), Infinity);
    const infinite = f32(Infinity);
    assert.deepEqual(run(binary("multiply", load(0, [0]), literal(2)), [infinite]), {
      values: [Infinity],
      errors: [0],
    });
    assert.deepEqual(run(binary("subtract", load(0, [0]), load(0, [0])), [infinite]), { values: [NaN], errors: [0] });
    assert.deepEqual(run(unary("sqrt", literal(-1))), { values: [NaN], errors: [0] });
    assert.equal(error(binary("multiply", load(0, [0]), literal(2)), [infinite], shader), Infinity);
    assert.equal(error(unary("exp", third), [], { ...exact, elementary: Infinity }), Infinity);
  });

  it("of sums are infinite where infinities may meet an overflow only", () => {
    const sum = (...elements: number[]): number[] =>
      run(load(0, [0, 1]), [f32(...elements)], { reduce: [elements.length] }).errors;
    assert.deepEqual(sum(1, Infinity, 2), [0]);
    assert.deepEqual(sum(3e38, Infinity, 3e38), [Infinity]);
    assert.deepEqual(sum(3e38, 3e38, -3e38), [Infinity]);
  });

  it("allow for flushed subnormal numbers where the device may flush them", () => {
    const tiny = f32(1e-40);
    assert.equal(error(load(0, [0]), [tiny]), 0);
    assert.equal(error(load(0, [0]), [tiny], shader), Math.fround(1e-40) === 1e-40 ? 0 : 1e-40);
    const above: Scalar = { kind: "compare", dtype: "bool", op: "less", x: literal(0), y: load(0, [0]) };
    assert.deepEqual([error(above, [tiny]), error(above, [tiny], shader)], [0, Infinity]);
  });

  it("know what rounding to float32 does to integers and literals", () => {
    assert.equal(error(cast(literal(2 ** 24 + 1, "i32"), "f32")), (2 ** 24 + 1) / 2 ** 24);
    assert.equal(error(cast(literal(2 ** 24, "i32"), "f32")), 0);
    assert.ok(error(literal(0.1)) >= Math.abs(Math.fround(0.1) - 0.1));
    for (const value of [1e-40, -1e-40, 1e-46, 2 ** -127 * 1.1]) {
      const wrong = Math.abs(Math.fround(value) - value);
      for (const bound of [conversionError(value), error(literal(value))]) {
        assert.ok(bound >= wrong && bound <= 2 ** -149, `${value}: ${bound}`);
      }
    }
    for (const exactly of [0, -0, 2 ** -149, 2 ** -126, 0.5, Infinity, NaN]) assert.equal(conversionError(exactly), 0);
    assert.equal(conversionError(1e39), Infinity);
  });
});
