import assert from "node:assert/strict";
import { after, describe, it, mock } from "node:test";
import fc from "fast-check";
import {
  add,
  compile,
  createDevice,
  createState,
  disposeDevices,
  type ErrorCode,
  full,
  getDevice,
  multiply,
  reduceSum,
  resolveDeviceName,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { outcomeOf, settle } from "../../support/interleave.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";

type Leaves = { readonly a: Tensor; readonly b: Tensor };

const leaf = (value: number): Tensor => tensor([value, value, value]);
const lazyLeaf = (value: number): Tensor => add(leaf(value - 1), leaf(1));

/** The one number that all elements of a tensor are, or NaN. */
async function only(x: Tensor): Promise<number> {
  const [first = NaN, ...rest] = await x.data();
  return rest.every((value) => value === first) ? first : NaN;
}

const coded = (code: ErrorCode, message = /./) => ({ code, message });

describe("shared devices", async () => {
  const real = { oracle: await createDevice("oracle") };
  mock.method(console, "warn", () => undefined);
  after(() => {
    mock.restoreAll();
    real.oracle.dispose();
  });

  it("functions compile again for the device that takes a lost one's place", async () => {
    const sum = compile((x: Tensor) => reduceSum(x), { device: "oracle" });
    const call = async (): Promise<number> => (await sum(full([3], 2))).item();
    assert.equal(await call(), 6);
    const first = await getDevice("oracle");
    // As good as lost: it refuses everything.
    first.dispose();
    assert.equal(first.usable, false);
    assert.equal(await call(), 6);
    const second = await getDevice("oracle");
    assert.notEqual(second, first);
    assert.equal(await getDevice("oracle"), second);
    const state = await createState({ a: leaf(1), b: leaf(1) }, "oracle");
    await disposeDevices();
    assert.equal(await call(), 6);
    assert.equal(sum.programs, 1, "programs of devices that are gone don't stay");
    const use = compile((s: Leaves) => s.a, { device: "oracle" });
    await assert.rejects(use(state), coded("device", /a state of another device \(oracle.*was lost or disposed of/));
    await disposeDevices();
  });

  it("calls and disposals of the shared devices: each call gives its result or is refused, and later ones work", async () => {
    const triple = compile((x: Tensor) => multiply(x, 3), { device: "oracle", cacheSize: 2 });
    const call = async (size: number): Promise<number> => only(await triple(full([size], 2)));
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom(1, 2, 3, "dispose", "state"), { minLength: 2, maxLength: 8 }),
        async (scheduler, list) => {
          await settle(
            scheduler,
            Promise.all(
              list.map(async (what) => {
                await scheduler.schedule(Promise.resolve(), String(what));
                if (what === "dispose") return disposeDevices();
                const outcome = await outcomeOf(
                  what === "state"
                    ? createState({ a: lazyLeaf(6) }, "oracle").then(async (state) => only((await state.read()).a))
                    : call(Number(what)),
                );
                if (outcome.kind === "value") assert.equal(outcome.value, 6);
                else assert.ok(list.includes("dispose") && outcome.code === "disposed", outcome.code);
              }),
            ),
          );
          assert.equal(await call(2), 6);
          assert.ok(triple.programs <= 2);
        },
      ),
      { numRuns: 100 },
    );
    triple.dispose();
    await disposeDevices();
  });

  it("a tensor doesn't remember a failure, of its device or of its values", async () => {
    const x = add(leaf(1), leaf(2));
    process.env["EVENKEEL_DEVICE"] = "abacus";
    try {
      await assert.rejects(x.data(), coded("value", /abacus/));
    } finally {
      delete process.env["EVENKEEL_DEVICE"];
    }
    assert.deepEqual(await x.array(), [3, 3, 3]);
    const device = scheduledDevice(real.oracle, () => Promise.resolve(), [{ operation: "run", call: 0 }]);
    const y = add(leaf(1), leaf(2));
    const identity = compile((given: Tensor) => given, { device });
    await assert.rejects(identity(y), coded("kernel"));
    assert.equal(await only(await identity(y)), 3);
    identity.dispose();
    await disposeDevices();
  });

  it("auto asks for an adapter once, until the devices are disposed of; who names no device gets wasm, and nothing is asked", async () => {
    let probes = 0;
    const gpu = {
      requestAdapter: () => {
        probes++;
        return Promise.resolve(null);
      },
    };
    const own = Object.getOwnPropertyDescriptor(globalThis, "navigator");
    Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
    try {
      await disposeDevices();
      assert.equal(await (await compile((x: Tensor) => reduceSum(x))(full([3], 1))).item(), 3);
      assert.deepEqual([await resolveDeviceName(), (await getDevice()).name, probes], ["wasm", "wasm", 0]);
      const sum = compile((x: Tensor) => reduceSum(x), { device: "auto" });
      for (let i = 0; i < 5; i++) assert.equal(await (await sum(full([3], i))).item(), 3 * i);
      assert.equal(await resolveDeviceName("auto"), "wasm");
      assert.equal((await getDevice("auto")).name, "wasm");
      assert.equal(probes, 1);
      await disposeDevices();
      assert.deepEqual(await Promise.all(["auto", "auto", "cpu"].map((name) => resolveDeviceName(name as "auto"))), [
        "wasm",
        "wasm",
        "cpu",
      ]);
      assert.equal(probes, 2);
    } finally {
      if (own === undefined) Reflect.deleteProperty(globalThis, "navigator");
      else Object.defineProperty(globalThis, "navigator", own);
      await disposeDevices();
    }
  });
});
