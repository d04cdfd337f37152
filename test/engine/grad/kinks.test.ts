/** Derivatives where functions have kinks, and those of norms of any magnitude, against rules written as loops. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { evaluateGraph } from "../../../engine/devices/oracle/evaluate.ts";
import type { DeviceName } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import * as ops from "../../../engine/index.ts";
import { compile, createDevice, grad, type Tensor, tensor, vjp } from "../../../engine/index.ts";
import { arraysOf, shapes } from "../../../testing/arbitraries/arrays.ts";
import { along, build, pick, type Plain, places, reduceOver, toTensor } from "../../support/plain.ts";

const devices = ["oracle", "wasm", "cpu"] as const satisfies readonly DeviceName[];
const isSame = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));
const unlessLost = (loses: boolean, ties: boolean, g: number): number => (loses ? 0 : ties ? g / 2 : g);
const isWithin = (low: number, x: number, high: number): boolean => low <= x && x <= high;

type Rule = {
  readonly fn: (x: Tensor, y: Tensor) => Tensor;
  /** The derivatives by x and y under the cotangent g. */
  readonly derivatives: (x: number, y: number, g: number) => readonly [number, number];
};

const kinks: { readonly [name: string]: Rule } = {
  relu: { fn: (x) => ops.relu(x), derivatives: (x, _, g) => [x <= 0 ? 0 : g, 0] },
  absolute: { fn: (x) => ops.absolute(x), derivatives: (x, _, g) => [x === 0 ? 0 : g * Math.sign(x), 0] },
  maximum: {
    fn: ops.maximum,
    derivatives: (x, y, g) => [unlessLost(x < y, x === y, g), unlessLost(y < x, x === y, g)],
  },
  minimum: {
    fn: ops.minimum,
    derivatives: (x, y, g) => [unlessLost(y < x, x === y, g), unlessLost(x < y, x === y, g)],
  },
  clamp: { fn: (x) => ops.clamp(x, -1, 1), derivatives: (x, _, g) => [isWithin(-1, x, 1) ? g : 0, 0] },
  "clamp between tensors": {
    fn: (x, y) => ops.clamp(x, y, 1),
    derivatives: (x, y, g) => {
      if (isWithin(y, x, 1)) return [g, 0];
      const raised = Math.max(x, y);
      // What reaches the lower bound has passed the upper one, and then x, which holds where both are equal.
      return [0, unlessLost(y < x, x === y, unlessLost(1 < raised, raised === 1, g))];
    },
  },
  where: { fn: (x, y) => ops.where(ops.less(x, y), x, y), derivatives: (x, y, g) => (x < y ? [g, 0] : [0, g]) },
  "power by a whole number": {
    fn: (x) => ops.power(x, ops.zerosLike(x)),
    derivatives: () => [0, 0],
  },
};

const numbers = [0, -0, 1, -1, 0.5, 2, 1e-40, -1e-40, 3e38, -3e38, Infinity, -Infinity, NaN].map(Math.fround);
const flowing = [1, -2, 0, 1e-40, 1e30, Infinity, -Infinity, NaN].map(Math.fround);

describe("derivatives at kinks", () => {
  const cases = numbers.flatMap((x) => numbers.flatMap((y) => flowing.map((g) => [x, y, g] as const)));
  const column = (i: 0 | 1 | 2): Tensor => tensor(cases.map((row) => row[i]));

  for (const name of devices) {
    it(`of element-wise operations, for all pairs of special numbers and cotangents, on ${name}`, async () => {
      const device = await createDevice(name);
      const program = compile(
        (x: Tensor, y: Tensor, g: Tensor) =>
          Object.values(kinks).map(({ fn }) => {
            const { pullback } = vjp((operands: { x: Tensor; y: Tensor }) => fn(operands.x, operands.y), { x, y });
            return pullback(g);
          }),
        { device },
      );
      const derivatives = await program(column(0), column(1), column(2));
      const wrong: string[] = [];
      for (const [k, [kink, rule]] of Object.entries(kinks).entries()) {
        const [byX, byY] = [await at(derivatives, k).x.data(), await at(derivatives, k).y.data()];
        cases.forEach(([x, y, g], i) => {
          const wanted = rule.derivatives(x, y, g).map(Math.fround);
          if (isSame(byX[i] ?? 0, at(wanted, 0)) && isSame(byY[i] ?? 0, at(wanted, 1))) return;
          wrong.push(`${kink} at ${x}, ${y} with ${g}: ${byX[i]}, ${byY[i]}, wanted ${wanted.join(", ")}`);
        });
      }
      assert.deepEqual(wrong.slice(0, 10), []);
      device.dispose();
    });
  }

  /** An array, axes that aren't empty, and a cotangent for each place of the result. */
  const reductions = shapes(1).chain((shape) => {
    const axes = fc.subarray([...shape.keys()].filter((axis) => shape[axis] !== 0));
    return fc
      .record({ x: arraysOf(shape, fc.constantFrom(0, 1, 1, 2, -Infinity, Infinity, NaN)), axes })
      .chain((given) => {
        const kept = shape.map((size, axis) => (given.axes.includes(axis) ? 1 : size));
        return arraysOf(kept, fc.constantFrom(...flowing)).map((g) => ({ ...given, g }));
      });
  });

  it("of reduceMax and reduceMin: ties share, nothing reaches the others, NaN reaches all", () => {
    fc.assert(
      fc.property(reductions, fc.boolean(), ({ x, axes, g }, isMax) => {
        const pickOne = isMax ? Math.max : Math.min;
        const winner = reduceOver(x, axes, (list) => pickOne(...list));
        const wanted = build(x.shape, (place) => {
          const here = place.map((coordinate, axis) => (axes.includes(axis) ? 0 : coordinate));
          const [best, weight] = [pick(winner, here), pick(g, here)];
          if (axes.length === 0) return weight;
          if (Number.isNaN(best)) return NaN;
          if (pick(x, place) !== best) return 0;
          return weight / along(x, axes, here).filter((value) => value === best).length;
        });
        const reduce = isMax ? ops.reduceMax : ops.reduceMin;
        const { pullback } = vjp((y: Tensor) => reduce(y, { axes, keepAxes: true }), toTensor(x));
        const [got] = evaluateGraph({ inputs: [], outputs: [pullback(toTensor(g)).node] }, []);
        assert.ok(got !== undefined && got.every((value, i) => isSame(value, at(wanted.values, i))), String(got));
      }),
    );
  });
});

/** Value, gradient and the gradient's derivative along v of a function of a list, in float64. */
type Truth = (x: readonly number[], v: readonly number[]) => { value: number; gradient: number[]; second: number[] };

const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);
const dot = (a: readonly number[], b: readonly number[]): number => sum(a.map((value, i) => value * at(b, i)));
const centred = (list: readonly number[]): number[] => {
  const mean = sum(list.map((value) => value - at(list, 0))) / list.length;
  return list.map((value) => value - at(list, 0) - mean);
};

/** |x| / k has the gradient u / k with u = x / |x|, and that has the derivative (v - u <u, v>) / |x| / k along v. */
const normTruth = (x: readonly number[], v: readonly number[], k: number): ReturnType<Truth> => {
  const largest = Math.max(...x.map(Math.abs));
  const length = largest * Math.hypot(...x.map((value) => value / largest));
  const u = x.map((value) => value / length);
  const turned = v.map((value, i) => (value - at(u, i) * dot(u, v)) / length);
  return { value: length / k, gradient: u.map((value) => value / k), second: turned.map((value) => value / k) };
};

const norms: { readonly [name: string]: { readonly fn: typeof ops.norm; readonly truth: Truth } } = {
  norm: { fn: ops.norm, truth: (x, v) => normTruth(x, v, 1) },
  rootMeanSquare: { fn: ops.rootMeanSquare, truth: (x, v) => normTruth(x, v, Math.sqrt(x.length)) },
  // A projection: the derivative by x is that by the differences to the mean.
  standardDeviation: {
    fn: ops.standardDeviation,
    truth: (x, v) => normTruth(centred(x), centred(v), Math.sqrt(x.length)),
  },
};

describe("norms of any magnitude", () => {
  /** At least two elements in a group, the first two apart: no norm and no deviation is 0. */
  const groups = fc
    .record({ rows: fc.integer({ min: 1, max: 3 }), columns: fc.integer({ min: 2, max: 9 }) })
    .chain(({ rows, columns }) =>
      fc.record({
        axis: fc.constantFrom(0, 1),
        keepAxes: fc.boolean(),
        exponents: fc.array(fc.integer({ min: -42, max: 37 }), { minLength: rows, maxLength: rows }),
        elements: fc.array(
          fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: columns, maxLength: columns }),
          {
            minLength: rows,
            maxLength: rows,
          },
        ),
      }),
    );

  for (const name of ["wasm", "cpu"] as const) {
    it(`have values, first and second derivatives within float32's roundings, on ${name}`, async () => {
      const device = await createDevice(name);
      await fc.assert(
        fc.asyncProperty(groups, async ({ axis, keepAxes, exponents, elements }) => {
          const rows = elements.map((row, i) =>
            row.map((value, j) => Math.fround((j === 0 ? 1 : j === 1 ? -0.5 : value) * 10 ** at(exponents, i))),
          );
          const [count, size] = [rows.length, at(rows, 0).length];
          const direction = Float32Array.from({ length: count * size }, (_, i) => 1 + ((i * 5) % 7) / 4);
          const isLast = axis === 1;
          const shape = isLast ? [count, size] : [size, count];
          // Groups lie along the last axis, or along the first.
          const flat = places(shape).map(([i = 0, j = 0]) => (isLast ? at(at(rows, i), j) : at(at(rows, j), i)));
          const v: Plain = { shape, values: [...direction] };
          for (const [what, { fn, truth }] of Object.entries(norms)) {
            const program = compile(
              (x: Tensor, along_: Tensor) => {
                const { value, pullback } = vjp((y: Tensor) => fn(y, { axes: axis, keepAxes }), x);
                const gradient = (y: Tensor): Tensor => {
                  const { value: of, pullback: back } = vjp((z: Tensor) => fn(z, { axes: axis, keepAxes }), y);
                  return back(ops.onesLike(of));
                };
                const { pullback: again } = vjp(gradient, x);
                return { value, gradient: pullback(ops.onesLike(value)), second: again(along_) };
              },
              { device },
            );
            const got = await program(toTensor({ shape, values: flat }), toTensor(v));
            const [value, gradient, second] = [
              await got.value.data(),
              await got.gradient.data(),
              await got.second.data(),
            ];
            rows.forEach((row, i) => {
              const own = row.map((_, j) => (isLast ? i * size + j : j * count + i));
              const wanted = truth(
                row,
                own.map((place) => at(v.values, place)),
              );
              // Sums of `size` terms, and differences to a mean that is at most sqrt(2 size) deviations away.
              const share = 4 * (size + 16) * Math.sqrt(2 * size) * 2 ** -24;
              const near = (a: number | undefined, b: number, scale: number, smallest: number): boolean =>
                Math.abs((a ?? NaN) - b) <= share * scale + smallest;
              const where = `${what} of ${row.join(", ")}`;
              assert.ok(
                near(value[i], wanted.value, wanted.value, 2 ** -148),
                `${where}: ${value[i]}, not ${wanted.value}`,
              );
              own.forEach((place, j) => {
                const [first, next] = [at(wanted.gradient, j), at(wanted.second, j)];
                assert.ok(near(gradient[place], first, 1, 0), `gradient of ${where}: ${gradient[place]}, not ${first}`);
                if (Math.abs(at(exponents, i)) > 30) return;
                const largest = (3 * Math.sqrt(2 * size)) / wanted.value;
                assert.ok(
                  near(second[place], next, largest, 2 ** -140),
                  `second of ${where}: ${second[place]}, not ${next}`,
                );
              });
            });
            program.dispose();
          }
        }),
        {
          numRuns: 12,
          // On the way to this second derivative a scale that was too small overflowed.
          examples: [[{ axis: 1, keepAxes: false, exponents: [22], elements: [[0, 0, 0, 0, 0, 0, 0, 0]] }]],
        },
      );
      device.dispose();
    });
  }
});

describe("higher derivatives of powers", () => {
  const derivative = (f: (x: Tensor) => Tensor, order: number): ((x: Tensor) => Tensor) =>
    order === 0
      ? f
      : derivative(
          grad((x) => ops.reduceSum(f(x))),
          order - 1,
        );

  it("are those of polynomials at any magnitude, to the fourth", async () => {
    const x = [0, -0, 1e-20, -1e-30, 1e-40, 3, -2];
    for (const name of ["oracle", "wasm", "cpu"] as const) {
      const device = await createDevice(name);
      for (const exponent of [0, 1, 2, 3]) {
        for (const order of [1, 2, 3, 4]) {
          const compiled = compile(
            derivative((y) => ops.power(y, exponent), order),
            { device },
          );
          const got = await (await compiled(tensor(x))).data();
          const factor = Array.from({ length: order }, (_, i) => exponent - i).reduce((a, b) => a * b, 1);
          x.forEach((value, i) => {
            const wanted = factor === 0 ? 0 : factor * Math.fround(value) ** (exponent - order);
            const error = Math.abs(at([...got], i) - wanted);
            const limit = 1e-5 * Math.abs(wanted) + 2 ** -149;
            assert.ok(error <= limit, `${name}: ${order} of x^${exponent} at ${value}: ${got[i]}`);
          });
          compiled.dispose();
        }
      }
      device.dispose();
    }
  });

  it("know an exponent that is an argument from one that is written down", async () => {
    const mixed = grad((y: Tensor) => grad((x: Tensor) => ops.power(x, y))(ops.scalar(0.5)));
    // d/dy (y x^(y - 1)) at y = 0
    assert.equal(await mixed(ops.scalar(0)).item(), 2);
  });
});
