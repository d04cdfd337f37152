import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { flattenParameters, nestParameters, type ParameterSpec } from "../../nn/index.ts";

const leafOf = (n: number): ParameterSpec => ({ shape: [n], role: "weight", init: { kind: "normal", scale: 1 } });
const leaf = leafOf(1);

/** Keys that aren't a list's, though some look like it, or are names of JavaScript's own. */
const key = fc.oneof(
  fc.constantFrom(
    "a",
    "weight",
    "role",
    "init",
    "length",
    "constructor",
    "__proto__",
    "",
    " ",
    "01",
    "-1",
    "1e3",
    "größe",
  ),
  fc.stringMatching(/^[a-z]{1,3}$/),
);

const record = <T>(entries: readonly (readonly [string, T])[]): { [key: string]: T } => Object.fromEntries(entries);

/** Trees that `flattenParameters` takes: objects and lists within each other. */
const trees = fc.letrec<{ node: unknown; object: object; list: object; tree: object }>((tie) => ({
  node: fc.oneof({ depthSize: "small", withCrossShrink: true }, fc.nat(9).map(leafOf), tie("object"), tie("list")),
  object: fc
    .uniqueArray(fc.tuple(fc.oneof(key, fc.constantFrom("1", "2", "7")), tie("node")), {
      selector: ([name]) => name,
      minLength: 1,
      maxLength: 4,
    })
    .map(record),
  list: fc.array(tie("node"), { minLength: 1, maxLength: 13 }),
  tree: fc.oneof(tie("object"), tie("list")),
})).tree;

const refuses = (pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === "value" && pattern.test(error.message);

describe("parameters", () => {
  it("come back from their names, objects and lists within each other", () => {
    fc.assert(
      fc.property(trees, (tree) => {
        assert.deepEqual(nestParameters(flattenParameters(tree)), tree);
      }),
    );
  });

  it("come back from their names in any order", () => {
    const shuffled = trees.chain((tree) => {
      const names = Object.entries(flattenParameters(tree));
      return fc.tuple(fc.constant(tree), fc.shuffledSubarray(names, { minLength: names.length }));
    });
    fc.assert(fc.property(shuffled, ([tree, names]) => assert.deepEqual(nestParameters(record(names)), tree)));
    const layers = { layers: Array.from({ length: 12 }, (_, i) => ({ weight: leafOf(i) })) };
    const sorted = Object.entries(flattenParameters(layers)).sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(nestParameters(record(sorted)), layers);
  });

  it("have names that come back from their tree", () => {
    const part = fc.oneof(key, fc.nat(3).map(String));
    const names = fc.uniqueArray(
      fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(".")),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(names, (drawn) => {
        // A name can't be an array and a module of others.
        fc.pre(drawn.every((a) => !drawn.some((b) => b.startsWith(`${a}.`))));
        const named = record(drawn.map((name, i) => [name, leafOf(i)] as const));
        assert.deepEqual(flattenParameters(nestParameters(named)), named);
      }),
    );
  });

  it("are refused where their names would make another tree", () => {
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ "a.b": leaf }, /a\.b has a key with a dot/],
      [{ layers: [{ "conv.1": leaf }] }, /layers\.0\.conv\.1 has a key with a dot/],
      [{ layers: { "0": leaf, "1": leaf } }, /layers is an object with the keys of a list/],
      [{ "0": leaf }, /the tree is an object with the keys of a list/],
      [{ a: leaf, layers: [] }, /layers is an empty list/],
      [[], /the tree is an empty list/],
      [{ a: { b: {} } }, /a\.b is an empty object/],
      [{ a: { b: undefined } }, /a is an empty object/],
      [{ layers: [leaf, undefined, leaf] }, /layers has nothing at place 1/],
      [{ layers: Object.assign([], { 1: leaf }) }, /layers has nothing at place 0/],
      [{ a: leaf, depth: 5 }, /depth is 5/],
      [{ a: leaf, name: "net" }, /name is net/],
      [{ a: [leaf, null] }, /a\.1 is null/],
      [{ a: new Map([["b", leaf]]) }, /a is a Map/],
      [{ a: Float32Array.of(1) }, /a is a Float32Array/],
    ];
    for (const [tree, pattern] of cases) {
      assert.throws(() => flattenParameters(tree), refuses(new RegExp(`^flattenParameters: ${pattern.source}`)));
    }
    for (const names of [
      ["a", "a.b"],
      ["a.b", "a"],
      ["a.b.c", "a.b"],
      ["0", "0.1"],
    ]) {
      assert.throws(() => nestParameters(record(names.map((name) => [name, leaf] as const))), refuses(/Rename one/));
    }
    assert.deepEqual(flattenParameters({}), {});
    assert.deepEqual(flattenParameters({ a: leaf, b: undefined }), { a: leaf });
    // Objects with some of a list's keys, or with other spellings, stay objects.
    for (const tree of [{ "1": leaf }, { "0": leaf, "2": leaf }, { "0": leaf, a: leaf }, { "00": leaf }]) {
      assert.deepEqual(nestParameters(flattenParameters(tree)), tree);
    }
  });
});
