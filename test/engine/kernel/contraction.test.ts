import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { at } from "../../../engine/graph/shape.ts";
import {
  axisNames,
  type Contraction,
  contractionOf,
  type Convolution,
  convolutionOf,
  transposed,
} from "../../../engine/kernel/contraction.ts";
import type { Axis, Kernel, Scalar } from "../../../engine/kernel/kernel.ts";
import { placeOf } from "../../../testing/bounds/kernelPoints.ts";

type Side = { readonly coefficients: readonly number[]; readonly offset?: number };
type Folded = Pick<Kernel, "axes" | "reduction">;

/** A kernel that sums the products of two loads. */
function folded(axes: readonly Axis[], left: Side, right: Side): Folded {
  const load = (operand: number, { coefficients, offset = 0 }: Side): Scalar => ({
    kind: "load",
    dtype: "f32",
    operand,
    at: { offset, coefficients },
  });
  const body: Scalar = { kind: "binary", dtype: "f32", op: "multiply", x: load(0, left), y: load(1, right) };
  return { axes, reduction: { op: "sum", body } };
}

function contraction(kernel: Folded): Contraction {
  const found = contractionOf(kernel);
  assert.ok(found !== null);
  return found;
}

/** Axes by their names, in a random order of the parallel and of the reduce ones. */
type Named = { readonly name: string; readonly role: Axis["role"]; readonly size: number };

const shuffled = <T>(items: readonly T[]): fc.Arbitrary<T[]> =>
  fc.shuffledSubarray([...items], { minLength: items.length, maxLength: items.length });

/** A convolution with its strides, as a kernel whose axes stand in any order. */
const convolutions = fc
  .record({
    kind: fc.constantFrom("forward" as const, "filterGradient" as const),
    n: fc.integer({ min: 2, max: 3 }),
    o: fc.integer({ min: 2, max: 4 }),
    c: fc.integer({ min: 2, max: 4 }),
    out: fc.tuple(fc.integer({ min: 4, max: 6 }), fc.integer({ min: 4, max: 6 })),
    taps: fc.tuple(fc.integer({ min: 2, max: 3 }), fc.integer({ min: 2, max: 3 })),
    stride: fc.tuple(fc.constantFrom(1, 2), fc.constantFrom(1, 2)),
    dilation: fc.constantFrom(1, 2),
    groups: fc.constantFrom(1, 2),
    imageFirst: fc.boolean(),
    turned: fc.boolean(),
  })
  // Windows that overlap: their steps are shorter than the taps reach.
  .filter(({ stride, taps, dilation }) =>
    stride.every((step, d) => step / (step === dilation ? step : 1) < at(taps, d)),
  )
  .chain((sizes) => {
    const [parallel, reduce] =
      sizes.kind === "forward"
        ? [
            ["g", "n", "o", "y", "x"],
            ["c", "ky", "kx"],
          ]
        : [
            ["g", "o", "c", "ky", "kx"],
            ["n", "y", "x"],
          ];
    return fc.record({ sizes: fc.constant(sizes), parallel: shuffled(parallel), reduce: shuffled(reduce) });
  })
  .map(({ sizes, parallel, reduce }) => {
    const { n, o, c, groups, out, taps, stride, dilation } = sizes;
    const [height, width] = [0, 1].map((d) => at(stride, d) * (at(out, d) - 1) + dilation * (at(taps, d) - 1) + 1) as [
      number,
      number,
    ];
    const extent: Record<string, number> = { g: groups, n, o, c, y: out[0], x: out[1], ky: taps[0], kx: taps[1] };
    const axes: Named[] = [
      ...parallel.map((name): Named => ({ name, role: "parallel", size: extent[name] ?? 0 })),
      ...reduce.map((name): Named => ({ name, role: "reduce", size: extent[name] ?? 0 })),
    ].filter(({ name, size }) => name !== "g" || size > 1);
    const image: Record<string, number> = {
      n: groups * c * height * width,
      g: c * height * width,
      c: height * width,
      y: stride[0] * width,
      ky: dilation * width,
      x: stride[1],
      kx: dilation,
    };
    const sign = sizes.turned ? -1 : 1;
    const filter: Record<string, number> = {
      g: o * c * taps[0] * taps[1],
      o: c * taps[0] * taps[1],
      c: taps[0] * taps[1],
      ky: sign * taps[1],
      kx: sign,
    };
    const cotangent: Record<string, number> = {
      n: groups * o * out[0] * out[1],
      g: o * out[0] * out[1],
      o: out[0] * out[1],
      y: out[1],
      x: 1,
    };
    const side = (steps: Record<string, number>): Side => ({ coefficients: axes.map(({ name }) => steps[name] ?? 0) });
    const other = side(sizes.kind === "forward" ? filter : cotangent);
    const kernel = sizes.imageFirst ? folded(axes, side(image), other) : folded(axes, other, side(image));
    return { ...sizes, axes, kernel };
  });

describe("contractions", () => {
  it("tell rows, columns and batches by the arrays in which they move", () => {
    const axes: readonly Axis[] = [
      { role: "parallel", size: 5 },
      { role: "parallel", size: 6 },
      { role: "parallel", size: 7 },
      { role: "parallel", size: 2 },
      { role: "reduce", size: 8 },
    ];
    const kernel = folded(axes, { coefficients: [48, 0, 8, 0, 1] }, { coefficients: [48, 8, 0, 0, 1] });
    const { rows, columns, batch, depth } = contraction(kernel);
    assert.deepEqual({ rows, columns, batch, depth }, { rows: [2], columns: [1], batch: [0, 3], depth: [4] });
    const turned = transposed(contraction(kernel));
    assert.deepEqual([turned.rows, turned.columns, turned.left], [[1], [2], contraction(kernel).right]);
  });

  it("are sums of two loads of float32, nothing else", () => {
    const axes: readonly Axis[] = [{ role: "reduce", size: 8 }];
    const { reduction } = folded(axes, { coefficients: [1] }, { coefficients: [1] });
    assert.ok(reduction !== null && reduction.body.kind === "binary");
    assert.notEqual(contractionOf({ axes, reduction }), null);
    const others: readonly Kernel["reduction"][] = [
      null,
      { ...reduction, op: "max" },
      { ...reduction, body: { ...reduction.body, op: "add" } },
      { ...reduction, body: { ...reduction.body, dtype: "i32" } },
      { ...reduction, body: { ...reduction.body, x: { kind: "literal", dtype: "f32", value: 2 } } },
      { ...reduction, body: reduction.body.x },
    ];
    for (const other of others) assert.equal(contractionOf({ axes, reduction: other }), null);
  });
});

describe("convolutions", () => {
  it("are known by their addresses, in whatever order the axes stand", () => {
    fc.assert(
      fc.property(convolutions, ({ kind, axes, kernel, dilation, stride }) => {
        const found = convolutionOf(kernel, contraction(kernel));
        const names = (of: readonly number[]): string[] => of.map((axis) => at(axes, axis).name);
        assert.ok(found !== null);
        assert.equal(found.kind, kind);
        assert.deepEqual(
          axisNames(kernel),
          axes.map(({ name }) => (name === "g" ? "group" : name)),
        );
        assert.deepEqual([names(found.n), names(found.o), names(found.c)], [["n"], ["o"], ["c"]]);
        assert.deepEqual(names(found.groups), axes.some(({ name }) => name === "g") ? ["g"] : []);
        assert.deepEqual(
          found.windows.map(({ position, tap }) => names([position, tap])),
          [
            ["y", "ky"],
            ["x", "kx"],
          ],
        );
        for (const [d, window] of found.windows.entries()) {
          assert.equal(window.stride / window.dilation, at(stride, d) / dilation);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("have windows exactly where two points of a row's and a sum's axis read one element", () => {
    const steps = fc.integer({ min: -6, max: 6 });
    const sizes = fc.integer({ min: 1, max: 5 });
    let found = 0;
    fc.assert(
      fc.property(
        sizes,
        sizes,
        steps,
        steps,
        steps.filter((step) => step !== 0),
        (rows, depth, row, inner, other) => {
          const axes: readonly Axis[] = [
            { role: "parallel", size: rows },
            { role: "reduce", size: depth },
          ];
          const kernel = folded(axes, { coefficients: [row, inner] }, { coefficients: [0, other] });
          const places = new Map<number, number>();
          for (let i = 0; i < rows; i++) {
            for (let j = 0; j < depth; j++) {
              const place = placeOf({ offset: 0, coefficients: [row, inner] }, [i, j]);
              places.set(place, (places.get(place) ?? 0) + 1);
            }
          }
          const overlaps = row !== 0 && inner !== 0 && [...places.values()].some((count) => count > 1);
          const convolution = convolutionOf(kernel, contraction(kernel));
          assert.equal(convolution !== null, overlaps);
          if (convolution !== null) found++;
        },
      ),
      { numRuns: 500 },
    );
    assert.ok(found > 50, `${found} convolutions`);
  });

  it("that don't overlap are plain products: patch embeddings, 1x1 filters", () => {
    const axes: readonly Axis[] = [
      { role: "parallel", size: 4 },
      { role: "parallel", size: 8 },
      { role: "reduce", size: 3 },
    ];
    const patches = folded(axes, { coefficients: [3, 0, 1] }, { coefficients: [0, 3, 1] });
    assert.equal(convolutionOf(patches, contraction(patches)), null);
  });

  it("with an axis along two others are none", () => {
    const axes: readonly Axis[] = [
      { role: "parallel", size: 4 },
      { role: "parallel", size: 8 },
      { role: "reduce", size: 3 },
      { role: "reduce", size: 3 },
    ];
    const kernel = folded(axes, { coefficients: [1, 0, 1, 1] }, { coefficients: [0, 9, 3, 1] });
    const found: Convolution | null = convolutionOf(kernel, contraction(kernel));
    assert.equal(found, null);
  });
});
