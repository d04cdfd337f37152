import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../engine/errors.ts";
import { parseSafetensors, serializeSafetensors } from "../../engine/io/index.ts";
import { createDevice, createState, mapTree, type Tensor, tensor, treeLeaves, zerosLike } from "../../engine/index.ts";
import { flattenParameters, nestParameters, parseTree, serializeTree } from "../../nn/index.ts";
import { loadTree, saveTree } from "../../nn/node.ts";

const refuses = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && pattern.test(error.message);

const bits = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 5 });
const tensors: fc.Arbitrary<Tensor> = fc.oneof(
  // Of all bits, NaNs among them.
  bits.map((words) => tensor(new Float32Array(Uint32Array.from(words).buffer))),
  bits.map((words) =>
    tensor(
      Int32Array.from(words, (word) => word | 0),
      { shape: [1, words.length] },
    ),
  ),
  bits.map((words) => tensor(Uint32Array.from(words))),
  fc.boolean().map((value) => tensor(value)),
);
const statics = fc.constantFrom<unknown>(null, undefined, "net", -0, NaN, true);

/** Any tree, with static values in it. */
const trees = fc
  .letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      tensors,
      statics,
      fc.array(tie("node"), { maxLength: 12 }),
      fc.dictionary(fc.stringMatching(/^[a-z0-9 ]{0,2}$/), tie("node"), { maxKeys: 4 }),
    ),
  }))
  .node.map((node) => ({ node }));

/** A tree with its tensors as texts of their bits. */
const written = async (tree: unknown): Promise<unknown> => {
  const texts = new Map<Tensor, string>();
  for (const { tensor: leaf } of treeLeaves(tree)) {
    const data = await leaf.data();
    texts.set(leaf, `${leaf.toString()} ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")}`);
  }
  return mapTree(tree, (leaf) => texts.get(leaf));
};

describe("trees as files", () => {
  it("come back bit by bit into a tree like them, whatever it is", async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (tree) => {
        const file = await serializeTree(tree);
        const like = mapTree(tree, zerosLike);
        assert.deepEqual(await written(parseTree(file, like)), await written(tree));
      }),
      { numRuns: 60 },
    );
  });

  it("come back without one, lists too, where names say all", async () => {
    const tree = {
      layers: [{ weight: tensor([[1, 2]]) }, { weight: tensor([[3]]), steps: tensor([7], { dtype: "u32" }) }],
      on: tensor(true),
    };
    const file = await serializeTree(tree, { metadata: { by: "test" } });
    assert.deepEqual([...parseSafetensors(file).entries.keys()].sort(), [
      "layers.0.weight",
      "layers.1.steps",
      "layers.1.weight",
      "on",
    ]);
    assert.equal(parseSafetensors(file).metadata.get("by"), "test");
    assert.deepEqual(await written(parseTree(file)), await written(tree));
    assert.deepEqual(await written(nestParameters(flattenParameters(tree))), await written(tree));
  });

  it("are the same bytes on a disk, and read back", async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "evenkeel-tree-"));
    try {
      const file = path.join(folder, "net.safetensors");
      const tree = { weight: tensor([1, 2, 3]).multiply(2), depth: 3 };
      await saveTree(file, tree);
      assert.deepEqual(new Uint8Array(await readFile(file)), await serializeTree(tree));
      const read = await loadTree(file, { weight: tensor([0, 0, 0]), depth: 4 });
      assert.deepEqual([await read.weight.array(), read.depth], [[2, 4, 6], 4]);
      const device = await createDevice("wasm");
      const state = await createState({ weight: zerosLike(tree.weight), depth: 3 }, device);
      await state.write(await loadTree(file, state.template));
      assert.deepEqual(await (await state.read()).weight.array(), [2, 4, 6]);
      [state, device].forEach((held) => held.dispose());
      assert.deepEqual(await written(await loadTree(file)), await written({ weight: tensor([2, 4, 6]) }));
      await assert.rejects(loadTree(path.join(folder, "none")), refuses("file", /none/));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("may have 16-bit floats, and are read from files of other widths", async () => {
    const values = [1, -0.5, 65504, 1 / 3];
    for (const floats of ["F16", "BF16"] as const) {
      const file = await serializeTree({ w: tensor(values) }, { floats });
      assert.equal(parseSafetensors(file).tensor("w").dtype, floats);
      const read = (await parseTree(file, { w: tensor([0, 0, 0, 0]) }).w.data()) as Float32Array;
      const [relative] = floats === "F16" ? [2 ** -11] : [2 ** -8];
      read.forEach((value, i) => assert.ok(Math.abs(value / (values[i] ?? NaN) - 1) <= relative, `${floats} ${value}`));
    }
    const wide = serializeSafetensors({
      double: { dtype: "F64", shape: [1], data: Float64Array.of(0.1) },
      label: { dtype: "I64", shape: [2], data: BigInt64Array.of(-5n, 7n) },
      byte: { dtype: "U8", shape: [1], data: Uint8Array.of(255) },
      count: { dtype: "U64", shape: [1], data: BigUint64Array.of(2n ** 32n - 1n) },
    });
    const like = {
      double: tensor([0]),
      label: tensor([0, 0], { dtype: "i32" }),
      byte: tensor([0], { dtype: "u32" }),
      count: tensor([0], { dtype: "u32" }),
    };
    const read = parseTree(wide, like);
    assert.deepEqual(await Promise.all(Object.values(read).map((leaf) => leaf.array())), [
      [Math.fround(0.1)],
      [-5, 7],
      [255],
      [2 ** 32 - 1],
    ]);
    assert.deepEqual(
      treeLeaves(parseTree(wide))
        .map(({ path: name, tensor: { dtype } }) => `${name} ${dtype}`)
        .sort(),
      ["byte i32", "count u32", "double f32", "label i32"],
    );
  });

  it("say by name what doesn't fit", async () => {
    const tree = { a: tensor([1, 2]), b: { c: tensor([1], { dtype: "i32" }) } };
    const file = await serializeTree(tree);
    const parse = (like: unknown) => () => parseTree(file, like);
    assert.throws(parse({ ...tree, a: tensor([[1, 2]]) }), refuses("shape", /"a" is \[2\], expected \[1, 2\]/));
    assert.throws(
      parse({ ...tree, b: { c: tensor([1]) } }),
      refuses("dtype", /"b\.c" is I32, expected what makes f32/),
    );
    assert.throws(
      parse({ ...tree, a: tensor([true, false]) }),
      refuses("dtype", /"a" is F32, expected what makes bool/),
    );
    assert.throws(parse({ ...tree, d: tensor([1]) }), refuses("shape", /lacks "d"/));
    assert.throws(parse({ a: tree.a }), refuses("shape", /has "b\.c", which the tree hasn't/));
    assert.deepEqual(await parseTree(file, { a: zerosLike(tree.a) }, { allowsMore: true }).a.array(), [1, 2]);
    const negative = await serializeTree({ b: tensor([-1], { dtype: "i32" }) });
    assert.throws(
      () => parseTree(negative, { b: tensor([0], { dtype: "u32" }) }),
      refuses("value", /"b": element 0 is -1/),
    );
    await assert.rejects(
      serializeTree({ "a.b": tree.a, a: { b: tree.a } }),
      refuses("value", /"a\.b": a key has a dot/),
    );
    await assert.rejects(serializeTree({ a: new Map() }), refuses("value", /an instance of Map/));
  });
});
