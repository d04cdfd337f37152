/** Results of steps that are begun and not waited for: who has them, and what becomes of them. */
import assert from "node:assert/strict";
import { after, before, describe, it, mock } from "node:test";
import {
  add,
  cast,
  compileStep,
  createDevice,
  createState,
  type Device,
  type ErrorCode,
  greater,
  type PendingResult,
  readResults,
  reduceMax,
  scalar,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { mostUnread } from "../../../engine/program/resultBuffers.ts";
import { outcomeOf } from "../../support/interleave.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { functionsOn, leaf, type Leaves, only } from "./statefulFunctions.ts";

const coded = (code: ErrorCode, message = /./) => ({ code, message });

describe("results that wait to be read", async () => {
  const real = { oracle: await createDevice("oracle"), wasm: await createDevice("wasm", { wasm: { threads: 1 } }) };
  before(() => mock.method(console, "warn", () => undefined));
  after(() => {
    mock.restoreAll();
    for (const device of Object.values(real)) device.dispose();
  });

  /** A state of ones and twos on a device that may be told to fail. */
  const prepared = async (inner: Device) => {
    const pauses = { pause: (_what: string): Promise<void> => Promise.resolve() };
    const device = scheduledDevice(inner, (what) => pauses.pause(what));
    const state = await createState<Leaves>({ a: leaf(1), b: leaf(2) }, device);
    const end = (): void => {
      state.dispose();
      assert.deepEqual([device.held, device.violations], [0, []]);
    };
    return { device, state, end, pauses };
  };

  it("results of steps that were begun wait for their readers, in one readback, whatever comes after the steps", async () => {
    for (const inner of [real.wasm, real.oracle]) {
      const { device, state } = await prepared(inner);
      const { step } = functionsOn(device);
      const fetched = (): number[] => device.downloads.splice(0);
      const begin = (row: number, more = 0) => step.begin(state, tensor(Int32Array.of(row)), more);
      fetched();
      // Programs of their own: the second drives the first one out.
      const begun = [await begin(0), await begin(1), await begin(0, 1), await begin(7, 1), await begin(2, 1)] as const;
      assert.deepEqual(fetched(), []);
      step.dispose();
      const [one, two, three, bad, last] = begun;
      const results = await readResults([three, one, three]);
      assert.deepEqual(await Promise.all(results.map((x) => x.item())), [402, 101, 402]);
      assert.deepEqual(fetched(), [2 * 8], "a result and a check of each");
      // That a row was out of range is told to whoever reads it, again and again, and to nobody else.
      await assert.rejects(readResults([two, bad, last]), coded("value"));
      assert.equal(fetched().length, 1);
      for (let i = 0; i < 2; i++) await assert.rejects(bad.read(), coded("value"));
      assert.equal(await (await two.read()).item(), 301);
      assert.ok((await (await last.read()).item()) > 301, "the state has gone on");
      assert.ok((await only((await state.read()).a)) > 301);
      assert.equal(fetched().length, 1);
      state.dispose();
      assert.equal(await (await one.read()).item(), 101);
      for (const each of begun) each.dispose();
      await assert.rejects(one.read(), coded("disposed", /result of a step has been disposed of/));
      assert.deepEqual([device.held, device.violations], [0, []]);
    }
    const results = await Promise.all(
      Object.values(real).map(async (device) => {
        const state = await createState<Leaves>({ a: leaf(1), b: leaf(2) }, device);
        return functionsOn(device).step.begin(state, tensor(Int32Array.of(0)), 0);
      }),
    );
    await assert.rejects(readResults(results), coded("device", /on different devices/));
    assert.deepEqual(await readResults([]), []);
  });

  for (const name of ["oracle", "wasm", "cpu", "webgpu"] as const) {
    it(`each is that of its run, whatever was run after it: ${name}`, {
      skip: name === "webgpu" && webgpuSkip,
    }, async () => {
      const device = await createDevice(name);
      const state = await createState<Leaves>({ a: leaf(1), b: leaf(2) }, device);
      const step = compileStep(
        (s: Leaves, more: Tensor) => {
          const a = add(s.a, more);
          return { state: { ...s, a }, result: { a, count: cast(a, "i32"), isLarge: greater(a, 3), before: s.b } };
        },
        { device },
      );
      const begun = [];
      for (let i = 0; i < 6; i++) begun.push(await step.begin(state, scalar(i)));
      const sums = [1, 2, 4, 7, 11, 16];
      for (const first of [3, 1, 0]) {
        const read: number[][] = [];
        for (const { a, count, isLarge, before } of await readResults(begun.slice(first))) {
          read.push([await only(a), await only(count), await only(isLarge), await only(before)]);
        }
        assert.deepEqual(
          read,
          sums.slice(first).map((sum) => [sum, sum, +(sum > 3), 2]),
        );
      }
      state.dispose();
      step.dispose();
      device.dispose();
    });
  }

  it("what nobody reads fills the device up to a bound; a reading that fails can be tried again", async () => {
    const { device, state, end } = await prepared(real.wasm);
    const step = compileStep((s: Leaves) => ({ state: { ...s, a: add(s.a, 1) }, result: reduceMax(s.a) }), { device });
    const pending: PendingResult<Tensor>[] = [];
    for (let i = 0; i < mostUnread; i++) pending.push(await step.begin(state));
    await assert.rejects(step.begin(state), coded("value", /256 runs wait to be read.*readResults.*dispose/));
    assert.equal(await only((await state.read()).a), 1 + mostUnread, "the state is as it was");
    device.fail({ operation: "download", call: 0 });
    await assert.rejects(readResults(pending), coded("device"));
    device.calm();
    const { held } = device;
    device.downloads.length = 0;
    const values = await Promise.all((await readResults(pending)).map((x) => x.item()));
    assert.deepEqual(
      values,
      pending.map((_, i) => 1 + i),
    );
    assert.equal(device.downloads.length, 1);
    // Buffers are taken again, those of runs that fail, too.
    for (let i = 0; i < 3; i++) (await step.begin(state)).dispose();
    for (let i = 0; i < mostUnread; i++) {
      device.fail({ operation: "run", call: 0 });
      await assert.rejects(step.begin(state), coded("kernel"));
      device.calm();
      await state.write({ a: leaf(1), b: leaf(2) });
    }
    const one = await step.begin(state);
    assert.equal(await (await one.read()).item(), 1);
    assert.equal(device.held, held);
    step.dispose();
    end();
  });

  it("a result that is disposed of while it is read, with its function, is read to the end", async () => {
    for (const inner of [real.wasm, real.oracle]) {
      const { device, state, end, pauses } = await prepared(inner);
      const step = compileStep((s: Leaves) => ({ state: s, result: reduceMax(s.a) }), { device });
      const pending = await step.begin(state);
      pauses.pause = async (what) => {
        if (what !== "download") return;
        step.dispose();
        pending.dispose();
      };
      assert.equal(await (await pending.read()).item(), 1);
      await assert.rejects(pending.read(), coded("disposed"));
      pauses.pause = () => Promise.resolve();
      const waiting = [await step.begin(state), await step.begin(state)] as const;
      const [first, second] = waiting.map((each) => outcomeOf(each.read()));
      waiting[1].dispose();
      assert.deepEqual([(await first)?.kind, await second], ["value", { kind: "error", code: "disposed" }]);
      step.dispose();
      end();
    }
  });
});
