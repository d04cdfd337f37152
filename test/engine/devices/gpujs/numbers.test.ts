import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { emitKernel } from "../../../../engine/devices/gpujs/wgsl/index.ts";
import { numbered, parametrized, wordOf } from "../../../../engine/devices/gpujs/wgsl/numbers.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";

const numberTexts = fc.oneof(
  fc.nat().map((value) => `${value}u`),
  fc.nat().map((value) => `${value}i`),
  fc.float({ min: Math.fround(1e-30), max: Math.fround(1e30), noNaN: true }).map((value) => `${value}f`),
);

describe("numbers of texts", () => {
  it("are found, with their types, and nothing that only looks like one", () => {
    const text = "let v12 = vec4f(a0[v3 * 4u], 1.5e-7f, 0xff800000u) + vec4u(7i).x - shared4[2] / (2f);";
    assert.deepEqual(numbered(text).numbers, ["4u", "1.5e-7f", "7i", "2f"]);
    assert.deepEqual(numbered(text, true).numbers, ["4u", "7i"]);
  });

  it("stand in one text for all, as names where they differ, which have each text's number in its turn", () => {
    const texts = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 })).chain(([count, texts]) => {
      const column = numberTexts.chain((first) => {
        const alike = numberTexts.filter((other) => other.at(-1) === first.at(-1));
        return fc.array(fc.oneof(fc.constant(first), alike), { minLength: texts, maxLength: texts });
      });
      return fc.array(column, { minLength: count, maxLength: count });
    });
    fc.assert(
      fc.property(texts, (columns) => {
        const written = (columns[0] ?? []).map((_, text) => columns.map((column) => column[text]).join(" + "));
        const found = parametrized(
          written.map((text) => numbered(text)),
          "n",
        );
        written.forEach((text, index) => {
          const words = new Map(found.columns.map(({ name, words: all }) => [name, all[index]]));
          const terms = found.text.split(" + ");
          assert.deepEqual(
            terms.map((term) => words.get(term) ?? wordOf(term)),
            text.split(" + ").map(wordOf),
          );
        });
        for (const { words } of found.columns)
          assert.ok(new Set(words).size > 1, "a name for what is equal everywhere");
      }),
    );
  });

  it("are all in which the texts of sums of rows differ, however many rows there are and however long", () => {
    const rows = fc.record({ count: fc.integer({ min: 1, max: 999 }), length: fc.integer({ min: 8, max: 20_000 }) });
    const first = numbered(bodyOf(rowSums(64, 32))).skeleton;
    fc.assert(
      fc.property(rows, ({ count, length }) => {
        assert.equal(numbered(bodyOf(rowSums(count, length))).skeleton, first);
      }),
    );
  });
});

/** The sums of the squares of rows, behind one another in an array that doesn't begin with them. */
function rowSums(count: number, length: number): Kernel {
  const value: Scalar = {
    kind: "load",
    dtype: "f32",
    operand: 0,
    at: { offset: 64 * length, coefficients: [length, 1] },
  };
  const body: Scalar = { kind: "binary", dtype: "f32", op: "multiply", x: value, y: value };
  return {
    name: "rows",
    // A row alone would be no axis.
    axes: [
      { role: "parallel", size: count + 1 },
      { role: "reduce", size: length },
    ],
    operands: [{ dtype: "f32", length: (65 + count) * length }],
    reduction: { op: "sum", body },
    stores: [
      {
        value: { kind: "accumulator", dtype: "f32" },
        dtype: "f32",
        length: count + 1,
        at: { offset: 0, coefficients: [1, 0] },
      },
    ],
    flops: 0,
    bytes: 0,
  };
}

/** Without the line that names the schedule. */
function bodyOf(kernel: Kernel): string {
  const { text } = emitKernel(kernel, { operands: [null], results: [0], beside: [false] });
  return text.slice(text.indexOf("\n") + 1);
}
