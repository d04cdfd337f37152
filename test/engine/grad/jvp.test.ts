import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { evaluateNodes } from "../../../engine/devices/oracle/evaluate.ts";
import { EvenkeelError } from "../../../engine/errors.ts";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { Node } from "../../../engine/graph/node.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  cast,
  checkpoint,
  createDevice,
  evaluate,
  exp,
  grad,
  jvp,
  matmul,
  multiply,
  power,
  reduceMax,
  reduceSum,
  scalar,
  sin,
  square,
  stopGradient,
  Tensor,
  tensor,
  vjp,
  zeros,
} from "../../../engine/index.ts";
import { buildProgram, inputData, printProgram, programSpecs } from "../../../testing/arbitraries/programs.ts";
import { checkDerivative } from "../../../testing/laws/derivatives.ts";

const oracle = await createDevice("oracle");
const read = async (x: Tensor): Promise<number[]> => [...(await evaluate(x, oracle))];
const throwsWith = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && message.test(error.message);

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

describe("jvp", () => {
  it("gives the value and how it changes along the tangents, over trees", async () => {
    const f = (p: { x: Tensor; list: Tensor[]; k: number }, y: Tensor) => ({
      product: multiply(multiply(p.x, at(p.list, 0)), p.k),
      shifted: [add(p.x, y)],
      name: "kept",
    });
    const primals = { x: tensor([1, 2]), list: [tensor([3, 4])], k: 2 };
    const tangents = { x: tensor([1, 0]), list: [tensor([0, 1])], k: 2 };
    const { value, tangent } = jvp(f)(primals, tangents, scalar(5));
    assert.deepEqual(
      [await read(value.product), await read(at(value.shifted, 0))],
      [
        [6, 16],
        [6, 7],
      ],
    );
    assert.deepEqual(
      [await read(tangent.product), await read(at(tangent.shifted, 0))],
      [
        [6, 4],
        [1, 0],
      ],
    );
    assert.equal(tangent.name, "kept");
  });

  it("is zero where nothing depends on the primals, through integers and stopGradient", async () => {
    const f = (x: Tensor): Tensor[] => [
      scalar(1),
      cast(x, "i32"),
      cast(cast(x, "i32"), "f32"),
      stopGradient(exp(x)),
      x,
    ];
    const { tangent } = jvp(f)(tensor([1.5]), tensor([3]));
    assert.deepEqual(
      tangent.map(({ dtype }) => dtype),
      ["f32", "i32", "f32", "f32", "f32"],
    );
    assert.deepEqual(await Promise.all(tangent.map(read)), [[0], [0], [0], [0], [3]]);
  });

  it("is the derivative that central differences give", () => {
    const f = (x: Tensor, y: Tensor): Tensor => multiply(sin(matmul(x, y)), exp(reduceSum(multiply(x, x))));
    const tangents = (x: Tensor): Tensor => sin(multiply(x, 3));
    // d/dt of f along the tangents, differentiated once more.
    checkDerivative(
      {
        fn: (x, y) => jvp(([a, b]: readonly [Tensor, Tensor]) => f(a, b))([x, y], [tangents(x), tangents(y)]).tangent,
        shapes: [
          [2, 3],
          [3, 2],
        ],
      },
      3,
    );
  });

  it("is the derivative that is written down", async () => {
    const [start, along] = [
      [0.2, 0.5, -0.4],
      [0.3, -1, 0.7],
    ];
    const { tangent } = jvp((t: Tensor) => sin(square(add(tensor(start), multiply(t, tensor(along))))))(
      scalar(0),
      scalar(1),
    );
    const found = await read(tangent);
    // d/dt of sin((u + t v)^2) at 0; numbers given are float32.
    start.forEach((u, i) => assert.ok(Math.abs(at(found, i) - Math.cos(u * u) * 2 * u * at(along, i)) < 1e-6));
  });

  it("of random programs is the transpose of vjp: <u, Jv> is <J'u, v>", () => {
    let [compared, programs] = [0, 0];
    const scale = (numbers: readonly number[]): number => sum(numbers.map(Math.abs));
    fc.assert(
      fc.property(programSpecs, fc.nat(2 ** 20), (spec, point) => {
        const nodes = spec.inputs.map(({ dtype, shape }, i) => makeNode("input", [], { dtype, shape, name: `x${i}` }));
        const given = nodes.map((node) => new Tensor(node));
        const isMoved = given.map(({ dtype }) => dtype === "f32");
        const f = (moved: readonly Tensor[]): Tensor[] => {
          let next = 0;
          const results = buildProgram(
            spec,
            given.map((x, i) => (isMoved[i] === true ? at(moved, next++) : x)),
          );
          return results.filter(({ dtype }) => dtype === "f32");
        };
        const x = given.filter((_, i) => isMoved[i]);
        const wave = ({ shape, size }: Tensor, phase: number): Tensor => {
          const data = Float32Array.from({ length: size }, (_, i) => Math.sin(point + phase + 1.7 * i));
          return tensor(data, { shape });
        };
        const v = x.map((each, i) => wave(each, i));
        const { value, tangent } = jvp(f)(x, v);
        const u = value.map((each, i) => wave(each, 100 + i));
        const pulled = vjp(f, x).pullback(u);
        const terms = [...tangent.map((t, i) => multiply(t, at(u, i))), ...pulled.map((t, i) => multiply(t, at(v, i)))];
        const outputs = terms.map(({ node }) => node);
        // Its tangents and cotangents are rounded to 16 bits as well: they aren't linear.
        const rounds = (node: Node): boolean => node.kind === "unary" && node.attributes.op === "roundToFloat16";
        if (topologicalOrder(outputs).some(rounds)) return;
        const values = evaluateNodes(
          { inputs: nodes, outputs },
          spec.inputs.map((input) => Float64Array.from(inputData(input))),
        );
        const of = (nodesOf: readonly Tensor[]): number[] =>
          nodesOf.flatMap(({ node }) => [...(values.get(node) ?? [])]);
        const [left, right] = [of(terms.slice(0, tangent.length)), of(terms.slice(tangent.length))];
        // What overflows, or was cancelled from large numbers, says nothing.
        const largest = topologicalOrder(outputs).reduce(
          (most, node) => (node.dtype === "f32" ? Math.max(most, ...(values.get(node) ?? []).map(Math.abs)) : most),
          0,
        );
        if (!(largest < 1e4)) return;
        compared += left.length + right.length;
        programs += Number(scale(left) > 0);
        const difference = Math.abs(sum(left) - sum(right));
        assert.ok(
          difference <= 1e-9 * (scale(left) + scale(right) + largest),
          `${printProgram(spec)}\n<u, Jv> ${sum(left)}, <J'u, v> ${sum(right)}, largest ${largest}`,
        );
      }),
      { numRuns: 400, seed: 41 },
    );
    assert.ok(compared > 10_000 && programs > 40, `${compared} numbers compared, of ${programs} programs that move`);
  });

  it("gives Hessian-vector products with grad, either way around, and nests", async () => {
    const f = (x: Tensor): Tensor => reduceSum(multiply(sin(x), square(reduceSum(x))));
    const [x, v] = [tensor([0.3, -0.5, 1.1]), tensor([1, 2, -1])];
    const forward = await read(jvp(grad(f))(x, v).tangent);
    const reverse = await read(grad((y: Tensor) => reduceSum(multiply(grad(f)(y), v)))(x));
    const mixed = await read(grad((y: Tensor) => jvp(f)(y, v).tangent)(x));
    for (const other of [reverse, mixed]) {
      other.forEach((value, i) => {
        assert.ok(Math.abs(value - at(forward, i)) < 1e-6 * (1 + Math.abs(value)), `${other.join()} ${forward.join()}`);
      });
    }
    const twice = (y: Tensor): Tensor => jvp(f)(y, v).tangent;
    const [second] = await read(jvp(twice)(x, v).tangent);
    const quadratic = sum(forward.map((value, i) => value * at([1, 2, -1], i)));
    assert.ok(Math.abs((second ?? NaN) - quadratic) < 1e-5 * Math.abs(quadratic));
    // Cotangents of one order aren't those of another.
    const third = jvp(
      (y: Tensor) => jvp((z: Tensor) => jvp((w: Tensor) => power(w, 3))(z, scalar(1)).tangent)(y, scalar(1)).tangent,
    );
    assert.deepEqual(await read(third(scalar(2), scalar(1)).tangent), [6]);
    const confused = (y: Tensor): Tensor => multiply(y, jvp((z: Tensor) => add(z, y))(scalar(1), scalar(1)).tangent);
    assert.deepEqual(await read(grad(confused)(scalar(5))), [1]);
  });

  it("keeps nothing for checkpoint, and passes it", async () => {
    const f = (x: Tensor): Tensor => exp(sin(x));
    const { tangent } = jvp(checkpoint(f))(tensor([0.5]), tensor([1]));
    assert.ok(topologicalOrder([tangent.node]).every(({ kind }) => kind !== "barrier"));
    assert.deepEqual(await read(tangent), await read(jvp(f)(tensor([0.5]), tensor([1])).tangent));
  });

  it("doesn't know who is the largest beside a NaN", async () => {
    const { tangent } = jvp((x: Tensor) => reduceMax(x, { axes: 1 }))(
      tensor([
        [1, NaN],
        [1, 2],
      ]),
      tensor([
        [1, 1],
        [5, 7],
      ]),
    );
    assert.deepEqual(await read(tangent), [NaN, 7]);
    assert.deepEqual(await read(grad((x: Tensor) => reduceMax(x))(tensor([1, NaN]))), [NaN, NaN]);
  });

  it("refuses tangents that don't fit, in the user's words", () => {
    const f = (x: Tensor): Tensor => x;
    assert.throws(
      () => jvp(f)(zeros([2], "i32"), zeros([2])),
      throwsWith("dtype", /^jvp: derivatives are with respect to f32/),
    );
    assert.throws(
      () => jvp(f)(zeros([2]), zeros([3])),
      throwsWith("shape", /^jvp: the tangent is \[3\], expected \[2\]/),
    );
    assert.throws(
      () => jvp(f)(zeros([2]), zeros([2], "i32")),
      throwsWith("dtype", /^jvp: the tangent is i32, expected f32/),
    );
    const g = (p: { a: Tensor; b?: Tensor }): Tensor => p.a;
    assert.throws(
      () => jvp(g)({ a: zeros([2]) }, { a: zeros([2]), b: zeros([2]) }),
      throwsWith("shape", /^jvp: the tangents are 2 tensors, the primals 1/),
    );
    assert.throws(
      () => jvp(((p: Tensor) => p) as (p: unknown) => Tensor)({ a: zeros([2]) }, { b: zeros([2]) }),
      throwsWith("shape", /^jvp: tangent b is where the primals have a/),
    );
    assert.throws(
      () => jvp((x: Tensor) => Promise.resolve(x))(zeros([1]), zeros([1])),
      throwsWith("trace", /^jvp: the function is asynchronous/),
    );
  });
});
