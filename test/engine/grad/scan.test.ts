import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Device, DeviceName } from "../../../engine/devices/device.ts";
import { EvenkeelError } from "../../../engine/errors.ts";
import { topologicalOrder } from "../../../engine/graph/graph.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  broadcastTo,
  cast,
  checkpoint,
  compile,
  compileStep,
  createDevice,
  createState,
  customVjp,
  estimateOf,
  evaluate,
  exp,
  explain,
  fillTree,
  full,
  gather,
  grad,
  jvp,
  matmul,
  memoryOf,
  multiply,
  ones,
  reduceSum,
  reshape,
  scalar,
  scan,
  sigmoid,
  sin,
  slice,
  stack,
  stopGradient,
  tanh,
  type Tensor,
  tensor,
  treeLeaves,
  valueAndGrad,
  vjp,
  zeros,
} from "../../../engine/index.ts";
import { planFor } from "../../../engine/program/planFor.ts";
import { checkDerivative, gradientOf } from "../../../testing/laws/derivatives.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";
import { limits } from "../passes/plannedFor.ts";

const devices: readonly DeviceName[] = ["oracle", "wasm", "cpu", "webgpu"];
const oracle = await createDevice("oracle");
const read = async (x: Tensor): Promise<number[]> => [...(await evaluate(x, oracle))];
const throwsWith = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof EvenkeelError && error.code === code && message.test(error.message);

type Body<C, X, Y> = (carry: C, x: X) => { readonly carry: C; readonly y: Y };

/** What scan does, written out: the same nodes for each row. */
function unrolled<C, X, Y>(
  body: Body<C, X, Y>,
  init: C,
  xs: X,
  { length, reverse }: { length: number; reverse: boolean },
): { readonly carry: C; readonly ys: Y } {
  const rowOf = (row: number): X => {
    const rows = treeLeaves(xs).map(({ tensor: x }) => reshape(slice(x, [[row, row + 1]]), x.shape.slice(1)));
    return fillTree(xs, rows);
  };
  let carry = init;
  const ys: Y[] = [];
  for (let i = 0; i < length; i++) {
    const row = reverse ? length - 1 - i : i;
    const made = body(carry, rowOf(row));
    carry = made.carry;
    ys[row] = made.y;
  }
  const leaves = ys.map((y) => treeLeaves(y).map((leaf) => leaf.tensor));
  return {
    carry,
    ys: fillTree(
      at(ys, 0),
      at(leaves, 0).map((_, i) => stack(leaves.map((of) => at(of, i)))),
    ),
  };
}

const wave = (shape: readonly number[], phase: number): Tensor =>
  tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i + phase)),
    { shape },
  );

type Cell = { readonly h: Tensor; readonly c: Tensor; readonly count: Tensor };
type Row = { readonly x: Tensor; readonly index: Tensor };
type Weights = { readonly input: Tensor; readonly state: Tensor; readonly table: Tensor };

/** A cell with gates, a table that it looks into, a counter, and weights by closure. */
const cell =
  ({ input, state, table }: Weights): Body<Cell, Row, { readonly out: Tensor; readonly count: Tensor }> =>
  ({ h, c, count }, { x, index }) => {
    const mixed = add(matmul(x, input), matmul(h, state));
    const kept = add(multiply(c, sigmoid(mixed)), multiply(tanh(mixed), gather(table, index)));
    const next = tanh(kept);
    return { carry: { h: next, c: kept, count: add(count, 1) }, y: { out: multiply(next, cast(count, "f32")), count } };
  };

type Loop = typeof scan;
const plainLoop: Loop = (body, init, xs, options) =>
  unrolled(body, init, xs, { length: options?.length ?? 0, reverse: options?.reverse ?? false });

const width = 4;
type Inputs = { readonly weights: Weights; readonly first: Cell; readonly rows: Row };

function inputsOf(length: number): Inputs {
  return {
    weights: { input: wave([3, width], 1), state: wave([width, width], 2), table: wave([5, width], 3) },
    first: { h: wave([2, width], 4), c: wave([2, width], 5), count: scalar(3, "i32") },
    rows: {
      x: wave([length, 2, 3], 6),
      index: tensor(
        Int32Array.from({ length: 2 * length }, (_, i) => (7 * i) % 5),
        { shape: [length, 2] },
      ),
    },
  };
}

const outputs = (loop: Loop, options: { length: number; reverse: boolean }) => (given: Inputs) =>
  loop(cell(given.weights), given.first, given.rows, options);

/** A number of all results, by all that has a derivative. */
const gradients = (loop: Loop, options: { length: number; reverse: boolean }) => (given: Inputs) => {
  const { weights, first, rows } = given;
  return valueAndGrad((moved: { weights: Weights; h: Tensor; c: Tensor; x: Tensor }) => {
    const { carry, ys } = loop(
      cell(moved.weights),
      { h: moved.h, c: moved.c, count: first.count },
      { x: moved.x, index: rows.index },
      options,
    );
    return add(reduceSum(multiply(ys.out, sin(ys.out))), reduceSum(multiply(carry.c, carry.h)));
  })({ weights, h: first.h, c: first.c, x: rows.x });
};

type Named = { readonly name: string; readonly data: readonly number[] };

async function numbersOf(
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  device: Device,
): Promise<Named[]> {
  const program = compile(fn as (...args: readonly unknown[]) => unknown, { device });
  const values = treeLeaves(await program(...args)).map(async ({ path, tensor: x }) => {
    return { name: `${path} ${x.toString()}`, data: [...(await x.data())] };
  });
  const read = await Promise.all(values);
  program.dispose();
  return read;
}

/** Equal names, and numbers that differ by what float32 makes of some hundred operations. */
function closeTo(got: readonly Named[], wanted: readonly Named[], what: string): void {
  assert.deepEqual(
    got.map(({ name }) => name),
    wanted.map(({ name }) => name),
  );
  got.forEach(({ data, name }, i) => {
    const other = at(wanted, i).data;
    const scale = Math.max(1e-3, ...other.map(Math.abs));
    data.forEach((value, j) => {
      assert.ok(Math.abs(value - at(other, j)) <= 1e-4 * scale, `${name} of ${what}: ${value}, ${other[j]}`);
    });
  });
}

describe("scan", () => {
  for (const name of devices) {
    it(`is the loop written out, with its derivatives, on ${name}`, {
      skip: name === "webgpu" && webgpuSkip,
    }, async () => {
      const device = await createDevice(name);
      const before = device.memory();
      // Around powers of the number of stacks that are put together; programs of webgpu are slow to make here.
      const cases = [
        [1, false],
        [8, false],
        [19, true],
        [65, false],
      ] as const;
      for (const [length, reverse] of cases.slice(...(name === "webgpu" ? [2, 3] : []))) {
        const options = { length, reverse };
        for (const of of name === "webgpu" ? [gradients] : [outputs, gradients]) {
          const got = await numbersOf(of(scan, options), [inputsOf(length)], device);
          closeTo(got, await numbersOf(of(plainLoop, options), [inputsOf(length)], oracle), `length ${length}`);
        }
      }
      assert.deepEqual(device.memory(), before, "programs left memory behind");
    });
  }

  it("has the derivatives of first and second order that central differences give, whichever way around", () => {
    for (const reverse of [false, true]) {
      const fn = (w: Tensor, h: Tensor, x: Tensor): Tensor => {
        const body = (carry: Tensor, row: Tensor) => {
          const next = tanh(add(multiply(carry, w), sin(row)));
          return { carry: next, y: multiply(next, row) };
        };
        const { carry, ys } = scan(body, h, x, { reverse });
        return add(reduceSum(ys, { axes: 0 }), carry);
      };
      const subject = { fn, shapes: [[3], [3], [5, 3]] };
      checkDerivative(subject, 2);
      checkDerivative(gradientOf(subject), 3);
    }
  });

  it("goes with forward mode, within another loop, checkpoint and custom rules", async () => {
    const doubled = customVjp((x: Tensor) => multiply(x, 2), {
      forward: () => null,
      backward: (_, g) => [multiply(g, 3)],
    });
    const inner = (carry: Tensor, x: Tensor) => ({ carry: sin(add(carry, x)), y: exp(multiply(carry, -1)) });
    const outer =
      (loop: Loop, wrap: <F>(f: F) => F) =>
      (start: Tensor, xs: Tensor): Tensor => {
        const body = wrap((carry: Tensor, row: Tensor) => {
          const made = loop(inner, carry, row, { length: 3 });
          return { carry: add(made.carry, doubled(carry)), y: reduceSum(made.ys) };
        });
        const { carry, ys } = loop(body as Body<Tensor, Tensor, Tensor>, start, xs, { length: 4 });
        return add(carry, reduceSum(ys));
      };
    const start = scalar(0.3);
    const xs = wave([4, 3], 1);
    const results = (loop: Loop, wrap: <F>(f: F) => F): Tensor[] => {
      const f = outer(loop, wrap);
      const { value, pullback } = vjp(([s, x]: readonly [Tensor, Tensor]) => f(s, x), [start, xs] as const);
      return [value, ...pullback(scalar(1)), jvp((x: Tensor) => f(start, x))(xs, wave([4, 3], 9)).tangent];
    };
    const plain = <F>(f: F): F => f;
    const again = <F>(f: F): F => checkpoint(f as never) as F;
    const wanted = await Promise.all(results(plainLoop, plain).map(read));
    for (const made of [results(scan, plain), results(scan, again)]) {
      const got = await Promise.all(made.map(read));
      got.forEach((values, i) => {
        values.forEach((value, j) => {
          assert.ok(
            Math.abs(value - (wanted[i]?.[j] ?? NaN)) <= 1e-5 * (1 + Math.abs(value)),
            `${i}: ${got.join(" ")} ${wanted.join(" ")}`,
          );
        });
      });
    }
    const wasm = await createDevice("wasm");
    const program = compile(
      (s: Tensor, x: Tensor) => grad((moved: Tensor) => checkpoint(outer(scan, again))(moved, x))(s),
      {
        device: wasm,
      },
    );
    const [onWasm] = await (await program(start, xs)).data();
    program.dispose();
    assert.ok(Math.abs((onWasm ?? NaN) - (wanted[1]?.[0] ?? NaN)) < 1e-4 * Math.abs(onWasm ?? 0));
  });

  it("is recorded and compiled once, however often it goes around", async () => {
    const nodesOf = (length: number): number => {
      const { carry } = outputs(scan, { length, reverse: false })(inputsOf(length));
      return topologicalOrder([carry.h.node]).length;
    };
    assert.equal(nodesOf(4), nodesOf(4000));
    const stepsOf = async (length: number): Promise<number> =>
      (await planFor(gradients(scan, { length, reverse: false }), [inputsOf(length)], limits)).plan.steps.length;
    const [few, many] = [await stepsOf(8), await stepsOf(512)];
    // Two more heights of stacks.
    assert.ok(many <= few + 40, `${few} steps for 8 iterations, ${many} for 512`);
  });

  it("is told of by explain, memoryOf and estimateOf", async () => {
    const device = await createDevice("wasm");
    const program = compile(outputs(scan, { length: 9, reverse: false }), { device });
    const { kernels } = await explain(program, [inputsOf(9)]);
    assert.ok(kernels.some(({ flops }) => flops > 0));
    assert.ok(kernels.every(({ sources }) => sources.length > 0));
    program.dispose();
    const of = async (length: number): Promise<number> =>
      (await memoryOf(outputs(scan, { length, reverse: false }), [inputsOf(length)], limits)).temporaries;
    assert.ok((await of(64)) > 2 * (await of(8)));
    const rates = { flops: 1e9, bytes: 1e9, dispatch: 1e-3 };
    const time = (length: number): Promise<number> =>
      estimateOf(outputs(scan, { length, reverse: false }), [inputsOf(length)], limits, rates as never);
    const [short, long] = [await time(8), await time(80)];
    assert.ok(Number.isNaN(short) || long > 5 * short, `${short}, ${long}`);
  });

  it("checks values within the loop", async () => {
    for (const name of ["oracle", "wasm"] as const) {
      const device = await createDevice(name);
      const program = compile(
        (x: Tensor) =>
          scan((sum: Tensor, row: Tensor) => ({ carry: add(sum, cast(row, "i32")), y: null }), scalar(0, "i32"), x)
            .carry,
        { device },
      );
      assert.deepEqual([...(await (await program(tensor([1, 2, 3]))).data())], [6]);
      await assert.rejects(program(tensor([1, NaN, 3])), throwsWith("value", /^cast: NaN or infinity/));
      assert.deepEqual([...(await (await program(tensor([1, 2, 4]))).data())], [7]);
      program.dispose();
    }
  });

  it("is part of a step whose state stays on the device, and can be abandoned", async () => {
    const device = await createDevice("wasm");
    const state = await createState({ w: scalar(2), seen: scalar(0, "i32") }, device);
    const step = compileStep(
      ({ w, seen }: { w: Tensor; seen: Tensor }, x: Tensor) => {
        const loss = (moved: Tensor): Tensor =>
          scan(
            (h: Tensor, row: Tensor) => ({ carry: add(multiply(h, 0.5), multiply(row, moved)), y: null }),
            scalar(0),
            x,
          ).carry;
        const { value, gradient } = valueAndGrad(loss)(w);
        return { state: { w: add(w, multiply(gradient, -0.1)), seen: add(seen, 1) }, result: value };
      },
      { device },
    );
    const slope = 1 / 4 + 2 / 2 + 3;
    let w = 2;
    for (let i = 0; i < 3; i++) {
      const [value] = await (await step(state, tensor([1, 2, 3]))).data();
      assert.ok(Math.abs((value ?? NaN) - slope * w) < 1e-5);
      w -= 0.1 * slope;
    }
    step.dispose();
    state.dispose();
    const stopped = new AbortController();
    const long = compile(
      (x: Tensor) => scan((h: Tensor, row: Tensor) => ({ carry: sin(add(h, row)), y: h }), scalar(0), x).ys,
      {
        device,
        signal: stopped.signal,
      },
    );
    const pending = long(zeros([20000]));
    setTimeout(() => stopped.abort(), 60);
    await assert.rejects(pending, throwsWith("aborted", /./));
    long.dispose();
  });

  it("takes no rows, no results, nothing carried, static values, and lengths of 0", async () => {
    const powers = scan((x: Tensor) => ({ carry: multiply(x, 2), y: x }), scalar(1), null, { length: 5 });
    assert.deepEqual([await read(powers.carry), await read(powers.ys)], [[32], [1, 2, 4, 8, 16]]);
    const squares = scan(
      (carry: { k: number }, x: Tensor) => ({ carry, y: { z: multiply(x, x), k: carry.k } }),
      { k: 3 },
      tensor([1, 2]),
    );
    assert.deepEqual([await read(squares.ys.z), squares.ys.k, squares.carry.k], [[1, 4], 3, 3]);
    const none = scan((h: Tensor, x: Tensor) => ({ carry: add(h, x), y: multiply(x, 2) }), scalar(7), zeros([0]));
    assert.deepEqual([await read(none.carry), none.ys.shape], [[7], [0]]);
    const stopped = grad(
      (x: Tensor) =>
        scan((h: Tensor) => ({ carry: add(h, stopGradient(x)), y: null }), scalar(0), null, { length: 3 }).carry,
    );
    assert.deepEqual(await read(stopped(scalar(2))), [0]);
  });

  it("has derivatives by values that it closes over, known ones too", async () => {
    const power = (s: Tensor): Tensor =>
      reduceSum(scan((c: Tensor) => ({ carry: multiply(c, s), y: null }), scalar(1), null, { length: 3 }).carry);
    const powers = (s: Tensor): Tensor =>
      reduceSum(scan((c: Tensor) => ({ carry: multiply(c, s), y: null }), ones(s.shape), null, { length: 3 }).carry);
    assert.deepEqual(await read(grad(power)(scalar(2))), [12]);
    assert.deepEqual(await read(grad(power)(tensor(2))), [12]);
    assert.deepEqual(await read(grad(powers)(full([2], 2))), [12, 12]);
    assert.deepEqual(await read(grad(powers)(tensor([2, 3]))), [12, 27]);
    const spread = (s: Tensor): Tensor => powers(broadcastTo(s, [2]));
    assert.deepEqual(await read(grad(spread)(scalar(2))), [24]);
    assert.deepEqual(await read(grad((s: Tensor) => power(stopGradient(s)))(tensor(2))), [0]);
  });

  it("takes bodies of random arithmetic, rows and carries of any shape", async () => {
    const wasm = await createDevice("wasm");
    const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(shapes, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
        fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }),
        async (all, length, reverse, choices) => {
          const operations = [
            add,
            multiply,
            (x: Tensor) => tanh(x),
            (x: Tensor) => sin(x),
            (x: Tensor, y: Tensor) => add(x, reduceSum(y)),
            (x: Tensor) => multiply(x, 0.5),
          ];
          const body: Body<Tensor[], Tensor[], Tensor[]> = (carry, rows) => {
            const next = carry.map((x, i) =>
              choices.reduce((value, choice) => tanh(at(operations, choice)(value, at(rows, i))), x),
            );
            return { carry: next, y: [...next, reduceSum(at(next, 0))] };
          };
          const init = all.map((shape, i) => wave(shape, i));
          const xs = all.map((shape, i) => wave([length, ...shape], 10 + i));
          const of = (loop: Loop) => (given: { init: Tensor[]; xs: Tensor[] }) => {
            const total = (p: typeof given): Tensor => {
              const { carry, ys } = loop(body, p.init, p.xs, { length, reverse });
              return [...carry, ...ys].reduce((sum, each) => add(sum, reduceSum(multiply(each, each))), scalar(0));
            };
            return grad(total)(given);
          };
          closeTo(
            await numbersOf(of(scan), [{ init, xs }], wasm),
            await numbersOf(of(plainLoop), [{ init, xs }], oracle),
            "it",
          );
        },
      ),
      { numRuns: 6, seed: 5 },
    );
  });

  it("says what is wrong with its arguments and its body, in the user's words", () => {
    const body = (h: Tensor, x: Tensor) => ({ carry: add(h, x), y: h });
    assert.throws(
      () => scan(body, scalar(0), scalar(1)),
      throwsWith("shape", /^scan: xs is a scalar; each iteration takes a row/),
    );
    assert.throws(
      () => scan(body, scalar(0), zeros([3]), { length: 4 }),
      throwsWith("shape", /^scan: xs is \[3\], expected 4 rows/),
    );
    const two = (h: Tensor, x: { a: Tensor; b: Tensor }) => ({ carry: add(h, x.a), y: x.b });
    assert.throws(
      () => scan(two, scalar(0), { a: zeros([3]), b: zeros([2]) }),
      throwsWith("shape", /^scan: xs b is \[2\], expected 3 rows/),
    );
    assert.throws(
      () => scan((h: Tensor) => ({ carry: h, y: h }), scalar(0), null),
      throwsWith("value", /^scan: there are no xs, so options\.length/),
    );
    assert.throws(
      () => scan((h: Tensor) => ({ carry: h, y: h }), scalar(0), null, { length: 1.5 }),
      throwsWith("range", /^scan: length 1\.5 is not/),
    );
    assert.throws(
      () => scan(body, scalar(0), zeros([3, 2])),
      throwsWith("shape", /^scan: the body carries on f32 \[2\] at "", was given f32 \[\] at ""/),
    );
    assert.throws(
      () => scan((c: { k: number }) => ({ carry: { k: c.k + 1 }, y: null }), { k: 1 }, null, { length: 2 }),
      throwsWith("shape", /other keys or static values/),
    );
    assert.throws(
      () => scan((async (h: Tensor) => ({ carry: h, y: h })) as never, scalar(0), null, { length: 2 }),
      throwsWith("trace", /^scan: the function is asynchronous/),
    );
  });
});
