import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  checkpoint,
  compile,
  cos,
  createDevice,
  customVjp,
  evaluate,
  grad,
  jvp,
  memoryOf,
  multiply,
  reduceSum,
  scan,
  sin,
  reshape,
  slice,
  square,
  tanh,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../../../engine/index.ts";
import { checkDerivative, gradientOf } from "../../../testing/laws/derivatives.ts";
import { limits } from "../passes/plannedFor.ts";

const oracle = await createDevice("oracle");
const read = async (x: Tensor): Promise<number[]> => [...(await evaluate(x, oracle))];
const close = (got: readonly number[], wanted: readonly number[], what: string): void => {
  assert.equal(got.length, wanted.length);
  got.forEach((value, i) => {
    assert.ok(
      Math.abs(value - at(wanted, i)) <= 1e-5 * (1 + Math.abs(value)),
      `${what}: ${got.join()}, not ${wanted.join()}`,
    );
  });
};

type Step = (carry: Tensor, row: Tensor) => Tensor;

/** The steps one after the other, as a loop and written out. */
const looped = (step: Step) => (start: Tensor, rows: Tensor) =>
  scan((carry: Tensor, row: Tensor) => ({ carry: step(carry, row), y: null }), start, rows).carry;
const writtenOut = (step: Step) => (start: Tensor, rows: Tensor) => {
  let carry = start;
  for (let i = 0; i < at(rows.shape, 0); i++) {
    carry = step(carry, reshape(slice(rows, [[i, i + 1]]), rows.shape.slice(1)));
  }
  return carry;
};

/** sin(x) * y by x alone, in terms of what the rule closes over: the derivative by y is left out. */
const closing: Step = (carry, row) => {
  const scale = tanh(carry);
  const f: (x: Tensor) => Tensor = customVjp((x: Tensor) => sin(x), {
    forward: () => null,
    backward: (_, g) => [multiply(g, add(cos(row), multiply(scale, row)))],
  });
  return add(f(multiply(carry, 0.7)), multiply(carry, 0.1));
};

/** A rule that is the true derivative, and reads what it was called with by closure. */
const honest: Step = (carry, row) => {
  const x = multiply(carry, row);
  const f: (x: Tensor) => Tensor = customVjp((y: Tensor) => sin(y), {
    forward: () => null,
    backward: (_, g) => [multiply(g, cos(multiply(carry, row)))],
  });
  return add(f(x), multiply(carry, 0.5));
};

/** Whose rule calls a function with such a rule again. */
const recursive: Step = (carry, row) => {
  const made = (order: number): ((x: Tensor) => Tensor) =>
    customVjp((x: Tensor) => (order % 2 === 0 ? sin(x) : cos(x)), {
      forward: () => null,
      backward: (_, g) => [multiply(multiply(g, order % 2 === 0 ? 1 : -1), made(order + 1)(multiply(carry, row)))],
    });
  return add(made(0)(multiply(carry, row)), multiply(carry, 0.5));
};

/** A loop within whose rule reads what is carried by the loop around it, its row, and its own. */
const nested: Step = (carry, row) =>
  scan(
    (inner: Tensor, index: Tensor) => {
      const f = customVjp((x: Tensor) => sin(x), {
        forward: () => null,
        backward: (_, g) => [multiply(g, multiply(cos(carry), multiply(add(row, inner), index)))],
      });
      return { carry: f(inner), y: null };
    },
    carry,
    tensor([0.5, 1.5]),
  ).carry;

/** Only the rule reads the row. */
const unread: Step = (carry, row) =>
  customVjp((x: Tensor) => sin(x), { forward: () => null, backward: (_, g) => [multiply(g, row)] })(carry);

/** The rule reads what the checkpoint around it computes. */
const inside: Step = checkpoint((carry: Tensor, row: Tensor) => {
  const [outer, inner] = [tanh(multiply(carry, row)), sin(add(carry, row))];
  const f = customVjp((x: Tensor) => sin(x), {
    forward: (x) => ({ x, outer }),
    backward: (kept, g) => [multiply(multiply(g, cos(kept.x)), add(kept.outer, inner))],
  });
  return f(multiply(outer, carry));
});

/** No rule at all. */
const plain: Step = (carry, row) => add(sin(multiply(carry, row)), multiply(carry, 0.5));

const steps = {
  plain,
  closing,
  honest,
  recursive,
  nested,
  unread,
  inside,
  "in checkpoint": (c: Tensor, r: Tensor) => checkpoint(nested)(c, r),
};
const start = tensor([0.3, -0.8]);
const rows = tensor([0.5, 1.2, -0.7, 0.4, 0.9, -0.2], { shape: [3, 2] });

describe("rules of customVjp within loops", () => {
  for (const [name, step] of Object.entries(steps)) {
    it(`see what they close over, as written out, in higher derivatives: ${name}`, async () => {
      const first =
        (loop: typeof looped) =>
        (x: readonly [Tensor, Tensor]): readonly [Tensor, Tensor] =>
          grad(([s, r]: readonly [Tensor, Tensor]) => reduceSum(square(loop(step)(s, r))))(x);
      const second = (loop: typeof looped) =>
        grad((x: readonly [Tensor, Tensor]) =>
          reduceSum(sin(add(at(first(loop)(x), 0), reduceSum(first(loop)(x)[1])))),
        );
      const third = (loop: typeof looped) =>
        grad((x: readonly [Tensor, Tensor]) =>
          reduceSum(sin(add(at(second(loop)(x), 0), reduceSum(second(loop)(x)[1])))),
        );
      for (const [order, of] of [first, second, third].entries()) {
        // The others take long to evaluate.
        if (order === 2 && !["plain", "honest", "recursive"].includes(name)) continue;
        const [got, wanted] = [of(looped)([start, rows]), of(writtenOut)([start, rows])];
        for (const i of [0, 1]) close(await read(at(got, i)), await read(at(wanted, i)), `order ${order + 1}`);
      }
      const along = (loop: typeof looped): Tensor =>
        jvp((x: Tensor) => loop(step)(x, rows))(start, tensor([1, 2])).tangent;
      close(await read(along(looped)), await read(along(writtenOut)), "along a tangent");
    });
  }

  it("are right where they are the derivative, by central differences", () => {
    // The rule is all that f reads: what it closes over counts in second derivatives.
    const subject = { fn: looped(honest), shapes: [[2], [3, 2]] };
    checkDerivative(subject, 4);
    checkDerivative(gradientOf({ fn: looped(recursive), shapes: [[2], [3, 2]] }), 5);
  });

  it("are the same on devices", async () => {
    const of = (s: Tensor, r: Tensor) => grad((x: Tensor) => reduceSum(square(looped(nested)(x, r))))(s);
    const wanted = await read(of(start, rows));
    for (const name of ["wasm", "cpu"] as const) {
      const program = compile(of, { device: await createDevice(name) });
      close([...(await (await program(start, rows)).data())], wanted, name);
      program.dispose();
    }
  });
});

describe("checkpoint within a loop's body", () => {
  it("keeps what goes from block to block and the inside of one", async () => {
    const [count, length, width] = [12, 3, 4096];
    const block = (x: Tensor): Tensor => {
      let value = x;
      // Each is computed from all of what is before: nothing is fused away.
      for (let i = 0; i < 4; i++)
        value = sin(add(value, reduceSum(multiply(value, value), { keepAxes: true, axes: 0 })));
      return value;
    };
    const temporaries = async (wrap: <F extends typeof block>(f: F) => F, blocks: number): Promise<number> => {
      const step = (w: Tensor) => (carry: Tensor, row: Tensor) => {
        let h = multiply(add(carry, row), w);
        for (let i = 0; i < blocks; i++) h = wrap(block)(h);
        return { carry: h, y: null };
      };
      const gradient = (x: Tensor, xs: Tensor) => valueAndGrad((w: Tensor) => reduceSum(scan(step(w), x, xs).carry))(x);
      const args = [
        tensor(new Float32Array(width)),
        tensor(new Float32Array(length * width), { shape: [length, width] }),
      ];
      return (await memoryOf(gradient as never, args as never, { ...limits, results: 8 })).temporaries / (4 * width);
    };
    const perBlock = async (wrap: <F extends typeof block>(f: F) => F): Promise<number> =>
      ((await temporaries(wrap, count)) - (await temporaries(wrap, 4))) / (count - 4);
    const [all, few] = [await perBlock((f) => f), await perBlock((f) => checkpoint(f) as typeof f)];
    assert.ok(all > 3.5 && few < 1.3, `a block takes ${few} times what goes through it, ${all} times without`);
  });
});
