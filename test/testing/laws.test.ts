/** Laws for everybody hold for what is right and fail, with a small counterexample, for what is slightly wrong. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { topologicalOrder } from "../../engine/graph/graph.ts";
import {
  add,
  createDevice,
  gather,
  matmul,
  mean,
  multiply,
  reduceSum,
  relu,
  sigmoid,
  stopGradient,
  square,
  type Tensor,
  tanh,
  tensor,
  zeros,
} from "../../engine/index.ts";
import {
  accuracies,
  arrays,
  checkPrograms,
  determinismLaw,
  deviceLaw,
  deviceLaws,
  float32,
  gradientLaw,
  holdLaw,
  interpreterDevice,
  odeOrderLaw,
  type OdeSolver,
  ReferenceDevice,
  resumeLaw,
  type Slope,
  unitVarianceLaw,
} from "../../testing/index.ts";

type Layer = { readonly w: Tensor; readonly b: Tensor; readonly rows: Tensor; readonly scale: number };

const layer: Layer = {
  w: zeros([3, 4]),
  b: zeros([4]),
  rows: tensor(Int32Array.of(1, 0, 1)),
  scale: 2,
};

/** Kinks, a table's rows, a static value. */
const apply = ({ w, b, rows, scale }: Layer): Tensor => relu(add(multiply(gather(w, rows), scale), tanh(b)));

describe("gradientLaw", () => {
  it("refuses options by which it would compare nothing", () => {
    const wrong = (x: Tensor): Tensor => stopGradient(square(x));
    for (const options of [
      { points: 0 },
      { points: NaN },
      { points: -1 },
      { points: 0.5 },
      { low: 2, high: 1 },
      { order: 3 },
    ]) {
      assert.throws(() => gradientLaw(wrong, zeros([2]), options as object), { code: "range" });
    }
  });

  it("holds for a layer with kinks, by its f32 leaves", () => gradientLaw(apply, layer, { points: 5 }));

  it("holds for single tensors of any shape", () => {
    fc.assert(
      fc.property(arrays("f32", 1, 3), ({ shape }) => {
        if (!shape.includes(0)) gradientLaw((x: Tensor) => sigmoid(multiply(x, x)), zeros(shape), { points: 1 });
      }),
      { numRuns: 10 },
    );
  });

  it("names the one element by which a derivative is wrong", () => {
    const isFirst = tensor([[1, 0, 0, 0]]);
    const leaky = ({ w, b, ...rest }: Layer): Tensor => {
      // No derivative by column 0 of w passes.
      const half = add(multiply(w, add(1, multiply(isFirst, -1))), multiply(stopGradient(w), isFirst));
      return apply({ w: half, b, ...rest });
    };
    assert.throws(
      () => gradientLaw(leaky, layer, { order: 1 }),
      /first derivative by element \[[01], 0\] of w is 0, .*\n {2}w \[3, 4\] of/,
    );
    // Right values and first derivatives, wrong second ones.
    const once = (x: Tensor): Tensor => multiply(x, add(x, stopGradient(x)));
    assert.throws(() => gradientLaw(once, zeros([2]), { order: 1 }), /first derivative/);
    const twice = (x: Tensor): Tensor => {
      const slope = stopGradient(multiply(2, x));
      return add(stopGradient(square(x)), multiply(slope, add(x, multiply(stopGradient(x), -1))));
    };
    gradientLaw(twice, zeros([2]), { order: 1 });
    assert.throws(() => gradientLaw(twice, zeros([2])), /second derivative/);
  });

  it("refuses what it can't differentiate", () => {
    assert.throws(() => gradientLaw(() => zeros([]), { a: 1 }), { code: "value" });
    assert.throws(() => gradientLaw((x: Tensor) => x.shape as unknown as Tensor, zeros([2])), { code: "dtype" });
  });
});

describe("unitVarianceLaw", () => {
  const weights = tensor(Float32Array.of(0.6, 0.8, -0.8, 0.6), { shape: [2, 2] });

  it("holds for a rotation and not for one with a gain of 1.2, nor for a channel that is silent", async () => {
    const { meanSquare, bound } = await unitVarianceLaw((x) => matmul(x, weights), [[2]]);
    assert.ok(Math.abs(meanSquare - 1) <= bound && bound < 0.1);
    await assert.rejects(
      unitVarianceLaw((x) => multiply(matmul(x, weights), 1.2), [[2]]),
      /mean square is 1\.4\d*, expected 1 within 0\.1/,
    );
    await assert.rejects(
      unitVarianceLaw((x) => multiply(x, tensor([1, 0, 1])), [[3]]),
      /channel 1 of 3 with 0\./,
    );
  });

  it("takes several inputs and what is expected instead", async () => {
    await unitVarianceLaw((x, y) => add(x, y), [[3], [3]], { expected: 2 });
    await assert.rejects(
      unitVarianceLaw((x) => mean(x), [[2]]),
      { code: "shape" },
    );
    await assert.rejects(
      unitVarianceLaw((x) => x, [[2]], { samples: 10 }),
      { code: "range" },
    );
  });
});

describe("determinismLaw", () => {
  const options = { runs: 12, seed: 5 };

  it("holds for one device and for several numbers of threads", async () => {
    const devices = await Promise.all([1, 3].map((threads) => createDevice("wasm", { wasm: { threads } })));
    assert.ok((await determinismLaw(devices, options)).compared > 500);
    for (const device of devices) device.dispose();
  });

  it("fails for a device whose results depend on what it did before", async () => {
    let turn = 0;
    const device = new ReferenceDevice("arena", {
      result: (values) => {
        if (values instanceof Float32Array && turn++ % 7 === 0)
          values.forEach((value, i) => (values[i] = value * (1 + 2 ** -20)));
      },
    });
    await assert.rejects(
      determinismLaw(device, { ...options, shrinks: false }),
      /element \d+: got .*, in the first run on wasm/,
    );
  });
});

describe("resumeLaw", () => {
  type Run = { readonly weights: number[]; momentum: number };
  const start = (): Run => ({ weights: [1, -2], momentum: 0 });
  const step = (run: Run): Run => {
    run.momentum = 0.9 * run.momentum - 0.1 * (run.weights[0] ?? 0);
    run.weights.forEach((weight, i) => (run.weights[i] = weight + run.momentum));
    return run;
  };
  const read = ({ weights, momentum }: Run): { readonly weights: number[]; readonly momentum: number[] } => ({
    weights,
    momentum: [momentum],
  });

  it("holds for who stores everything", () =>
    resumeLaw({ start, step, read, save: (run) => structuredClone(run), load: (run) => run }));

  it("fails for who forgets the momentum, and for who stores what goes on changing", async () => {
    const forgets = {
      start,
      step,
      read,
      save: ({ weights }: Run) => [...weights],
      load: (weights: number[]): Run => ({ weights, momentum: 0 }),
    };
    await assert.rejects(
      resumeLaw(forgets),
      /after 1 steps, stored after 1: momentum, element 0: -?0, without stops -0\.1/,
    );
    await assert.rejects(
      resumeLaw({ start, step, read, save: (run) => run, load: (run) => run }),
      /with the writer going on/,
    );
  });
});

describe("odeOrderLaw", () => {
  const along = (x: Float64Array, slope: Float64Array, h: number): Float64Array =>
    x.map((value, i) => value + h * (slope[i] ?? NaN));
  const solver =
    (once: (slope: Slope, t: number, x: Float64Array, h: number) => Float64Array): OdeSolver =>
    (slope, start, from, to, steps) => {
      const h = (to - from) / steps;
      let x = start;
      for (let i = 0; i < steps; i++) x = once(slope, from + i * h, x, h);
      return x;
    };
  const euler = solver((slope, t, x, h) => along(x, slope(t, x), h));
  const heun = solver((slope, t, x, h) => {
    const first = slope(t, x);
    const second = slope(t + h, along(x, first, h));
    return along(along(x, first, h / 2), second, h / 2);
  });
  const rungeKutta = solver((slope, t, x, h) => {
    const a = slope(t, x);
    const b = slope(t + h / 2, along(x, a, h / 2));
    const c = slope(t + h / 2, along(x, b, h / 2));
    const d = slope(t + h, along(x, c, h));
    return x.map(
      (value, i) => value + (h / 6) * ((a[i] ?? NaN) + 2 * (b[i] ?? NaN) + 2 * (c[i] ?? NaN) + (d[i] ?? NaN)),
    );
  });
  const late = solver((slope, t, x, h) => {
    const first = slope(t, x);
    // The time of the second slope is that of the first.
    const second = slope(t, along(x, first, h));
    return along(along(x, first, h / 2), second, h / 2);
  });

  it("measures Euler's, Heun's and Runge and Kutta's orders", async () => {
    for (const [method, order] of [
      [euler, 1],
      [heun, 2],
      [rungeKutta, 4],
    ] as const) {
      const measured = (await odeOrderLaw(method, { order, runs: 60 })).order;
      assert.ok(Math.abs(measured - order) < 0.2, `${measured}`);
    }
  });

  it("fails for promises that are too high, and for a time that is wrong, which only driven problems show", async () => {
    await assert.rejects(odeOrderLaw(euler, { order: 2 }), /orders .*, expected 2/);
    await assert.rejects(odeOrderLaw(late, { order: 2, runs: 60 }), /y' = -?[\d.]+ cos\(.*expected 2/);
    await assert.rejects(
      odeOrderLaw((_, start) => start, { order: 1 }),
      /expected 1/,
    );
  });
});

describe("deviceLaw", () => {
  it("holds for a device that is right, and tells how much each law compared", async () => {
    const device = new ReferenceDevice("slots");
    await assert.rejects(
      deviceLaw(device, { laws: ["program" as "programs"] }),
      /"program" is no law. There are: kernels/,
    );
    const reports = await deviceLaw(device, { runs: 30 });
    assert.deepEqual(Object.keys(reports), ["kernels", "products", "plans", "programs", "determinism"]);
    assert.ok(
      Object.values(reports).every(({ compared }) => compared > 5),
      JSON.stringify(reports),
    );
    assert.ok((reports.programs?.uncertain ?? 0) > 0);
  });

  it("fails, by every law, for a device that leaves memory behind", async () => {
    for (const name of ["kernels", "products", "plans", "programs", "determinism"] as const) {
      const device = new ReferenceDevice("arena", { forgetsToFree: true });
      await assert.rejects(deviceLaw(device, { runs: 10, laws: [name] }), /holds \d+ bytes in [1-9]\d* buffers/, name);
    }
  });

  it("fails where a law had nothing to compare", async (t) => {
    t.mock.method(deviceLaws.programs, "hold", () => Promise.resolve({ compared: 0, uncertain: 12 }));
    await assert.rejects(
      deviceLaw(new ReferenceDevice("arena"), { runs: 10, laws: ["programs"] }),
      /nothing was compared in 5 cases of the law programs \(12 elements were uncertain\)/,
    );
  });

  it("says that the device was lost, whatever the law makes of it", async () => {
    for (const name of ["programs", "determinism"] as const) {
      const device = await createDevice("oracle");
      const onCase = (done: number): void => {
        if (done === 2) device.dispose();
      };
      await assert.rejects(
        holdLaw(device, name, { runs: 20, seed: 1, accuracy: accuracies.oracle, onCase }),
        (reason: Error & { readonly code?: string }) => {
          assert.equal(reason.code, "device");
          assert.match(reason.message, new RegExp(`oracle .*was lost.*the law ${name}, seed 1: .*disposed`));
          return true;
        },
      );
    }
  });

  it("ends with the smallest graph that fails, as a program", async () => {
    const device = new ReferenceDevice("arena", {
      arithmetic: {
        binary: (op, dtype, x, y) => (op === "maximum" ? Math.max(0, x, y) : float32.binary(op, dtype, x, y)),
      },
    });
    const law = deviceLaw(device, { runs: 400, laws: ["programs"] });
    await assert.rejects(law, (reason: Error) => {
      const [, program = ""] = /smallest graph[^\n]*\n([^]*)$/.exec(reason.message) ?? [];
      assert.match(program, /^import \{ maximum, /);
      assert.match(program, /= maximum\([xv]\d, [xv]\d\);/);
      assert.ok(program.split("\n").length <= 8, program);
      return true;
    });
  });
});

describe("interpreterDevice", () => {
  const add32 = (x: Float32Array, y: Float32Array): Float32Array => x.map((value, i) => value + (y[i] ?? NaN));
  const interpreter = (sum: typeof add32) =>
    interpreterDevice<Float32Array>({
      description: "sums by hand",
      dtypes: ["f32"],
      upload: (data) => Float32Array.from(data),
      operation: (node) => {
        if (node.kind === "reshape") return (x) => x;
        return node.kind === "binary" && node.attributes.op === "add" ? sum : undefined;
      },
      download: (array) => array,
    });

  it("is held to random programs of what it can compute", async () => {
    const options = { runs: 150, seed: 3, accuracy: accuracies.cpu };
    const { device, supports } = interpreter(add32);
    assert.ok((await checkPrograms(device, { ...options, supports })).compared > 1000);
    const wrong = interpreter((x, y) => add32(x, y).map((value) => value * (1 + 2 ** -20)));
    await assert.rejects(
      checkPrograms(wrong.device, { ...options, supports: wrong.supports, shrinks: false }),
      /oracle \(sums by hand\): result \d, element \d+/,
    );
    await assert.rejects(checkPrograms(device, options), /no operation for \w+/);
  });

  it("never meets what it doesn't support", () => {
    const { supports } = interpreter(add32);
    const { node } = reduceSum(zeros([2]));
    assert.ok(!topologicalOrder([node]).every(supports));
  });
});
