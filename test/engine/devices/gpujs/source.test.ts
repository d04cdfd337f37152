import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { emitKernelSource } from "../../../../engine/devices/gpujs/source/emitKernelSource.ts";
import { wordsOf } from "../../../../engine/devices/gpujs/words.ts";
import { EvenkeelError } from "../../../../engine/errors.ts";
import type { DType } from "../../../../engine/graph/dtype.ts";
import { rowMajorStrides, sizeOf } from "../../../../engine/graph/shape.ts";
import type { Affine, Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import { threadFunction } from "./evaluateSource.ts";
import { elementwise, load } from "./samplePlans.ts";
import { evaluate, kernelOver, modes } from "./sampleKernels.ts";

describe("expressions", () => {
  type Sample = { readonly scalar: Scalar; readonly value: (x: readonly number[]) => number };
  const operands = 3;

  /** Trees of arithmetic that is exact enough in f64 to be compared: signs and nesting are the point. */
  const samples: fc.Arbitrary<Sample> = fc.letrec<{ sample: Sample }>((tie) => ({
    sample: fc.oneof(
      { depthSize: "medium", withCrossShrink: true },
      fc.nat(operands - 1).map((operand): Sample => ({ scalar: load(operand), value: (x) => x[operand] ?? 0 })),
      fc
        .constantFrom(0, -0, 1, -1, -2.5, 3, 1e-3, -7, 65536, 16777217, 1e20)
        .map(
          (value): Sample => ({ scalar: { kind: "literal", dtype: "f32", value }, value: () => Math.fround(value) }),
        ),
      fc.tuple(fc.constantFrom("negate" as const, "absolute" as const), tie("sample")).map(
        ([op, of]): Sample => ({
          scalar: { kind: "unary", dtype: "f32", op, x: of.scalar },
          value: (x) => (op === "negate" ? -of.value(x) : Math.abs(of.value(x))),
        }),
      ),
      fc
        .tuple(fc.constantFrom("add" as const, "subtract" as const, "multiply" as const), tie("sample"), tie("sample"))
        .map(
          ([op, a, b]): Sample => ({
            scalar: { kind: "binary", dtype: "f32", op, x: a.scalar, y: b.scalar },
            value: (x) => {
              const [left, right] = [a.value(x), b.value(x)];
              return op === "add" ? left + right : op === "subtract" ? left - right : left * right;
            },
          }),
        ),
      fc.tuple(tie("sample"), tie("sample"), tie("sample")).map(
        ([a, b, c]): Sample => ({
          scalar: {
            kind: "select",
            dtype: "f32",
            condition: { kind: "compare", dtype: "bool", op: "less", x: a.scalar, y: b.scalar },
            x: c.scalar,
            y: a.scalar,
          },
          value: (x) => (a.value(x) < b.value(x) ? c.value(x) : a.value(x)),
        }),
      ),
    ),
  })).sample;

  test("mean in JavaScript what they say", () => {
    const inputs = fc.array(fc.constantFrom(0, -0, 1.5, -3, 1e10, -0.25), { minLength: operands, maxLength: operands });
    fc.assert(
      fc.property(samples, inputs, fc.constantFrom(...modes), ({ scalar, value }, x, mode) => {
        const kernel = elementwise("sample", 1, operands, scalar);
        const got = evaluate(
          kernel,
          x.map((word) => Float32Array.of(word)),
          mode,
        );
        assert.deepEqual(got, Float32Array.of(value(x.map(Math.fround))));
      }),
      { numRuns: 2000 },
    );
  });

  test("have one source for one computation, whatever its name", () => {
    const kernel = elementwise("one", 7, 1, load(0));
    assert.equal(
      emitKernelSource(kernel, "webgpu").source,
      emitKernelSource({ ...kernel, name: "other" }, "webgpu").source,
    );
    assert.equal(emitKernelSource({ ...kernel, name: "other" }, "webgpu").name, "other");
  });

  test("are written once where branches share them", () => {
    const shared: Scalar = { kind: "unary", dtype: "f32", op: "exp", x: load(0) };
    const double: Scalar = { kind: "binary", dtype: "f32", op: "add", x: shared, y: shared };
    const region: Scalar = {
      kind: "region",
      dtype: "f32",
      axis: 0,
      start: 1,
      stop: 3,
      inside: double,
      outside: shared,
    };
    const { source } = emitKernelSource(elementwise("sample", 5, 1, region), "cpu");
    assert.equal(source.split("Math.exp(").length - 1, 1, source);
  });

  test("stay small where every branch contains the one before", () => {
    let nested: Scalar = load(0);
    for (let i = 0; i < 24; i++) {
      const once: Scalar = { kind: "unary", dtype: "f32", op: "negate", x: nested };
      nested = { kind: "region", dtype: "f32", axis: 0, start: i + 1, stop: 40, inside: once, outside: nested };
    }
    const { source } = emitKernelSource(elementwise("sample", 40, 1, nested), "webgpu");
    assert.ok(source.length < 10_000, `${source.length} characters`);
    const got = evaluate(elementwise("sample", 40, 1, nested), [new Float32Array(40).fill(1)], "cpu");
    assert.deepEqual(
      got,
      Float32Array.from({ length: 40 }, (_, i) => ((Math.min(i, 24) & 1) === 0 ? 1 : -1)),
    );
  });

  test("read only what is in bounds", () => {
    // Three elements padded by two on either side, with different fillings.
    const at: Affine = { offset: -2, coefficients: [1] };
    const inner: Scalar = { kind: "load", dtype: "f32", operand: 0, at };
    const right: Scalar = { kind: "region", dtype: "f32", axis: 0, start: 5, stop: 7, inside: load(1), outside: inner };
    const body: Scalar = { kind: "region", dtype: "f32", axis: 0, start: 0, stop: 2, inside: load(1), outside: right };
    const kernel = kernelOver(
      [7],
      [
        { dtype: "f32", length: 3 },
        { dtype: "f32", length: 7 },
      ],
      body,
    );
    for (const mode of modes) {
      const got = evaluate(kernel, [Float32Array.of(1, 2, 3), new Float32Array(7).fill(-1)], mode);
      assert.deepEqual(got, Float32Array.of(-1, -1, 1, 2, 3, -1, -1));
    }
  });

  test("of nothing are refused", () => {
    assert.throws(
      () => emitKernelSource(elementwise("nothing", 0, 1, load(0)), "cpu"),
      (error) => error instanceof EvenkeelError && error.code === "kernel" && /nothing/.test(error.message),
    );
  });
});

describe("threads", () => {
  /** A kernel that gives the row-major number of each element, from coordinates in reverse order of significance. */
  const numbering = (sizes: readonly number[], dtype: DType): Kernel =>
    kernelOver(sizes, [], { kind: "index", dtype, at: { offset: 0, coefficients: rowMajorStrides(sizes) } });

  /** The same with a border between elements, so that neighbouring axes can't be taken for one. */
  const spread = (sizes: readonly number[]): { readonly kernel: Kernel; readonly strides: readonly number[] } => {
    const strides = rowMajorStrides(sizes.map((size) => size + 1));
    return {
      kernel: kernelOver(sizes, [], { kind: "index", dtype: "f32", at: { offset: 0, coefficients: strides } }),
      strides,
    };
  };

  const wanted = (sizes: readonly number[], strides: readonly number[], element: number): number => {
    let rest = element;
    let sum = 0;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const size = sizes[axis] ?? 1;
      sum += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return sum;
  };

  test("cover every element of any number of axes", () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 7 });
    fc.assert(
      fc.property(shapes, fc.constantFrom(...modes), (sizes, mode) => {
        const { kernel, strides } = spread(sizes);
        const numbers = Float32Array.from({ length: sizeOf(sizes) }, (_, i) => wanted(sizes, strides, i));
        assert.deepEqual(evaluate(kernel, [], mode), numbers);
        const integers = evaluate(numbering(sizes, "u32"), [], mode);
        assert.deepEqual(
          integers,
          Uint32Array.from({ length: sizeOf(sizes) }, (_, i) => i),
        );
      }),
      { numRuns: 300 },
    );
  });

  for (const sizes of [
    [3, 1_000_000],
    [700_001, 4],
    [2, 3, 524_288],
    [1000, 1000, 5],
    [70_000, 3, 11],
    [11, 13, 17, 19, 23],
    [524_287, 2, 3],
    [3, 1_299_709],
    [6, 999_983, 2],
  ]) {
    test(`are dealt within the dimensions' limits for [${sizes.join(", ")}]`, () => {
      for (const mode of modes) {
        const { kernel, strides } = spread(sizes);
        const source = emitKernelSource(kernel, mode);
        const [width = 1, height = 1, depth = 1] = source.output;
        assert.equal(width * height * depth, sizeOf(sizes));
        const used = source.output.filter((size) => size > 1).length;
        // WebGPU's limits; the others have none that matter here.
        if (used > 1 && mode === "webgpu")
          assert.ok(width <= 524_280 && height <= 524_280 && depth <= 65_535, String(source.output));
        const run = threadFunction(source);
        const last = sizeOf(sizes) - 1;
        for (const element of [
          0,
          1,
          last,
          last - 1,
          ...Array.from({ length: 200 }, (_, i) => (i * 7_368_787 + 13) % last),
        ]) {
          const thread = {
            x: element % width,
            y: Math.floor(element / width) % height,
            z: Math.floor(element / (width * height)),
          };
          assert.equal(run(thread, []), wanted(sizes, strides, element), `${mode}, element ${element}`);
        }
      }
    });
  }

  test("number more elements than an f32 can tell apart", () => {
    const length = 2 ** 26;
    const body: Scalar = { kind: "index", dtype: "u32", at: { offset: 5, coefficients: [3] } };
    const source = emitKernelSource(kernelOver([length], [], body), "webgpu");
    const run = threadFunction(source);
    for (const element of [0, 2 ** 24 + 1, 2 ** 25 + 3, length - 1]) {
      const [high, low] = [run({ x: element, y: 0, z: 0 }, []), run({ x: length + element, y: 0, z: 0 }, [])];
      assert.equal(high * 65536 + low, 3 * element + 5);
    }
  });

  test("are told apart exactly by f32 reciprocals", () => {
    // The arithmetic of outputGrid in f32, also where the product comes out 2.5 units in the last place off.
    const f = Math.fround;
    for (const size of [2, 3, 5, 7, 49, 127, 641, 4095, 5461, 65_537, 349_525]) {
      const reciprocal = f(1 / size);
      for (let multiple = 0; multiple < 2 ** 20; multiple += size * Math.max(1, Math.floor(2 ** 20 / size / 500))) {
        for (const t of [multiple, multiple + size - 1].filter((value) => value < 2 ** 20)) {
          for (const off of [-2.5, 0, 2.5]) {
            const product = f(f(t + 0.5) * reciprocal) * (1 + off * 2 ** -23);
            assert.equal(Math.floor(product), Math.floor(t / size), `${t} / ${size}`);
          }
        }
      }
    }
  });
});

describe("reductions", () => {
  const reduction = (length: number, op: "sum" | "max", dtype: DType): Kernel => ({
    ...kernelOver([1], [{ dtype, length }], load(0, dtype)),
    axes: [{ role: "reduce", size: length }],
    reduction: { op, body: load(0, dtype) },
    stores: [{ value: { kind: "accumulator", dtype }, dtype, length: 1, at: { offset: 0, coefficients: [0] } }],
  });

  for (const length of [1, 2, 511, 512, 513, 1031, 4096, 262_147]) {
    test(`fold ${length} elements`, () => {
      const data = Float32Array.from({ length }, (_, i) => ((i * 7919) % 1000) - 300);
      const total = data.reduce((sum, value) => sum + value, 0);
      for (const mode of modes) {
        assert.deepEqual(evaluate(reduction(length, "sum", "f32"), [data], mode), Float32Array.of(total));
        assert.deepEqual(
          evaluate(reduction(length, "max", "f32"), [data], mode),
          Float32Array.of(Math.max(...data.slice(0, 1000))),
        );
      }
    });
  }

  test("of nothing give the identity", () => {
    for (const mode of modes) {
      assert.deepEqual(evaluate(reduction(0, "sum", "f32"), [new Float32Array(1)], mode), Float32Array.of(0));
      assert.deepEqual(evaluate(reduction(0, "max", "i32"), [new Int32Array(1)], mode), Int32Array.of(-(2 ** 31)));
      assert.deepEqual(evaluate(reduction(0, "max", "u32"), [new Uint32Array(1)], mode), Uint32Array.of(0));
    }
    assert.deepEqual(evaluate(reduction(0, "max", "f32"), [new Float32Array(1)], "cpu"), Float32Array.of(-Infinity));
  });

  test("of integers wrap, and NaN wins a maximum", () => {
    const data = Uint32Array.of(0xffffffff, 0x80000000, 0x80000003, 7);
    for (const mode of modes) {
      assert.deepEqual(evaluate(reduction(4, "sum", "u32"), [data], mode), Uint32Array.of(9));
      assert.deepEqual(evaluate(reduction(4, "max", "i32"), [new Int32Array(data)], mode), Int32Array.of(7));
      for (const place of [0, 1, 2]) {
        const values = Float32Array.of(1, 3, 2);
        values[place] = NaN;
        assert.deepEqual(evaluate(reduction(3, "max", "f32"), [values], mode), Float32Array.of(NaN));
      }
    }
  });

  test("add up in blocks: no loop of a float32 sum is longer than 32, no other one than 512", () => {
    const product = { kind: "binary", dtype: "f32", op: "multiply", x: load(0, "f32"), y: load(0, "f32") } as const;
    const sum = reduction(1_000_003, "sum", "f32");
    for (const [kernel, mode, longest] of [
      [sum, "webgpu", 32],
      [sum, "webgl2", 32],
      [sum, "cpu", 512],
      [{ ...sum, reduction: { op: "sum", body: product } }, "webgpu", 512],
      [reduction(1_000_003, "max", "f32"), "webgpu", 512],
    ] as const) {
      const { source } = emitKernelSource(kernel, mode);
      const counts = [...source.matchAll(/< (\d+); v/g)].map((match) => Number(match[1]));
      assert.ok(counts.length >= 3 && counts.every((count) => count <= longest), source);
      assert.ok(
        counts.some((count) => count > longest / 4),
        source,
      );
    }
  });

  test("words of operands and results are counted by dtype", () => {
    const { operandWords, resultWords } = emitKernelSource(reduction(5, "sum", "u32"), "cpu");
    assert.deepEqual([operandWords, resultWords], [[wordsOf("u32", 5)], 2]);
  });
});
