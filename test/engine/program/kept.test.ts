/** What a compiled function keeps of what it was made of. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  add,
  compile,
  compileStep,
  createDevice,
  createState,
  type Device,
  explain,
  multiply,
  ones,
  reduceSum,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

type Leaves = { readonly w: Tensor; readonly n: readonly Tensor[] };

/**
 * How many of a number of objects are still reachable. None may be left on the stack, hence the turns of the event loop; and what still goes
 * on beside, as a software GPU's threads, may hold some for a while, but not for five seconds.
 */
async function reachable(references: readonly WeakRef<object>[]): Promise<number> {
  const count = (): number => references.filter((reference) => reference.deref() !== undefined).length;
  for (let i = 0; i < 503 && (i < 3 || count() > 0); i++) {
    await new Promise((done) => setTimeout(done, i < 3 ? 0 : 10));
    collect();
  }
  return count();
}

describe("a program that was compiled keeps no graph", () => {
  const check = async (device: Device): Promise<void> => {
    const graphs: WeakRef<object>[] = [];
    const seen = (x: Tensor): Tensor => {
      graphs.push(new WeakRef(x.node), new WeakRef(x));
      return x;
    };
    const half = (x: Tensor, w: Tensor): Tensor => {
      const table = seen(tensor(Float32Array.from({ length: 300 }, (_, i) => i)));
      return seen(reduceSum(seen(multiply(seen(add(x, w)), table))));
    };
    const call = compile((x: Tensor, s: Leaves) => ({ half: half(x, s.w), n: seen(multiply(s.w, 2)) }), { device });
    const step = compileStep(
      (s: Leaves, x: Tensor) => ({ state: { w: seen(add(s.w, 1)), n: s.n }, result: half(x, s.w) }),
      { device },
    );
    const state = await createState<Leaves>({ w: ones([300]), n: [ones([2])] }, device);
    const use = async (): Promise<number> => {
      const [result, { half: again }] = [await step(state, ones([300])), await call(ones([300]), state)];
      return (await result.item()) + (await again.item());
    };
    // The sum of the numbers below 300, times 2 and then times 3.
    const total = (300 * 299) / 2;
    assert.equal(await use(), total * 5);
    assert.ok(graphs.length > 16);
    assert.equal(await reachable(graphs), 0);
    // Nor does explain leave any behind, which traces anew.
    const traced = graphs.length;
    await explain(call, [ones([300]), state]);
    assert.ok(graphs.length > traced);
    assert.equal(await reachable(graphs), 0);
    assert.equal(await use(), total * 7);
    assert.deepEqual([call.programs, step.programs], [1, 1]);
    state.dispose();
    call.dispose();
    step.dispose();
  };

  for (const name of ["wasm", "cpu", "webgpu"] as const) {
    it(`on ${name}`, { skip: name === "webgpu" && webgpuSkip }, async () => {
      const device = await createDevice(name);
      await check(device);
      device.dispose();
    });
  }

  it("nor, on wasm, the host's copy of its constants", async () => {
    const device = await createDevice("wasm");
    let data: WeakRef<object> | undefined;
    const call = compile(
      (x: Tensor) => {
        const table = tensor(Float32Array.from({ length: 300 }, (_, i) => i));
        if (table.node.kind === "constant") data = new WeakRef(table.node.attributes.data);
        return multiply(x, table);
      },
      { device },
    );
    const [, second] = await (await call(ones([300]))).data();
    assert.equal(second, 1);
    assert.ok(data !== undefined);
    assert.equal(await reachable([data]), 0);
    call.dispose();
    device.dispose();
  });
});
