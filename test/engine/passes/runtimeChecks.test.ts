import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EvenkeelError } from "../../../engine/errors.ts";
import {
  add,
  cast,
  checkpoint,
  compile,
  createDevice,
  gather,
  grad,
  multiply,
  reduceSum,
  scan,
  sin,
  type Tensor,
  tensor,
  valueAndGrad,
  withDerivativeOf,
  zeros,
} from "../../../engine/index.ts";
import { runtimeChecks } from "../../../engine/passes/runtimeChecks.ts";

const wasm = await createDevice("wasm");
const indices = (...values: number[]): Tensor => tensor(Int32Array.from(values));
const checksOf = (x: Tensor): string[] =>
  runtimeChecks({ inputs: [], outputs: [x.node] }).map(({ message }) => message.replace(/:.*/s, ""));
const outOfRange = (error: unknown): boolean =>
  error instanceof EvenkeelError && error.code === "value" && /^gather: an index is out of range/.test(error.message);

/** Rows of a table, by what is stored and by what is computed. */
const taken = (x: Tensor, index: Tensor): Tensor =>
  reduceSum(sin(multiply(gather(x, index), gather(x, cast(gather(x, index), "i32")))));
const inLoop = (x: Tensor, index: Tensor): Tensor =>
  scan((sum: Tensor, row: Tensor) => ({ carry: add(sum, taken(multiply(x, sum), row)), y: null }), tensor(1), index)
    .carry;

describe("runtimeChecks", () => {
  it("looks once at what derivatives compute again", () => {
    const x = zeros([3]);
    const index = indices(0, 2);
    const all = ["cast", "gather", "gather", "gather"];
    const by = (fn: (x: Tensor) => Tensor): string[] => {
      const { value, gradient } = valueAndGrad((y: Tensor) => reduceSum(fn(y)))(x);
      return checksOf(reduceSum(add(value, gradient))).sort();
    };
    assert.deepEqual(checksOf(taken(x, index)).sort(), all);
    assert.deepEqual(
      by((y) => taken(y, index)),
      all,
    );
    assert.deepEqual(
      by((y) => checkpoint(taken)(y, index)),
      all,
    );
    assert.deepEqual(
      by((y) => checkpoint((z: Tensor) => checkpoint(taken)(z, index))(y)),
      all,
    );
    const rows = tensor(Int32Array.of(0, 1, 2, 0), { shape: [2, 2] });
    assert.deepEqual(checksOf(inLoop(x, rows)).sort(), all);
    assert.deepEqual(
      by((y) => inLoop(y, rows)),
      all,
    );
    assert.deepEqual(
      by((y) => grad((z: Tensor) => reduceSum(grad((w: Tensor) => inLoop(w, rows))(z)))(y)),
      all,
    );
    // Two that are alike are two.
    assert.equal(checksOf(add(taken(x, index), taken(x, index))).length, 8);
  });

  it("finds mistakes where only a derivative computes them, in and outside of loops", async () => {
    const x = tensor([0, 1, 2]);
    for (const fn of [taken, checkpoint(taken)]) {
      const slope = compile((y: Tensor, index: Tensor) => grad((z: Tensor) => fn(z, index))(y), { device: wasm });
      assert.equal((await (await slope(x, indices(0, 2))).data()).length, 3);
      await assert.rejects(slope(x, indices(0, 3)), outOfRange);
      slope.dispose();
    }
    const rows = (last: number): Tensor => tensor(Int32Array.of(0, 1, 2, last), { shape: [2, 2] });
    const looped = compile((y: Tensor, index: Tensor) => grad((z: Tensor) => inLoop(z, index))(y), { device: wasm });
    const small = tensor([0, 0.5, 0.25]);
    assert.equal((await (await looped(small, rows(1))).data()).length, 3);
    await assert.rejects(looped(small, rows(3)), outOfRange);
    looped.dispose();
  });

  it("looks at a surrogate without a derivative, too", async () => {
    const program = compile((y: Tensor, index: Tensor) => withDerivativeOf(y, gather(y, index)), { device: wasm });
    assert.deepEqual([...(await (await program(tensor([1, 2]), indices(0, 0))).data())], [1, 2]);
    await assert.rejects(program(tensor([1, 2]), indices(0, 2)), outOfRange);
    program.dispose();
  });
});
