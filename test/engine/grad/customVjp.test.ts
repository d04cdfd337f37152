import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EvenkeelError } from "../../../engine/errors.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  cast,
  checkpoint,
  clamp,
  compile,
  cos,
  createDevice,
  customVjp,
  divide,
  evaluate,
  exp,
  floor,
  grad,
  gather,
  jvp,
  log,
  multiply,
  negate,
  reduceSum,
  scalar,
  scan,
  product,
  reduceMax,
  scatterAdd,
  scatterAlongAxis,
  sort,
  sigmoid,
  sin,
  square,
  stopGradient,
  type Tensor,
  tensor,
  vjp,
  zeros,
} from "../../../engine/index.ts";

const oracle = await createDevice("oracle");
const read = async (x: Tensor): Promise<number[]> => [...(await evaluate(x, oracle))];
const throwsWith = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && message.test(error.message);
const close = (got: readonly number[], wanted: readonly number[]): void => {
  assert.equal(got.length, wanted.length);
  got.forEach((value, i) => {
    assert.ok(
      Math.abs(value - at(wanted, i)) <= 1e-6 * (1 + Math.abs(value)),
      `${got.join()} against ${wanted.join()}`,
    );
  });
};

/** A step function through which derivatives pass. */
const straightThrough = customVjp((x: Tensor) => floor(x), { forward: () => null, backward: (_, g) => [g] });
/** The identity, whose gradient is kept within -1 and 1. */
const clipped = customVjp((x: Tensor) => x, { forward: () => null, backward: (_, g) => [clamp(g, -1, 1)] });
/** log(1 + exp x), whose own derivative is NaN for large x. */
const naive = (x: Tensor): Tensor => log(add(1, exp(x)));
const stable: (x: Tensor) => Tensor = customVjp(naive, {
  forward: (x) => x,
  backward: (x, g) => [multiply(g, sigmoid(x))],
});

describe("customVjp", () => {
  it("has the value of the function and the derivative of the rule", async () => {
    const f = (x: Tensor): Tensor => reduceSum(multiply(straightThrough(x), tensor([1, 10])));
    assert.deepEqual(await read(straightThrough(tensor([1.7, -0.2]))), [1, -1]);
    assert.deepEqual(await read(grad(f)(tensor([1.7, -0.2]))), [1, 10]);
    assert.deepEqual(await read(grad((x: Tensor) => multiply(clipped(x), 7))(scalar(3))), [1]);
    // Beyond where float64 ends, too.
    assert.deepEqual(await read(grad(naive)(scalar(1000))), [NaN]);
    assert.deepEqual(await read(grad(stable)(scalar(1000))), [1]);
  });

  it("goes to higher orders: by what forward and backward compute, and by the rule where the function is called", async () => {
    for (const x of [-2, 0.5, 3]) {
      const s = 1 / (1 + Math.exp(-x));
      close(await read(grad(grad(stable))(scalar(x))), [s * (1 - s)]);
      close(await read(grad(grad(grad(stable)))(scalar(x))), [s * (1 - s) * (1 - 2 * s)]);
    }
    // The value within the outer function goes by the rule, too: d/dx of 2 floor(x) is 2.
    assert.deepEqual(await read(grad(grad((x: Tensor) => square(straightThrough(x))))(scalar(2.5))), [2]);
    // A residual that the function itself gives is differentiated by the rule.
    const exponential: (x: Tensor) => Tensor = customVjp((x: Tensor) => exp(x), {
      forward: (x) => exponential(x),
      backward: (y, g) => [multiply(multiply(g, y), 3)],
    });
    assert.deepEqual(await read(grad(grad(grad(exponential)))(scalar(0))), [27]);
  });

  it("takes and gives trees, several arguments and results, integers and static values", async () => {
    const rows = customVjp(
      (p: { table: Tensor; scale: number }, index: Tensor, shift: Tensor) => {
        const taken = multiply(gather(p.table, index), p.scale);
        return { taken, shifted: [add(taken, shift)], index };
      },
      {
        forward: (p, index) => ({ index, size: p.table.shape[0] ?? 0, scale: p.scale }),
        backward: ({ index, size, scale }, g) => {
          const both = add(g.taken, at(g.shifted, 0));
          const table = multiply(scatterAdd(both, index, size), scale);
          return [{ table, scale }, null, at(g.shifted, 0)];
        },
      },
    );
    const index = tensor(Int32Array.of(2, 0, 2));
    const f = (table: Tensor, shift: Tensor): Tensor => {
      const { taken, shifted } = rows({ table, scale: 2 }, index, shift);
      return add(reduceSum(taken), reduceSum(multiply(at(shifted, 0), tensor([1, 10, 100]))));
    };
    const { pullback } = vjp(([table, shift]: readonly [Tensor, Tensor]) => f(table, shift), [
      zeros([3]),
      zeros([3]),
    ] as const);
    const [table, shift] = pullback(scalar(1));
    assert.deepEqual(
      [await read(table), await read(shift)],
      [
        [22, 0, 206],
        [1, 10, 100],
      ],
    );
    // Of a result that nothing depends on the cotangent is zeros.
    const unread = grad((x: Tensor) => reduceSum(rows({ table: x, scale: 2 }, index, zeros([3])).taken))(zeros([3]));
    assert.deepEqual(await read(unread), [2, 0, 4]);
  });

  it("gives nothing where the rule gives null, also within trees", async () => {
    const f = customVjp((p: { a: Tensor; b: Tensor }, c: Tensor) => multiply(multiply(p.a, p.b), c), {
      forward: () => null,
      backward: (_, g) => [{ a: g, b: null }, null],
    });
    const gradient = grad(({ a, b, c }: { a: Tensor; b: Tensor; c: Tensor }) => f({ a, b }, c))({
      a: scalar(2),
      b: scalar(3),
      c: scalar(4),
    });
    assert.deepEqual([await read(gradient.a), await read(gradient.b), await read(gradient.c)], [[1], [0], [0]]);
  });

  it("works within checkpoint and around it, compiled on every kind of device", async () => {
    const inner = (x: Tensor): Tensor => sin(stable(multiply(x, 2)));
    const around: (x: Tensor) => Tensor = customVjp(checkpoint(inner), {
      forward: (x) => x,
      backward: (x, g) => [vjp(checkpoint(inner), x).pullback(g)],
    });
    const wanted = [0.3, -1].map((x) => Math.cos(Math.log1p(Math.exp(2 * x))) * (2 / (1 + Math.exp(-2 * x))));
    for (const name of ["oracle", "wasm", "cpu"] as const) {
      const device = await createDevice(name);
      for (const f of [inner, checkpoint(inner), around]) {
        const program = compile((x: Tensor) => grad((y: Tensor) => reduceSum(f(y)))(x), { device });
        close([...(await (await program(tensor([0.3, -1]))).data())], wanted);
        program.dispose();
      }
    }
  });

  it("has a tangent if its rule is the engine's own of any operation", async () => {
    const index = tensor(Int32Array.of(0, 2, 2));
    const functions: Readonly<Record<string, (x: Tensor) => Tensor>> = {
      ...Object.fromEntries(
        (["set", "add", "multiply", "max", "min"] as const).map((mode) => [
          `scatter ${mode}`,
          (x: Tensor) => scatterAlongAxis(zeros([4]), index, x, 0, mode),
        ]),
      ),
      reduceMax: (x) => reduceMax(x),
      product: (x) => product(x),
      sort: (x) => sort(x),
    };
    for (const [name, f] of Object.entries(functions)) {
      const wrapped: (x: Tensor) => Tensor = customVjp(f, {
        forward: (x) => x,
        backward: (x, g) => [vjp(f, x).pullback(g)],
      });
      const [point, along] = [tensor([1, -2, 3]), tensor([0.5, 2, -1])];
      const [own, through] = [jvp(f)(point, along).tangent, jvp(wrapped)(point, along).tangent];
      assert.deepEqual(await read(through), await read(own), name);
    }
  });

  it("has a tangent if its rule is linear, and says so if it isn't", async () => {
    const { tangent } = jvp(stable)(scalar(0.5), scalar(2));
    close(await read(tangent), [2 / (1 + Math.exp(-0.5))]);
    assert.throws(
      () => jvp(clipped)(scalar(1), scalar(1)),
      throwsWith(
        "value",
        /^jvp: the backward rule of a customVjp isn't linear in its cotangent \((maximum|minimum|select|lessEqual)\)/,
      ),
    );
    const shifted = customVjp((x: Tensor) => x, { forward: () => null, backward: (_, g) => [add(g, 1)] });
    assert.throws(
      () => jvp(shifted)(scalar(1), scalar(1)),
      throwsWith("value", /isn't linear in its cotangent \(add\)/),
    );
    const looped =
      (f: (x: Tensor) => Tensor) =>
      (x: Tensor): Tensor =>
        scan((h: Tensor) => ({ carry: f(h), y: null }), x, null, { length: 3 }).carry;
    assert.throws(
      () => jvp(looped(clipped))(scalar(1), scalar(1)),
      throwsWith("value", /isn't linear in its cotangent/),
    );
    close(await read(jvp(looped(straightThrough))(scalar(1.5), scalar(2)).tangent), [2]);
    const second = jvp(grad((x: Tensor) => multiply(straightThrough(x), sin(x))))(scalar(1.5), scalar(1));
    close(await read(second.tangent), [2 * Math.cos(1.5) - Math.sin(1.5)]);
  });

  it("refuses a derivative by what the function closes over", async () => {
    const f = (w: Tensor): Tensor => {
      const scaled = customVjp((x: Tensor) => multiply(x, w), { forward: () => null, backward: (_, g) => [g] });
      return scaled(scalar(2));
    };
    assert.throws(() => grad(f)(scalar(3)), throwsWith("trace", /^customVjp: the function uses a tensor from outside/));
    const stopped = (w: Tensor): Tensor => {
      const scaled = customVjp((x: Tensor) => multiply(x, stopGradient(w)), {
        forward: () => null,
        backward: (_, g) => [g],
      });
      return scaled(w);
    };
    assert.deepEqual(await read(grad(stopped)(scalar(3))), [1]);
  });

  it("says what is wrong with the cotangents that a rule gives", () => {
    const failing = (given: unknown, code: string, message: RegExp): void => {
      const f = customVjp((p: { w: Tensor; i: Tensor }, list: readonly Tensor[]) => multiply(p.w, at(list, 0)), {
        forward: () => null,
        backward: () => given as never,
      });
      const of = (w: Tensor): Tensor => reduceSum(f({ w, i: zeros([1], "i32") }, [w, w]));
      assert.throws(() => grad(of)(zeros([2])), throwsWith(code, message));
    };
    const good = { w: zeros([2]), i: null };
    failing(
      zeros([2]),
      "value",
      /backward gave an instance of Tensor, expected an array with one cotangent for each of 2 arguments/,
    );
    failing([good], "value", /backward gave an array of 1, expected/);
    failing([zeros([2]), null], "value", /cotangent of argument 0 is a tensor, expected a plain object, or null/);
    failing([{ w: zeros([2]) }, null], "value", /cotangent of argument 0\.i is undefined, expected a tensor/);
    failing([{ ...good, v: 1 }, null], "value", /cotangent of argument 0 has v, which the argument hasn't/);
    failing([{ ...good, w: zeros([3]) }, null], "shape", /cotangent of argument 0\.w is \[3\], expected \[2\]/);
    failing([{ ...good, w: zeros([2], "i32") }, null], "dtype", /cotangent of argument 0\.w is i32, expected f32/);
    failing([{ ...good, i: zeros([1]) }, null], "dtype", /cotangent of argument 0\.i is a tensor, but that is i32/);
    failing([good, [zeros([2])]], "value", /cotangent of argument 1\[1\] is undefined/);
    failing(
      [good, { 0: zeros([2]), 1: null }],
      "value",
      /cotangent of argument 1 is a plain object, expected an array of 2/,
    );
    failing(Promise.resolve([]), "trace", /^customVjp \(backward\): the function is asynchronous/);
  });

  it("is the function alone where there is no tensor, and for integers", async () => {
    const f = customVjp((n: number) => scalar(n), { forward: () => null, backward: () => [null] });
    assert.deepEqual(await read(f(3)), [3]);
    const counted = customVjp((i: Tensor) => add(i, 1), { forward: () => null, backward: () => [null] });
    assert.deepEqual(await read(counted(scalar(3, "i32"))), [4]);
    const through = (x: Tensor): Tensor => add(cos(x), cast(counted(cast(x, "i32")), "f32"));
    close(await read(grad(through)(scalar(1))), await read(negate(sin(divide(scalar(1), 1)))));
  });
});
