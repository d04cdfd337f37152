/** What is known of 16-bit floats from expressions alone, and kernels over memory of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { binaryScalar, unaryScalar } from "../../../engine/devices/oracle/scalars.ts";
import { fromFloat16Bits } from "../../../engine/io/index.ts";
import type { Kernel, Scalar } from "../../../engine/kernel/kernel.ts";
import { kernelForm, kernelKey } from "../../../engine/kernel/kernelKey.ts";
import { givesFloat16, storedBytes, withFloat16 } from "../../../engine/kernel/storage.ts";
import { nearestFloat16 } from "../../support/nearestFloat16.ts";

const load = (operand: number): Scalar => ({
  kind: "load",
  dtype: "f32",
  operand,
  at: { offset: 0, coefficients: [1] },
});

const literals = [
  0,
  -0,
  1,
  -256,
  0.1,
  2 ** -14,
  2 ** -15,
  65504,
  65520,
  1 + 2 ** -10,
  1 + 2 ** -11,
  Infinity,
  NaN,
  2049,
  3,
];

/** Expressions of two arrays, of which the first has 16-bit floats. */
const { scalar: scalars } = fc.letrec<{ scalar: Scalar }>((tie) => ({
  scalar: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(load(0), load(0), load(1)),
    fc.constantFrom(...literals).map((value): Scalar => ({ kind: "literal", dtype: "f32", value })),
    fc
      .tuple(fc.constantFrom("negate", "absolute", "roundToFloat16", "sqrt", "floor"), tie("scalar"))
      .map(([op, x]): Scalar => ({ kind: "unary", dtype: "f32", op, x })),
    fc
      .tuple(fc.constantFrom("maximum", "minimum", "add", "multiply"), tie("scalar"), tie("scalar"))
      .map(([op, x, y]): Scalar => ({ kind: "binary", dtype: "f32", op, x, y })),
    fc.tuple(tie("scalar"), tie("scalar"), tie("scalar")).map(
      ([a, x, y]): Scalar => ({
        kind: "select",
        dtype: "f32",
        condition: { kind: "compare", dtype: "bool", op: "less", x: a, y: x },
        x,
        y,
      }),
    ),
    fc
      .tuple(tie("scalar"), tie("scalar"))
      .map(
        ([inside, outside]): Scalar => ({ kind: "region", dtype: "f32", axis: 0, start: 0, stop: 1, inside, outside }),
      ),
  ),
}));

function valueOf(scalar: Scalar, arrays: readonly [number, number], isInside: boolean): number {
  const value = (part: Scalar): number => valueOf(part, arrays, isInside);
  switch (scalar.kind) {
    case "load":
      return arrays[scalar.operand] ?? NaN;
    case "literal":
      return Math.fround(scalar.value);
    case "unary":
      return Math.fround(unaryScalar(scalar.op, value(scalar.x), "f32"));
    case "binary":
      return Math.fround(binaryScalar(scalar.op, value(scalar.x), value(scalar.y), "f32"));
    case "select": {
      const { condition } = scalar;
      assert.ok(condition.kind === "compare");
      return value(condition.x) < value(condition.y) ? value(scalar.x) : value(scalar.y);
    }
    case "region":
      return value(isInside ? scalar.inside : scalar.outside);
    default:
      throw new Error(scalar.kind);
  }
}

describe("16-bit floats", () => {
  it("are what an expression gives that is said to give nothing else", () => {
    let found = 0;
    const halves = fc.nat(0xffff).map((bits) => nearestFloat16(fromFloat16Bits(bits)));
    fc.assert(
      fc.property(scalars, fc.array(fc.tuple(halves, fc.float(), fc.boolean()), { minLength: 8 }), (scalar, rows) => {
        if (!givesFloat16(scalar, (operand) => operand === 0)) return;
        if (scalar.kind !== "literal" && scalar.kind !== "load") found++;
        for (const [half, other, isInside] of rows) {
          const value = valueOf(scalar, [half, other], isInside);
          assert.ok(Object.is(nearestFloat16(value), value), `${value} of ${half} and ${other}`);
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(found > 300, `only ${found} expressions`);
  });

  it("are told of a rounding, a limit of it, its sign turned, and a choice of two; of no arithmetic", () => {
    const isFirst = (operand: number): boolean => operand === 0;
    const rounded: Scalar = { kind: "unary", dtype: "f32", op: "roundToFloat16", x: load(1) };
    const limit: Scalar = { kind: "literal", dtype: "f32", value: 256 };
    const limited: Scalar = { kind: "binary", dtype: "f32", op: "minimum", x: rounded, y: limit };
    for (const scalar of [load(0), rounded, limited, { ...rounded, op: "negate" as const, x: limited }]) {
      assert.ok(givesFloat16(scalar, isFirst), scalar.kind);
    }
    for (const scalar of [load(1), { ...limited, op: "add" as const }, { ...limit, value: 0.1 }]) {
      assert.ok(!givesFloat16(scalar, isFirst), scalar.kind);
    }
  });

  it("take half of the bytes, in whole words, and make another kernel", () => {
    assert.deepEqual(
      [0, 1, 4, 7].map((length) => [storedBytes({ length }), storedBytes({ length, storage: "float16" })]),
      [
        [0, 0],
        [4, 4],
        [16, 8],
        [28, 16],
      ],
    );
    const kernel: Kernel = {
      name: "copy",
      axes: [{ role: "parallel", size: 8 }],
      operands: [{ dtype: "f32", length: 8 }],
      reduction: null,
      stores: [{ value: load(0), dtype: "f32", length: 8, at: { offset: 0, coefficients: [1] } }],
      flops: 0,
      bytes: 64,
    };
    assert.equal(
      withFloat16(
        kernel,
        () => false,
        () => false,
      ),
      kernel,
    );
    const packed = withFloat16(
      kernel,
      () => true,
      () => false,
    );
    assert.deepEqual([packed.operands[0]?.storage, packed.stores[0].storage, packed.bytes], ["float16", undefined, 48]);
    assert.notEqual(kernelKey(packed), kernelKey(kernel));
    assert.notEqual(kernelForm(packed), kernelForm(kernel));
  });
});
