/** Graphs deeper than the call stack compile, in time that is linear in their nodes. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Barriers, type Touch } from "../../../engine/devices/wasm/program/barriers.ts";
import { makeNode } from "../../../engine/graph/graph.ts";
import type { NodeOf } from "../../../engine/graph/node.ts";
import {
  compile,
  concat,
  createDevice,
  full,
  reshape,
  slice,
  Tensor,
  tensor,
  transpose,
} from "../../../engine/index.ts";
import { simplify } from "../../../engine/passes/simplify.ts";

/** Moves the rows of [4, 4] up by one: a kernel of its own each time. */
const rolled = (x: Tensor): Tensor => concat([slice(x, [[1, 4]]), slice(x, [[0, 1]])]);
/** A view of [4, 4] that the view before it can't be joined with, and that moves every element but the corners. */
const shuffled = (x: Tensor): Tensor => reshape(transpose(reshape(x, [2, 8])), [4, 4]);

function repeated(f: (x: Tensor) => Tensor, times: number, x: Tensor): Tensor {
  let y = x;
  for (let i = 0; i < times; i++) y = f(y);
  return y;
}

const numbers = Float32Array.from({ length: 16 }, (_, i) => i);

/** What `shuffled` does to a place. */
const shuffledPlace = (place: number): number => (place % 2) * 8 + Math.floor(place / 2);

describe("deep graphs", async () => {
  const devices = [await createDevice("wasm", { wasm: { threads: 1 } }), await createDevice("cpu")];
  after(() => devices.forEach((device) => device.dispose()));

  for (const device of devices) {
    it(`on ${device.name} chains of thousands of kernels and of views`, async () => {
      const kernels = compile((x: Tensor) => repeated(rolled, 6001, x), { device });
      const views = compile((x: Tensor) => repeated(shuffled, 3001, x), { device });
      const x = tensor(numbers, { shape: [4, 4] });
      assert.deepEqual([...(await (await kernels(x)).data())], [...numbers.slice(4), ...numbers.slice(0, 4)]);
      const expected = numbers.map((_, place) => {
        let from = place;
        for (let i = 0; i < 3001; i++) from = shuffledPlace(from);
        return from;
      });
      assert.deepEqual([...(await (await views(x)).data())], [...expected]);
      kernels.dispose();
      views.dispose();
    });
  }

  it("views of a number are that number, however many there are", async () => {
    assert.deepEqual([...(await repeated(shuffled, 20_000, full([4, 4], 3)).data())], new Array<number>(16).fill(3));
  });

  it("simplify doesn't look through the views behind each view", () => {
    let visits = 0;
    const made = makeNode("input", [], { dtype: "f32", shape: [4, 4], name: "x" });
    const input: NodeOf<"input"> = Object.defineProperty({ ...made }, "kind", {
      enumerable: true,
      get: () => (visits++, "input"),
    });
    simplify({ inputs: [input], outputs: [repeated(shuffled, 200, new Tensor(input)).node] });
    assert.ok(visits <= 20, `the input was visited ${visits} times`);
  });

  it("where one thread computes everything, no step is compared with those before", () => {
    let looks = 0;
    const touch: Touch = { reads: [], writes: [] };
    const counted: Touch = Object.defineProperty({ ...touch }, "writes", { get: () => (looks++, touch.writes) });
    const barriers = new Barriers();
    for (let step = 0; step < 1000; step++) barriers.before(counted, false);
    barriers.before(counted, true);
    assert.ok(looks <= 5000, `${looks} looks`);
  });
});
