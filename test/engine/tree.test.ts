import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fillTree, mapTree, ones, tensor, type Tensor, treeLeaves, zeros } from "../../engine/index.ts";
import { treeSignature } from "../../engine/tree.ts";
import { refuses } from "../support/plain.ts";

const [a, b, c] = [zeros([2]), ones([3], "i32"), tensor([1.5])];
const tree = { w: { first: a, second: [b, "kept", null] }, rate: 0.1, list: [c, [undefined, true]] };

describe("trees", () => {
  it("list their tensors with paths, in the order of keys", () => {
    assert.deepEqual(
      treeLeaves(tree).map(({ path, tensor: leaf }) => [path, leaf]),
      [
        ["w.first", a],
        ["w.second[0]", b],
        ["list[0]", c],
      ],
    );
    assert.deepEqual(treeLeaves(a, "argument0"), [{ path: "argument0", tensor: a }]);
    assert.equal(treeLeaves([[a]], "p")[0]?.path, "p[0][0]");
    assert.deepEqual(treeLeaves({ static: 1 }), []);
  });

  it("map and fill keep everything else", () => {
    const doubled = mapTree(tree, (x, path) => (path === "list[0]" ? a : x));
    assert.deepEqual(doubled, { ...tree, list: [a, [undefined, true]] });
    assert.deepEqual(
      fillTree(
        tree,
        treeLeaves(tree).map((leaf) => leaf.tensor),
      ),
      tree,
    );
    assert.throws(() => fillTree(tree, [a, b]), /no tensor for list\[0\]/);
    assert.equal(
      mapTree(a, () => b),
      b,
    );
  });

  it("of one structure map together, whatever the order of their keys", () => {
    const second = { list: [b, [undefined, true]], rate: 0.5, w: { second: [c, "other", null], first: b } };
    const met: [Tensor, Tensor][] = [];
    const mapped = mapTree(
      (x, y) => {
        met.push([x, y]);
        return y;
      },
      tree,
      second,
    );
    assert.deepEqual(met, [
      [a, b],
      [b, c],
      [c, b],
    ]);
    assert.deepEqual(mapped, { w: { first: b, second: [c, "kept", null] }, rate: 0.1, list: [b, [undefined, true]] });
    const parameters = { weight: a, layers: [b, c] };
    // The result has the first tree's type.
    const typed: typeof parameters = mapTree((x, y, z) => (x === a ? y : z), parameters, parameters, parameters);
    assert.deepEqual(typed, parameters);
    assert.equal(
      mapTree((x: Tensor) => x, a),
      a,
    );
    assert.deepEqual(
      mapTree((x, y) => [x.rank, y.dtype], { p: a }, { p: b }),
      { p: [1, "i32"] },
    );
  });

  it("of other structures are refused, with the place", () => {
    const combine = (x: Tensor): Tensor => x;
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [{ ...tree, list: [c] }, /tree 2 is an array of 1 where the first has an array of 2, at list/],
      [{ ...tree, w: { first: a } }, /tree 2 is without second, which the first has, at w/],
      [{ ...tree, more: a }, /tree 2 is with more, which the first hasn't\./],
      [{ ...tree, rate: a }, /tree 2 is a tensor where the first has no tensor, at rate/],
      [{ ...tree, w: { ...tree.w, first: 1 } }, /tree 2 is no tensor where the first has a tensor, at w\.first/],
      [a, /tree 2 is a tensor where the first has a plain object\./],
      [{ ...tree, list: new Map() }, /tree 2 is an instance of Map where the first has an array of 2, at list/],
    ];
    for (const [other, message] of cases) refuses(() => mapTree(combine, tree, other), "value", message);
    refuses(() => mapTree(combine, tree, tree, [a]), "value", /tree 3 is an array of 1/);
    refuses(() => mapTree(combine, { net: new Map() }, { net: new Map() }), "value", /net is an instance of Map/);
  });

  it("refuse what they can't hold, and say where", () => {
    const model = new Map([["w", a]]);
    refuses(() => treeLeaves({ net: { model } }), "value", /net\.model is an instance of Map/);
    refuses(() => treeLeaves([() => a], "argument1"), "value", /argument1\[0\] is a function/);
    refuses(() => treeLeaves(10n), "value", /the value is a bigint/);
    refuses(() => treeLeaves({ data: new Float32Array(2) }), "value", /data is an instance of Float32Array/);
  });
});

describe("treeSignature", () => {
  const anyLeaf = fc.oneof(
    fc.constantFrom<Tensor>(a, b, c, zeros([]), zeros([2, 1])),
    fc.constantFrom(0, -0, 1, "1", NaN, "NaN", Infinity, true, "true", null, undefined, "u", "f32[2]", "tf32[2]", ""),
  );
  const { anyTree } = fc.letrec<{ anyTree: unknown }>((tie) => ({
    anyTree: fc.oneof(
      { maxDepth: 3 },
      anyLeaf,
      fc.array(tie("anyTree"), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom("", "a", "b", "__proto__x"), tie("anyTree"), { maxKeys: 2, noNullPrototype: true }),
    ),
  }));
  /** Equal keys in order, equal static values, equal dtypes and shapes. */
  const isSame = (x: unknown, y: unknown): boolean => {
    const described = (value: unknown): unknown =>
      mapTree(value, (leaf) => Symbol.for(`${leaf.dtype} ${leaf.shape.join(" ")}`));
    const keys = (value: unknown): unknown =>
      typeof value === "object" && value !== null
        ? Object.entries(value).map(([key, child]) => [key, keys(child)])
        : value;
    try {
      assert.deepStrictEqual([described(x), keys(described(x))], [described(y), keys(described(y))]);
      return true;
    } catch {
      return false;
    }
  };

  it("is equal exactly for trees of one shape", () => {
    fc.assert(
      fc.property(anyTree, anyTree, (x, y) => {
        assert.equal(treeSignature(x) === treeSignature(y), isSame(x, y), `${treeSignature(x)} ${treeSignature(y)}`);
      }),
      { numRuns: 2000 },
    );
  });

  it("tells apart what JSON doesn't", () => {
    const pairs: readonly (readonly [unknown, unknown])[] = [
      [{ s: 0 }, { s: -0 }],
      [{ s: null }, { s: undefined }],
      [{ s: NaN }, { s: null }],
      [{ s: NaN }, { s: "NaN" }],
      [[1], ["1"]],
      [a, "f32[2]"],
      [a, { "": "f32[2]" }],
      [{ s: undefined }, {}],
      [zeros([2]), zeros([2, 1])],
      [zeros([2]), zeros([2], "i32")],
    ];
    for (const [x, y] of pairs) assert.notEqual(treeSignature(x), treeSignature(y));
    assert.equal(treeSignature({ x: zeros([2]), n: 3 }), treeSignature({ x: ones([2]), n: 3 }));
  });
});
