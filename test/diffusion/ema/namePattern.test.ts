import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hasForm, matchPattern, type PatternPart, starPattern } from "../../../diffusion/ema/namePattern.ts";

const few = fc.string({ unit: fc.constantFrom("a", "b", "1", ".", "*"), maxLength: 8 });
const text = fc.string({ unit: fc.constantFrom("a", "b", "1", "."), maxLength: 12 });
const escaped = (part: string): string => part.replaceAll(/[.*]/g, "\\$&");

describe("patterns of names", () => {
  it("match what regular expressions match", () => {
    fc.assert(
      fc.property(few, text, (pattern, name) => {
        const expected = new RegExp(`^${pattern.split("*").map(escaped).join(".*")}$`).test(name);
        const parts = starPattern(pattern);
        assert.equal(hasForm(parts, name), expected);
        if (parts.length > 0) assert.equal(matchPattern(parts, name) !== undefined, expected);
      }),
    );
  });

  it("read the numbers that regular expressions read", () => {
    const part = fc.oneof(
      fc.constant<PatternPart>({ kind: "any" }),
      text.filter((t) => t !== "").map((t): PatternPart => ({ kind: "text", text: t.slice(0, 2) })),
    );
    const pieces = fc.array(part, { maxLength: 3 });
    const expression = (parts: readonly PatternPart[]): string =>
      parts.map((each) => (each.kind === "text" ? escaped(each.text) : ".*")).join("");
    fc.assert(
      fc.property(pieces, pieces, pieces, text, (a, b, c, name) => {
        const numbers: PatternPart[] = [
          { kind: "whole", name: "nimg" },
          { kind: "decimal", name: "std" },
        ];
        const parts = [...a, ...numbers.slice(0, 1), ...b, ...numbers.slice(1), ...c];
        const form = `^${expression(a)}(?<nimg>\\d+)${expression(b)}(?<std>\\d*\\.?\\d+)${expression(c)}$`;
        const expected = new RegExp(form).exec(name)?.groups;
        const found = matchPattern(parts, name);
        assert.equal(found?.get("nimg"), expected?.["nimg"]);
        assert.equal(found?.get("std"), expected?.["std"]);
      }),
    );
  });

  it("take no time that many stars multiply", () => {
    const stars = starPattern(`${"*a".repeat(40)}b`);
    assert.equal(hasForm(stars, "a".repeat(100_000)), false);
    assert.equal(matchPattern(stars, "a".repeat(200)), undefined);
    assert.ok(hasForm(starPattern("*a".repeat(40)), "a".repeat(100_000)));
  });
});
