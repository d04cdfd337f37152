import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EvenkeelError } from "../../../engine/errors.ts";
import {
  add,
  cast,
  createDevice,
  divide,
  evaluate,
  exp,
  gather,
  grad,
  maximum,
  mean,
  minimum,
  multiply,
  power,
  reduceMax,
  reduceSum,
  scalar,
  sin,
  sqrt,
  square,
  stopGradient,
  subtract,
  tanh,
  type Tensor,
  tensor,
  valueAndGrad,
  valueAndGradWithAux,
  vjp,
  where,
  less,
  zeros,
} from "../../../engine/index.ts";

const oracle = await createDevice("oracle");
const read = async (x: Tensor): Promise<number[]> => [...(await evaluate(x, oracle))];
const throwsWith = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && message.test(error.message);

describe("grad", () => {
  it("differentiates with respect to trees and keeps their static values", async () => {
    const params = { layer: { w: tensor([1, 2]), b: scalar(3) }, list: [tensor([4, 5])], name: "net", depth: 2 };
    const gradient = grad((p: typeof params) =>
      add(reduceSum(multiply(square(p.layer.w), p.list[0] as Tensor)), multiply(p.layer.b, p.depth)),
    )(params);
    assert.deepEqual(await read(gradient.layer.w), [8, 20]);
    assert.deepEqual(await read(gradient.layer.b), [2]);
    assert.deepEqual(await read(gradient.list[0] as Tensor), [1, 4]);
    assert.equal(gradient.name, "net");
    assert.equal(gradient.depth, 2);
  });

  it("counts only uses of its argument, not of the same tensor outside", async () => {
    const x = scalar(3);
    assert.deepEqual(await read(grad((y: Tensor) => multiply(y, x))(x)), [3]);
    assert.deepEqual(await read(grad((p: { a: Tensor; b: Tensor }) => multiply(p.a, p.b))({ a: x, b: x }).a), [3]);
  });

  it("is zero where there is no dependence, also through integers and stopGradient", async () => {
    const x = tensor([1.5, -2]);
    assert.deepEqual(await read(grad((_: Tensor) => scalar(1))(x)), [0, 0]);
    assert.deepEqual(await read(grad((y: Tensor) => reduceSum(cast(cast(y, "i32"), "f32")))(x)), [0, 0]);
    assert.deepEqual(await read(grad((y: Tensor) => reduceSum(stopGradient(exp(y))))(x)), [0, 0]);
    assert.deepEqual(await read(grad((y: Tensor) => reduceSum(multiply(stopGradient(y), y)))(x)), [1.5, -2]);
  });

  it("is zero through integer results, whatever made them", async () => {
    const { value, pullback } = vjp((x: Tensor) => reduceMax(cast(x, "i32")), tensor([1.5, 4]));
    assert.deepEqual(await read(value), [4]);
    assert.deepEqual(await read(pullback(scalar(1, "i32"))), [0, 0]);
  });

  it("builds nothing for what doesn't depend on its argument, or only behind stopGradient", () => {
    const chain = (x: Tensor): Tensor => Array.from({ length: 100 }).reduce<Tensor>((y) => sin(y), x);
    const constants = chain(scalar(0.5));
    const nodesMade = (f: (x: Tensor) => Tensor): number => {
      const before = scalar(0).node.id;
      grad(f)(scalar(2));
      return scalar(0).node.id - before;
    };
    const alone = nodesMade((x) => multiply(x, x));
    // The chain itself where it is made of x, and no derivative of it.
    const besides = {
      constants: nodesMade((x) => multiply(x, constants)),
      "behind stopGradient": nodesMade((x) => multiply(x, stopGradient(chain(x)))) - 100,
      "from stopGradient on": nodesMade((x) => multiply(x, chain(stopGradient(x)))) - 100,
    };
    for (const [name, made] of Object.entries({ alone, ...besides })) assert.ok(made < 20, `${name}: ${made}`);
    const through = nodesMade((x) => multiply(x, chain(x)));
    assert.ok(through > 200, `${through}`);
  });

  it("gives values and further results too", async () => {
    const { value, gradient } = valueAndGrad((x: Tensor, k: number) => reduceSum(multiply(square(x), k)))(
      tensor([1, 2]),
      3,
    );
    assert.deepEqual([await read(value), await read(gradient)], [[15], [6, 12]]);
    const withAux = valueAndGradWithAux((x: Tensor) => ({
      value: reduceSum(x),
      aux: { doubled: multiply(x, 2), word: "aux" },
    }));
    const result = withAux(tensor([1, 2]));
    assert.deepEqual(
      [await read(result.aux.doubled), result.aux.word, await read(result.gradient)],
      [[2, 4], "aux", [1, 1]],
    );
  });

  it("goes to any order", async () => {
    let f = (x: Tensor): Tensor => sin(x);
    for (let order = 0; order < 4; order++) f = grad(f);
    const [fourth] = await read(f(scalar(0.7)));
    assert.ok(Math.abs((fourth ?? NaN) - Math.sin(Math.fround(0.7))) < 1e-7);
  });

  it("shares the derivative among equal maxima", async () => {
    assert.deepEqual(await read(grad((x: Tensor) => reduceMax(x))(tensor([2, 5, 5, 1]))), [0, 0.5, 0.5, 0]);
    for (const pick of [maximum, minimum]) {
      const gradient = grad((p: { a: Tensor; b: Tensor }) => reduceSum(pick(p.a, p.b)))({
        a: tensor([1, 2, 3]),
        b: tensor([1, 3, 2]),
      });
      const wins = pick === maximum ? [0.5, 0, 1] : [0.5, 1, 0];
      assert.deepEqual([await read(gradient.a), await read(gradient.b)], [wins, wins.map((share) => 1 - share)]);
    }
  });

  it("is finite for powers of zero and, by the base, of negative numbers", async () => {
    const gradient = grad((p: { x: Tensor; y: Tensor }) => reduceSum(power(p.x, p.y)))({
      x: tensor([0, 0, 0, -2, 2]),
      y: tensor([0, 2, 1, 3, 0]),
    });
    assert.deepEqual(await read(gradient.x), [0, 0, 1, 12, 0]);
    assert.deepEqual(await read(gradient.y), [0, 0, 0, NaN, Math.fround(Math.log(2))]);
  });

  it("is finite for second derivatives of whole powers at zero", async () => {
    for (const [power_, second] of [
      [0, 0],
      [1, 0],
      [2, 2],
      [3, 0],
    ] as const) {
      const f = (x: Tensor): Tensor => power(x, power_);
      assert.deepEqual(await read(grad(grad(f))(scalar(0))), [second]);
      const byTensor = (x: Tensor, y: Tensor): Tensor => power(x, y);
      assert.deepEqual(await read(grad((x: Tensor) => grad(byTensor)(x, scalar(power_)))(scalar(0))), [second]);
    }
  });

  it("has mixed derivatives of powers that agree, also at power 0", async () => {
    const f = (x: Tensor, y: Tensor): Tensor => power(x, y);
    for (const y of [0, 0.5, 2]) {
      const [x, z] = [scalar(2), scalar(y)];
      const [xy] = await read(grad((v: Tensor) => grad(f)(x, v))(z));
      const [yx] = await read(grad((u: Tensor) => grad((v: Tensor) => f(u, v))(z))(x));
      // d/dy of y * 2^(y-1), in a few roundings.
      const expected = 2 ** (y - 1) * (1 + y * Math.log(2));
      for (const value of [xy, yx]) assert.ok(Math.abs((value ?? NaN) - expected) < 1e-6 * expected, `${value}`);
    }
  });

  it("pulls several results back together, each by its own cotangent", async () => {
    const x = tensor([1, 2]);
    const { value, pullback } = vjp((v: Tensor) => ({ a: square(v), b: [v, multiply(v, 3)], name: "kept" }), x);
    assert.equal(value.name, "kept");
    const cotangent = { a: tensor([1, 0]), b: [tensor([0, 10]), tensor([100, 0])], name: "kept" };
    assert.deepEqual(await read(pullback(cotangent)), [2 + 300, 10]);
  });

  it("adds up rows that are taken several times", async () => {
    const index = tensor(Int32Array.of(2, 0, 2));
    const gradient = grad((x: Tensor) => reduceSum(multiply(gather(x, index), tensor([[1], [10], [100]]))))(
      zeros([3, 2]),
    );
    assert.deepEqual(await read(gradient), [10, 10, 0, 0, 101, 101]);
  });

  it("passes select's untaken side without its NaN", async () => {
    const safe = (x: Tensor): Tensor => reduceSum(where(less(0, x), sqrt(where(less(0, x), x, 1)), 0));
    assert.deepEqual(await read(grad(safe)(tensor([4, -1]))), [0.25, 0]);
  });

  it("refuses what has no gradient, in the words of the function that was called", () => {
    const integers = tensor(Int32Array.of(1));
    const vector = tensor([1, 2]);
    const identity = (x: Tensor): Tensor => x;
    const withAux = (x: Tensor): { value: Tensor; aux: number } => ({ value: x, aux: 1 });
    for (const [name, of] of [
      ["valueAndGrad", (x: Tensor): unknown => valueAndGrad(identity)(x)],
      ["valueAndGrad", (x: Tensor): unknown => grad(identity)(x)],
      ["valueAndGradWithAux", (x: Tensor): unknown => valueAndGradWithAux(withAux)(x)],
    ] as const) {
      assert.throws(
        () => of(integers),
        throwsWith("dtype", new RegExp(`^${name}: derivatives are with respect to f32, the argument is i32\\.`)),
      );
      assert.throws(
        () => of(vector),
        throwsWith("shape", new RegExp(`^${name}: the function must give an f32 scalar, got f32 \\[2\\]\\.`)),
      );
    }
    assert.throws(
      () => vjp(identity, integers),
      throwsWith("dtype", /^vjp: derivatives are with respect to f32, the argument is i32\./),
    );
    assert.throws(
      () => grad((p: { i: Tensor }) => reduceSum(cast(p.i, "f32")))({ i: integers }),
      throwsWith("dtype", /f32, i is i32\./),
    );
    assert.throws(
      () => grad((x: Tensor) => cast(reduceSum(x), "i32"))(tensor([1])),
      throwsWith("shape", /got i32 \[\]/),
    );
    assert.throws(
      () => grad((() => 3) as never)(tensor([1])),
      throwsWith("value", /^valueAndGrad: the function must give a tensor, got number/),
    );
  });

  it("refuses functions that are asynchronous, in the words of the function that was called", () => {
    const later = (x: Tensor): Promise<Tensor> => Promise.resolve(x);
    for (const [name, of] of [
      ["vjp", (x: Tensor): unknown => vjp(later, x)],
      ["valueAndGrad", (x: Tensor): unknown => valueAndGrad(later as never)(x)],
      ["valueAndGrad", (x: Tensor): unknown => grad(later as never)(x)],
      ["valueAndGradWithAux", (x: Tensor): unknown => valueAndGradWithAux(later as never)(x)],
    ] as const) {
      assert.throws(() => of(scalar(1)), throwsWith("trace", new RegExp(`^${name}: the function is asynchronous\\.`)));
    }
  });

  it("refuses cotangents that don't fit the value", () => {
    const { pullback } = vjp((x: Tensor) => square(x), tensor([1, 2]));
    assert.throws(() => pullback(zeros([3])), throwsWith("shape", /^vjp: the cotangent is \[3\], expected \[2\]/));
    assert.throws(() => pullback(zeros([2], "i32")), throwsWith("dtype", /^vjp: the cotangent is i32, expected f32/));
    const { pullback: several } = vjp((x: Tensor): Tensor[] => [x, x], tensor([1, 2]));
    assert.throws(() => several([zeros([2])]), throwsWith("shape", /^vjp: the cotangent has 1 tensors, the value 2/));
    assert.throws(
      () => several([zeros([2]), zeros([1])]),
      throwsWith("shape", /^vjp: cotangent \[1\] is \[1\], expected \[2\]/),
    );
  });
});

describe("algebra of derivatives", () => {
  const vectors = fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 3, maxLength: 3 });
  const f = (x: Tensor): Tensor => multiply(tanh(x), exp(divide(x, 3)));
  const g = (x: Tensor): Tensor => subtract(square(x), sin(x));
  const close = (a: readonly number[], b: readonly number[]): void =>
    a.forEach((value, i) => {
      assert.ok(
        Math.abs(value - (b[i] ?? NaN)) <= 1e-5 * (1 + Math.abs(value)),
        `${a.join(" ")} against ${b.join(" ")}`,
      );
    });

  it("vjp is linear in the cotangent", async () => {
    await fc.assert(
      fc.asyncProperty(vectors, vectors, vectors, fc.float({ min: -3, max: 3, noNaN: true }), async (x, u, v, k) => {
        const { pullback } = vjp(f, tensor(x));
        const joined = await read(pullback(add(tensor(u), multiply(tensor(v), k))));
        close(joined, await read(add(pullback(tensor(u)), multiply(pullback(tensor(v)), k))));
      }),
      { numRuns: 50 },
    );
  });

  it("the gradient of a sum is the sum of the gradients, and of a composition the chain rule's", async () => {
    await fc.assert(
      fc.asyncProperty(vectors, async (x) => {
        const total = grad((y: Tensor) => mean(add(f(y), g(y))))(tensor(x));
        const parts = add(grad((y: Tensor) => mean(f(y)))(tensor(x)), grad((y: Tensor) => mean(g(y)))(tensor(x)));
        close(await read(total), await read(parts));
        const composed = grad((y: Tensor) => reduceSum(g(f(y))))(tensor(x));
        const inner = vjp(f, tensor(x));
        const outer = vjp(g, inner.value);
        close(await read(composed), await read(inner.pullback(outer.pullback(tensor([1, 1, 1])))));
      }),
      { numRuns: 50 },
    );
  });
});
