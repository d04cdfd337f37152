import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { numbered, parametrized, wordOf } from "../../../../engine/devices/gpujs/wgsl/numbers.ts";

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
});
