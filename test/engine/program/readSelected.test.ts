import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import {
  add,
  compileStep,
  createDevice,
  createState,
  type Device,
  mapTree,
  scalar,
  type State,
  Tensor,
  tensor,
  treeLeaves,
} from "../../../engine/index.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";

type Tree = {
  readonly w: readonly Tensor[];
  readonly m: { readonly v: Tensor; readonly kind: string };
  readonly n: Tensor;
};

const treeOf = (sizes: readonly number[]): Tree => {
  const leaf = (place: number): Tensor =>
    tensor(Float32Array.from({ length: sizes[place % sizes.length] ?? 1 }, (_, i) => 10 * place + i));
  return { w: sizes.map((_, i) => leaf(i)), m: { v: leaf(7), kind: "plain" }, n: scalar(3, "i32") };
};

/** Leaf number `i` of a tree, as often as it is asked for, among things that are none. */
const selection =
  (places: readonly number[]) =>
  (tree: Tree): unknown => {
    const leaves = treeLeaves(tree);
    return {
      all: places.map((place) => leaves[place % leaves.length]?.tensor),
      m: { kind: tree.m.kind, no: null },
      tree: 1,
    };
  };

const numbersOf = async (tree: unknown): Promise<unknown> => {
  const data = new Map<string, readonly number[]>();
  for (const { path, tensor: leaf } of treeLeaves(tree)) data.set(path, [...(await leaf.data())]);
  return mapTree(tree, ({ dtype, shape }, path) => ({ dtype, shape, data: data.get(path) }));
};

describe("State.read of a selection", async () => {
  const real: Device[] = [];
  before(async () => real.push(await createDevice("wasm", { wasm: { threads: 1 } }), await createDevice("oracle")));
  after(() => real.forEach((device) => device.dispose()));

  it("is the selection of what is read, and fetches its leaves alone, each once", async () => {
    const inners = [...real, new ReferenceDevice("arena"), new ReferenceDevice("slots")];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...inners),
        fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(20), { maxLength: 6 }),
        fc.nat(2),
        async (inner, sizes, places, steps) => {
          const device = scheduledDevice(inner, () => Promise.resolve());
          const state = await createState(treeOf(sizes), device);
          // Where nothing is in place, a step swaps a leaf's buffers.
          const step = compileStep(
            (s: Tree) => ({
              state: { ...s, w: s.w.map((x) => add(x, 100)), m: { ...s.m, v: add(s.m.v, 1) } },
              result: null,
            }),
            { device },
          );
          for (let i = 0; i < steps; i++) await step.advance(state);
          const select = selection(places);
          device.downloads.length = 0;
          const selected = await state.read(select);
          const leaves = treeLeaves(state.template);
          const wanted = new Set(places.map((place) => place % leaves.length));
          const bytes = [...wanted].reduce((sum, leaf) => sum + 4 * (leaves[leaf]?.tensor.size ?? NaN), 0);
          assert.deepEqual(device.downloads, [bytes]);
          assert.deepEqual(await numbersOf(selected), await numbersOf(select(await state.read())));
          state.dispose();
          step.dispose();
        },
      ),
      { numRuns: 60 },
    );
  });

  const refused = async (state: State<Tree>, select: (tree: Tree) => unknown, code: string, message: RegExp) => {
    await assert.rejects(state.read(select), (error: Error & { readonly code?: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  };

  it("refuses what is no leaf, in words, and reads nothing", async () => {
    const device = scheduledDevice(new ReferenceDevice("arena"), () => Promise.resolve());
    const state = await createState(treeOf([2, 3]), device);
    const other = await createState(treeOf([2, 3]), device);
    device.downloads.length = 0;
    await refused(
      state,
      (s) => ({ sum: add(s.m.v, 1) }),
      "value",
      /sum of the selection is .*no leaf of the state\. Select leaves as they are/,
    );
    await refused(state, (s) => add(s.m.v, 1), "value", /what is selected is .*no leaf/);
    await refused(state, () => other.template.n, "value", /no leaf of the state/);
    await refused(state, (s) => s.w[9], "value", /the selection gives undefined\. Select leaves/);
    await refused(state, (s) => s.m.kind, "value", /the selection gives a string/);
    await refused(state, (s) => [s.n, () => s.n], "value", /\[1\] is a function/);
    await refused(state, async (s) => s.n, "value", /a promise.*Await/);
    await refused(state, (s) => s.n.item(), "value", /a promise/);
    await refused(
      state,
      () => {
        throw new RangeError("of the caller");
      },
      undefined as unknown as string,
      /of the caller/,
    );
    assert.deepEqual(device.downloads, []);
    assert.deepEqual(await (await state.read((s) => s.w[1] as Tensor)).array(), [10, 11, 12]);
    assert.equal(await (await state.read((s) => s.n)).item(), 3);
    state.dispose();
    await refused(state, (s) => s.n, "disposed", /State has been disposed of/);
    other.dispose();
  });
});
