import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import {
  add,
  broadcastTo,
  cast,
  compile,
  compileStep,
  createDevice,
  createState,
  type DType,
  EvenkeelError,
  evaluate,
  full,
  multiply,
  ones,
  permute,
  reshape,
  scalar,
  slice,
  stopGradient,
  subtract,
  type Tensor,
  tensor,
  valueAndGrad,
  valueAndGradWithAux,
  vjp,
  zerosLike,
} from "../../../engine/index.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { leaf, only } from "./statefulFunctions.ts";

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof EvenkeelError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe("arguments full of one number", async () => {
  const real = { wasm: await createDevice("wasm", { wasm: { threads: 1 } }), oracle: await createDevice("oracle") };
  after(() => Object.values(real).forEach((device) => device.dispose()));

  for (const [name, inner] of Object.entries(real)) {
    it(`cost no program and no run of their own on ${name}`, async () => {
      const device = scheduledDevice(inner, () => Promise.resolve());
      type S = { readonly w: Tensor; readonly count: Tensor };
      const step = compileStep(
        (s: S, rate: Tensor, more: { readonly decay: Tensor; readonly by: Tensor; readonly isOn: Tensor }) => ({
          state: {
            w: subtract(multiply(s.w, more.decay), multiply(rate, cast(more.isOn, "f32"))),
            count: add(s.count, more.by),
          },
          result: s.count,
        }),
        { device },
      );
      const state = await createState<S>({ w: ones([2, 3]), count: scalar(0, "i32") }, device);
      assert.deepEqual([device.compiled, device.started], [0, 0], "createState computes nothing");
      let w = 1;
      for (let i = 0; i < 5; i++) {
        await step(state, scalar(i), {
          decay: permute(broadcastTo(reshape(scalar(0.5), [1, 1]), [3, 2])),
          by: reshape(slice(full([5], 2, "i32"), [[1, 2]]), []),
          isOn: stopGradient(full([2, 3], 1, "bool")),
        });
        w = w * 0.5 - i;
        assert.deepEqual([device.compiled, device.started], [1, i + 1]);
      }
      await state.write({ ...(await state.read()), count: zerosLike(scalar(1, "i32")) });
      assert.deepEqual([device.compiled, device.started], [1, 5]);
      const end = await state.read();
      assert.deepEqual(
        [await end.w.array(), await end.count.item()],
        [
          [
            [w, w, w],
            [w, w, w],
          ],
          0,
        ],
      );
      step.dispose();
      state.dispose();
    });
  }

  it("are what a device computes, through any views", async () => {
    const values: { readonly [D in DType]: fc.Arbitrary<number> } = {
      f32: fc.float({ noNaN: false }),
      i32: fc.integer(),
      u32: fc.nat(),
      bool: fc.nat(1),
    };
    const cases = fc
      .constantFrom<DType>("f32", "i32", "u32", "bool")
      .chain((dtype) => fc.record({ dtype: fc.constant(dtype), value: values[dtype] }));
    const views = fc.array(fc.constantFrom("permute", "slice", "reshape", "stop"), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        cases,
        views,
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
        async (of, list, shape) => {
          let x = full(shape, of.value, of.dtype);
          for (const view of list) {
            if (view === "permute") x = permute(x);
            if (view === "slice")
              x = slice(
                x,
                x.shape.map((size) => (size > 1 ? ([1] as const) : null)),
              );
            if (view === "reshape") x = reshape(x, [x.size]);
            if (view === "stop") x = stopGradient(x);
          }
          const known = await x.data();
          assert.deepEqual(known, await evaluate(x, real.wasm));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("arguments that change", async () => {
  const device = await createDevice("wasm", { wasm: { threads: 1 } });
  after(() => device.dispose());

  it("are for calls, states and writes what they were when given, whatever becomes of their objects meanwhile", async () => {
    const twice = compile(({ x }: { readonly x: Tensor }) => multiply(x, 2), { device });
    const grow = compileStep(
      (s: { readonly x: Tensor }, { x }: { readonly x: Tensor }) => ({ state: { x: add(s.x, x) }, result: null }),
      { device },
    );
    const reused = { x: leaf(1) };
    const making = createState(reused, device);
    reused.x = leaf(2);
    const state = await making;
    const calls: Promise<Tensor>[] = [];
    const steps: Promise<null>[] = [];
    for (const value of [10, 20, 30]) {
      reused.x = leaf(value);
      calls.push(twice(reused));
      steps.push(grow(state, reused));
    }
    reused.x = leaf(1000);
    const doubled = await Promise.all(calls.map(async (call) => only(await call)));
    await Promise.all(steps);
    assert.deepEqual([...doubled, await only((await state.read()).x)], [20, 40, 60, 61]);
    reused.x = leaf(5);
    const writing = state.write(reused);
    reused.x = leaf(6);
    await writing;
    assert.equal(await only((await state.read()).x), 5);
    state.dispose();
    twice.dispose();
    grow.dispose();
  });
});

describe("what isn't an argument or a result", async () => {
  const device = await createDevice("oracle");
  const rejections: unknown[] = [];
  const note = (reason: unknown): void => void rejections.push(reason);
  process.on("unhandledRejection", note);
  after(() => {
    process.off("unhandledRejection", note);
    device.dispose();
  });

  it("an asynchronous function gives one error and no unhandled rejection", async () => {
    const later = async (): Promise<never> => {
      await Promise.resolve();
      throw new Error("of the function itself");
    };
    const anyFunction = later as unknown as () => Tensor;
    const expected = fails("trace", /the function is asynchronous.*without awaiting/s);
    await assert.rejects(compile(anyFunction, { device })(), expected);
    const state = await createState({ w: scalar(1) }, device);
    const step = compileStep(later as unknown as (s: { w: Tensor }) => { state: { w: Tensor }; result: null }, {
      device,
    });
    await assert.rejects(step(state), expected);
    assert.equal(await (await state.read()).w.item(), 1);
    assert.throws(() => valueAndGrad(anyFunction as (x: Tensor) => Tensor)(scalar(1)), expected);
    assert.throws(() => valueAndGradWithAux(later as never)(scalar(1)), expected);
    assert.throws(() => vjp(anyFunction as (x: Tensor) => Tensor, scalar(1)), expected);
    // Promises within the result or the arguments as well.
    await assert.rejects(
      compile(() => ({ loss: later() }), { device })(),
      fails("value", /loss is a promise. Await it first/),
    );
    await assert.rejects(
      compile((x: unknown) => x, { device })({ x: later() }),
      fails("value", /x is a promise. Await it first/),
    );
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(rejections, []);
    state.dispose();
  });

  it("evaluate takes one tensor; trees have no instances of classes", async () => {
    const t = scalar(1);
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [[t], /evaluate: expected a tensor, got an array of 1\. Evaluate tensors one by one, or compile a function/],
      [{ t }, /got a plain object/],
      [3, /got a number/],
      [undefined, /got undefined/],
      [null, /got null/],
      [Promise.resolve(t), /got a promise/],
    ];
    for (const [value, message] of wrong)
      await assert.rejects(evaluate(value as Tensor, device), fails("value", message));
    class Net {
      readonly w = t;
    }
    const advice = /the value is an instance of Net\. Give a plain object with the tensors it holds/;
    await assert.rejects(compile((net: Net) => net.w, { device })(new Net()), fails("value", advice));
    await assert.rejects(createState(new Net(), device), fails("value", /instance of Net/));
    const plain = Object.fromEntries(Object.entries(new Net())) as { readonly w: Tensor };
    assert.equal(await (await compile((net: { readonly w: Tensor }) => net.w, { device })(plain)).item(), 1);
    assert.throws(() => compile(3 as unknown as () => Tensor), fails("value", /expected a function/));
    const step = compileStep((s: { w: Tensor }) => ({ state: s, result: null }), { device });
    await assert.rejects(step({ w: t } as never), fails("value", /first argument of a step is a State; make one/));
  });
});

describe("a tensor in JavaScript's own operators", () => {
  const x = tensor([1, 2]);

  it("throws where it would be a number, and says what to write", () => {
    // As text, for the type checker doesn't let them pass.
    const uses = [
      ...[
        "x > 0",
        "x < 0",
        "x >= 0",
        "x * 2",
        "x / x",
        "x - 1",
        "x + 1",
        "1 + x",
        "x ** 2",
        "x % 2",
        "-x",
        "+x",
        "~x",
        "x++",
      ],
      ...[
        "Math.exp(x)",
        "Math.max(0, x)",
        "Number(x)",
        "BigInt(x)",
        "isNaN(x)",
        "isFinite(x)",
        "x == 1",
        "'text ' + x",
      ],
      ...[
        "new Float32Array([x])",
        "Float32Array.from([x])",
        "new Date(x)",
        "[1, x].reduce((sum, each) => sum + each, 0)",
      ],
    ];
    const expected = /^Tensor\(f32 \[2\]\) was used as a JavaScript .*greater\(x, 0\).*exp\(x\).*where\(.*x\.item\(\)/s;
    for (const use of uses) assert.throws(() => void runInNewContext(use, { x }), fails("value", expected), use);
    assert.throws(
      () => JSON.stringify({ x }),
      fails("value", /JSON can't hold Tensor\(f32 \[2\]\).*await x\.array\(\)/),
    );
  });

  it("is named in texts, and true as every object is", () => {
    for (const text of ["`${x}`", "String(x)", "['', x].join('')"]) {
      assert.equal(runInNewContext(text, { x }), "Tensor(f32 [2])");
    }
    assert.equal(runInNewContext("[!x, x ? 1 : 0, x && 2, x === x].join()", { x }), "false,1,2,true");
  });
});
