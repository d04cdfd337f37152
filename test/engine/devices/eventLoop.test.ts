/** The event loop turns while devices compute, abandoned runs leave what was, and slices change no bit. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  add,
  compile,
  compileStep,
  conv2d,
  createDevice,
  createState,
  EvenkeelError,
  matmul,
  mean,
  multiply,
  silu,
  square,
  subtract,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../../../engine/index.ts";
import type { KernelDevice } from "../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { randomNumbers } from "../../../testing/laws/derivatives.ts";
import { assertRuns, stepPlans } from "./wasm/stepPlans.ts";

/** Counts turns of the event loop until it is stopped. */
class Turns {
  count = 0;
  #isOver = false;

  constructor() {
    const next = (): void => {
      if (this.#isOver) return;
      this.count++;
      setImmediate(next);
    };
    setImmediate(next);
  }

  stop(): number {
    this.#isOver = true;
    return this.count;
  }
}

const numbers = (count: number, seed: number): Float32Array => {
  const draw = randomNumbers(seed + 1);
  return Float32Array.from({ length: count }, () => draw() - 0.5);
};

type Weights = { readonly filter: Tensor; readonly matrix: Tensor; readonly scale: Tensor };

/** A step with convolutions by Winograd's algorithm, packed products, bands and updates in place. */
const network = {
  weights: (seed: number): Weights => ({
    filter: tensor(numbers(8 * 8 * 9, seed), { shape: [8, 8, 3, 3] }),
    matrix: tensor(numbers(64 * 64, seed + 1), { shape: [64, 64] }),
    scale: tensor(numbers(8, seed + 2), { shape: [1, 8, 1, 1] }),
  }),
  images: tensor(numbers(4 * 8 * 64, 7), { shape: [4, 8, 8, 8] }),
  loss: ({ filter, matrix, scale }: Weights, x: Tensor): Tensor => {
    const hidden = silu(conv2d(conv2d(x, filter, { padding: 1 }), filter, { padding: 1 }));
    return mean(square(matmul(multiply(hidden, scale).reshape([32, 64]), matrix)));
  },
  update: (weights: Weights, x: Tensor): { state: Weights; result: Tensor } => {
    const { value, gradient } = valueAndGrad(network.loss)(weights, x);
    const move = (name: keyof Weights): Tensor => subtract(weights[name], multiply(gradient[name], 0.01));
    return { state: { filter: move("filter"), matrix: move("matrix"), scale: move("scale") }, result: value };
  },
};

const bits = async (weights: Weights): Promise<string> => {
  const arrays = await Promise.all(Object.values(weights).map((leaf) => leaf.data()));
  return arrays.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("hex")).join(" ");
};

describe("slices of a run", async () => {
  const devices: KernelDevice[] = [];
  for (const threads of [1, 3]) {
    for (const turnMilliseconds of [0, 0.05, Infinity]) {
      devices.push(await createWasmDevice({ threads, sharedCost: 0, turnMilliseconds }));
    }
  }
  devices.push(await createWasmDevice({ threads: 2, sharedCost: 0, turnMilliseconds: 0, participate: false }));
  after(() => devices.forEach((device) => device.dispose()));

  it("change no bit of random plans", async () => {
    await fc.assert(
      fc.asyncProperty(stepPlans([8, 12, 40, 96], [1, 8, 20, 64]), (plan) => assertRuns(devices, plan)),
      { numRuns: 20 },
    );
  });

  it("change no bit of convolutions, products and updates in place", async () => {
    const results = new Set<string>();
    for (const device of devices) {
      const step = compileStep(network.update, { device });
      const state = await createState(network.weights(1), device);
      for (let i = 0; i < 2; i++) await step(state, network.images);
      results.add(await bits(await state.read()));
      state.dispose();
      step.dispose();
    }
    assert.equal(results.size, 1);
  });

  it("let the event loop turn between any two", async () => {
    for (const device of devices.filter((_, i) => i === 0 || i === 3 || i === 6)) {
      const step = compileStep(network.update, { device });
      const state = await createState(network.weights(1), device);
      const { plan } = await step.inspect([state, network.images], {});
      const turns = new Turns();
      await step.advance(state, network.images);
      const steps = plan?.steps.length ?? 0;
      // Steps may be joined, two or more into one; others are cut.
      assert.ok(turns.stop() >= steps / 4, `${turns.count} turns in ${steps} steps`);
      state.dispose();
      step.dispose();
    }
  });

  it("let the event loop turn within one long kernel", async () => {
    const device = await createWasmDevice({ threads: 1 });
    const size = 1280;
    const factors = [1, 2].map((seed) => tensor(numbers(size * size, seed), { shape: [size, size] }));
    const product = compile((a: Tensor, b: Tensor) => mean(matmul(a, b)), { device });
    const [a, b] = factors as [Tensor, Tensor];
    for (let i = 0; i < 3; i++) await product(a, b);
    const turns = new Turns();
    await product(a, b);
    // 4.2 billion operations in slices of 10 ms: at the 54 billion a second that a core does here eight slices.
    assert.ok(turns.stop() >= 3, `${turns.count} turns`);
    device.dispose();
  });
});

describe("the event loop", () => {
  for (const [name, threads] of [
    ["wasm", 1],
    ["wasm", 2],
    ["cpu", 1],
    ["oracle", 1],
  ] as const) {
    it(`turns in a loop of short calls on ${name} with ${threads} threads`, async () => {
      const device = await createDevice(name, name === "wasm" ? { wasm: { threads } } : {});
      const increment = compile((x: Tensor) => add(x, 1), { device });
      const step = compileStep((x: Tensor) => ({ state: add(x, 1), result: x }), { device });
      const x = tensor([1, 2, 3]);
      const state = await createState(x, device);
      const turns = new Turns();
      let timers = 0;
      const timer = setInterval(() => timers++, 1);
      // Every 10 ms a turn: some 100 in a million calls even if one takes a microsecond only.
      let calls = 0;
      for (; calls < 1_000_000 && (turns.count < 20 || timers < 20); calls++) {
        if (calls % 3 === 0) await increment(x);
        else if (calls % 3 === 1) await step.advance(state);
        else await state.read();
      }
      clearInterval(timer);
      turns.stop();
      assert.ok(turns.count >= 20 && timers >= 20, `${turns.count} turns, ${timers} timers in ${calls} calls`);
      state.dispose();
      device.dispose();
    });
  }

  it("turns while a large program is compiled", async () => {
    const device = await createDevice("wasm", { wasm: { threads: 1 } });
    const chain = (x: Tensor): Tensor => {
      let y = x;
      for (let i = 0; i < 150; i++) y = silu(matmul(y, multiply(x, i + 1)));
      return y;
    };
    const compiled = compile((x: Tensor) => valueAndGrad((w: Tensor) => mean(chain(w)))(x).gradient, { device });
    const turns = new Turns();
    await compiled(tensor(numbers(64, 3), { shape: [8, 8] }));
    assert.ok(turns.stop() >= 6, `${turns.count} turns`);
    device.dispose();
  });
});

describe("an aborted call", () => {
  /** Aborts after some turns of the event loop. */
  const abortAfter = (turns: number): AbortController => {
    const controller = new AbortController();
    let left = turns;
    const next = (): void => {
      if (left-- <= 0) controller.abort();
      else setImmediate(next);
    };
    next();
    return controller;
  };

  const isAborted = (error: unknown): boolean => error instanceof EvenkeelError && error.code === "aborted";

  for (const threads of [1, 2]) {
    it(`leaves the state before it or after it, whenever it comes, on ${threads} threads`, async () => {
      const device = await createWasmDevice({ threads, sharedCost: 0, turnMilliseconds: 0 });
      const empty = device.memory();
      const plain = compileStep(network.update, { device });
      const state = await createState(network.weights(1), device);
      const before = await bits(await state.read());
      await plain(state, network.images);
      const next = await bits(await state.read());
      const seen = { abandoned: 0, finished: 0 };
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 400 }), async (turns) => {
          await state.write(network.weights(1));
          // Compiled before the signal can abort, so that the run is what it ends.
          const waiting = new AbortController();
          const step = compileStep(network.update, { device, signal: waiting.signal });
          await step(state, network.images);
          await state.write(network.weights(1));
          abortAfter(turns).signal.addEventListener("abort", () => waiting.abort());
          const outcome = await step(state, network.images).then(
            () => "finished" as const,
            (error: unknown) => {
              assert.ok(isAborted(error), String(error));
              return "abandoned" as const;
            },
          );
          seen[outcome]++;
          assert.equal(await bits(await state.read()), outcome === "finished" ? next : before);
          // The device goes on: the same state, another function.
          if (outcome === "abandoned") {
            await plain(state, network.images);
            assert.equal(await bits(await state.read()), next);
          }
          waiting.abort();
          await assert.rejects(step(state, network.images), isAborted);
          step.dispose();
        }),
        { numRuns: 12, examples: [[0], [5], [10_000]] },
      );
      assert.ok(seen.abandoned > 0 && seen.finished > 0, JSON.stringify(seen));
      state.dispose();
      plain.dispose();
      // What was disposed of is freed when its turn comes.
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(device.memory(), empty);
      device.dispose();
    });
  }

  it("ends on devices that interpret, and in compilation", async () => {
    for (const name of ["oracle", "cpu", "wasm"] as const) {
      const device = await createDevice(name);
      const controller = new AbortController();
      const step = compileStep(network.update, { device, signal: controller.signal });
      const state = await createState(network.weights(2), device);
      const before = await bits(await state.read());
      const call = step(state, network.images);
      controller.abort();
      await assert.rejects(call, isAborted, name);
      assert.equal(step.programs, 0);
      assert.equal(await bits(await state.read()), before);
      state.dispose();
      device.dispose();
    }
  });
});
