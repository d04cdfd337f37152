import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { applyNetwork } from "../../../diffusion/features/apply.ts";
import {
  decodeWeights,
  type LoadedNetwork,
  type NetworkArray,
  type NetworkArrays,
  readGraphTopology,
  readKerasTopology,
} from "../../../diffusion/features/index.ts";
import { compile, getDevice, type Tensor, tensor } from "../../../engine/index.ts";

const device = await getDevice("oracle");

const counted = (shape: readonly number[], step = 0.25): NetworkArray => ({
  shape,
  data: Float32Array.from(
    { length: shape.reduce((product, size) => product * size, 1) },
    (_, i) => (((i * 7) % 11) - 5) * step,
  ),
});
const positive = (shape: readonly number[]): NetworkArray => {
  const { data } = counted(shape);
  return { shape, data: data.map((value) => Math.abs(value) + 0.5) };
};

type Layer = { readonly class_name: string; readonly config: object; readonly inputs: readonly string[] };
const keras = (layers: Readonly<Record<string, Layer>>): unknown => ({
  model_config: {
    config: {
      layers: Object.entries(layers).map(([name, { class_name, config, inputs }]) => ({
        name,
        class_name,
        config,
        inbound_nodes: inputs.length === 0 ? [] : [inputs.map((input) => [input, 0, 0, {}])],
      })),
    },
  },
});
const input = (size: number): Layer => ({
  class_name: "InputLayer",
  config: { batch_input_shape: [null, size, size, 3] },
  inputs: [],
});
const window = (size: number, stride: number, padding: "same" | "valid"): object => ({
  strides: [stride, stride],
  padding,
  data_format: "channels_last",
  kernel_size: [size, size],
  pool_size: [size, size],
  dilation_rate: [1, 1],
  activation: "linear",
  use_bias: false,
});
const pool = (kind: "Max" | "Average", size: number, stride: number, padding: "same" | "valid", of: string): Layer => ({
  class_name: `${kind}Pooling2D`,
  config: window(size, stride, padding),
  inputs: [of],
});

async function run({ network, weights }: LoadedNetwork, x: Float32Array): Promise<readonly number[]> {
  const arrays = Object.fromEntries(Array.from(weights, ([name, { shape, data }]) => [name, tensor(data, { shape })]));
  const { size } = network;
  const program = compile((named: Record<string, Tensor>, images: Tensor) => applyNetwork(network, named, images), {
    device,
  });
  const features = await program(arrays, tensor(x, { shape: [x.length / (3 * size * size), 3, size, size] }));
  return Array.from(await features.data());
}

function assertClose(actual: readonly number[], wanted: readonly number[]): void {
  assert.equal(actual.length, wanted.length);
  // Weights and folded weights are rounded to float32.
  for (const [i, value] of wanted.entries()) {
    const got = actual[i] ?? NaN;
    assert.ok(Math.abs(got - value) <= 1e-5 * Math.max(1, Math.abs(value)), `${i}: ${got}, expected ${value}`);
  }
}

const image = Float32Array.from({ length: 3 * 25 }, (_, i) => ((i * 13) % 17) / 8 - 1);
const pixel = (c: number, y: number, x: number): number | undefined =>
  y < 0 || x < 0 || y > 4 || x > 4 ? undefined : image[(c * 5 + y) * 5 + x];

/** Reduces every window of 3x3 at stride 2 that begins `before` pixels outside, [channels, count, count]. */
function windows(before: number, count: number, reduce: (values: readonly number[]) => number): readonly number[] {
  const places = Array.from({ length: 3 * count * count }, (_, i) => i);
  return places.map((i) => {
    const [c, y, x] = [Math.floor(i / count ** 2), Math.floor(i / count) % count, i % count];
    const seen = [0, 1, 2].flatMap((dy) =>
      [0, 1, 2].flatMap((dx) => pixel(c, y * 2 + dy - before, x * 2 + dx - before) ?? []),
    );
    return reduce(seen);
  });
}
const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const perChannel = (values: readonly number[]): readonly number[] =>
  [0, 1, 2].map((c) => meanOf(values.slice((c * values.length) / 3, ((c + 1) * values.length) / 3)));

describe("Keras models", () => {
  it("pool without counting padding", async () => {
    const pooled = (kind: "Max" | "Average", padding: "same" | "valid", left: number): Promise<readonly number[]> => {
      const layers = {
        in: input(5),
        pool: pool(kind, 3, 2, padding, "in"),
        all: pool("Average", left, left, "valid", "pool"),
      };
      return run(readKerasTopology(keras(layers), new Map(), "all", "test"), image);
    };
    // Of 5 pixels at stride 2, "same" adds one on each side.
    assertClose(await pooled("Average", "same", 3), perChannel(windows(1, 3, meanOf)));
    assertClose(await pooled("Average", "valid", 2), perChannel(windows(0, 2, meanOf)));
    const largest = (values: readonly number[]): number => Math.max(...values);
    // All negative at the border would show a padding with zeros.
    assertClose(await pooled("Max", "same", 3), perChannel(windows(1, 3, largest)));
    assertClose(await pooled("Max", "valid", 2), perChannel(windows(0, 2, largest)));
  });

  it("normalize after a padded convolution, depth by depth or not", async () => {
    const arrays: NetworkArrays = new Map([
      ["conv/kernel", counted([3, 3, 3, 2])],
      ["bn/gamma", positive([2])],
      ["bn/beta", counted([2])],
      ["bn/moving_mean", counted([2])],
      ["bn/moving_variance", positive([2])],
      ["deep/depthwise_kernel", counted([3, 3, 2, 1])],
      ["deep/bias", counted([2])],
    ]);
    const layers = {
      in: input(5),
      pad: {
        class_name: "ZeroPadding2D",
        config: {
          padding: [
            [0, 1],
            [2, 0],
          ],
          data_format: "channels_last",
        },
        inputs: ["in"],
      },
      conv: { class_name: "Conv2D", config: window(3, 2, "valid"), inputs: ["pad"] },
      bn: {
        class_name: "BatchNormalization",
        config: { axis: -1, epsilon: 0.5, center: true, scale: true },
        inputs: ["conv"],
      },
      relu: { class_name: "ReLU", config: { max_value: 6, negative_slope: 0, threshold: 0 }, inputs: ["bn"] },
      deep: { class_name: "DepthwiseConv2D", config: { ...window(3, 2, "same"), use_bias: true }, inputs: ["relu"] },
      sum: { class_name: "Add", config: {}, inputs: ["deep", "deep"] },
      both: { class_name: "Concatenate", config: { axis: -1 }, inputs: ["sum", "deep"] },
    };
    const loaded = readKerasTopology(keras(layers), arrays, "both", "test");
    assert.equal(loaded.network.dimension, 4);
    const value = (name: string, i: number): number => arrays.get(name)?.data[i] ?? NaN;
    // The first convolution leaves 2 x 3 pixels; "same" at stride 2 adds a row below them and a column on each side and leaves 1 x 2,
    // whose mean is taken.
    const hidden = (o: number, y: number, x: number): number => {
      let sum = 0;
      for (let c = 0; c < 3; c++) {
        for (let k = 0; k < 9; k++) {
          const [dy, dx] = [Math.floor(k / 3), k % 3];
          sum += value("conv/kernel", (k * 3 + c) * 2 + o) * (pixel(c, y * 2 + dy, x * 2 + dx - 2) ?? 0);
        }
      }
      const scaled = (sum - value("bn/moving_mean", o)) / Math.sqrt(value("bn/moving_variance", o) + 0.5);
      return Math.min(Math.max(scaled * value("bn/gamma", o) + value("bn/beta", o), 0), 6);
    };
    const deep = (o: number, x: number): number => {
      let sum = value("deep/bias", o);
      for (let y = 0; y < 2; y++) {
        for (let dx = 0; dx < 3; dx++) {
          const column = x * 2 + dx - 1;
          if (column >= 0 && column < 3)
            sum += value("deep/depthwise_kernel", (y * 3 + dx) * 2 + o) * hidden(o, y, column);
        }
      }
      return sum;
    };
    const wide = { ...loaded.network, output: "mean" };
    const steps = [
      ...wide.steps,
      {
        kind: "averagePool",
        name: "mean",
        input: "both",
        window: [1, 2],
        stride: [1, 2],
        padding: [
          [0, 0],
          [0, 0],
        ],
      } as const,
    ] as LoadedNetwork["network"]["steps"];
    const features = await run({ network: { ...wide, steps }, weights: loaded.weights }, image);
    const means = [0, 1].map((o) => (deep(o, 0) + deep(o, 1)) / 2);
    assertClose(features, [...means.map((mean) => 2 * mean), ...means]);
  });

  it("refuse layers and settings that aren't known, by name", () => {
    const read = (layers: Readonly<Record<string, Layer>>, arrays: NetworkArrays = new Map()): unknown =>
      readKerasTopology(keras({ in: input(5), ...layers }), arrays, Object.keys(layers).at(-1) ?? "", "test");
    assert.throws(
      () => read({ odd: { class_name: "LSTM", config: {}, inputs: ["in"] } }),
      /layer odd is of the kind LSTM/,
    );
    assert.throws(
      () => read({ act: { class_name: "Activation", config: { activation: "swish" }, inputs: ["in"] } }),
      /test: layer act \(Activation\)/,
    );
    const conv: Layer = { class_name: "Conv2D", config: window(3, 1, "same"), inputs: ["in"] };
    assert.throws(() => read({ conv }), /there are no weights conv\/kernel/);
    assert.throws(() => read({ conv }, new Map([["conv/kernel", counted([3, 3, 4, 2])]])), /has 3 channels to read/);
    assert.throws(() => read({ conv }, new Map([["conv/kernel", counted([9, 6])]])), /expected 4 axes/);
    const pad: Layer = {
      class_name: "ZeroPadding2D",
      config: {
        padding: [
          [1, 1],
          [1, 1],
        ],
        data_format: "channels_last",
      },
      inputs: ["in"],
    };
    assert.throws(() => read({ pad, pool: pool("Max", 2, 2, "valid", "pad") }), /padding pad is not followed/);
    assert.throws(() => read({ pool: pool("Max", 2, 2, "valid", "missing") }), /there is no layer missing/);
    assert.throws(() => readKerasTopology({}, new Map(), "x", "test"), /not a Keras model/);
    const bn: Layer = {
      class_name: "BatchNormalization",
      config: { axis: 3, epsilon: 0.001, center: false, scale: false },
      inputs: ["conv"],
    };
    const both: Layer = { class_name: "Add", config: {}, inputs: ["bn", "conv"] };
    const kernel: NetworkArrays = new Map([["conv/kernel", counted([3, 3, 3, 2])]]);
    assert.throws(() => read({ conv, bn, both }, kernel), /conv is used by 2 layers, not by bn alone/);
  });

  it("don't look at what comes after the features", () => {
    const layers = {
      in: input(5),
      pool: pool("Average", 5, 5, "valid", "in"),
      odd: { class_name: "LSTM", config: {}, inputs: ["pool"] },
    };
    assert.equal(readKerasTopology(keras(layers), new Map(), "pool", "test").network.steps.length, 1);
  });
});

describe("graphs of TensorFlow", () => {
  const list = (values: readonly number[]): object => ({ list: { i: values.map(String) } });
  const placeholder = {
    name: "x",
    op: "Placeholder",
    attr: { shape: { shape: { dim: [-1, 2, 2, 3].map((size) => ({ size: String(size) })) } } },
  };
  const conv = (operations: readonly string[], dilation = 1): object => ({
    name: "conv",
    op: "_FusedConv2D",
    input: ["sub", "kernel", "bias"],
    attr: {
      strides: list([1, 2, 2, 1]),
      padding: { s: btoa("VALID") },
      dilations: list([1, dilation, dilation, 1]),
      fused_ops: { list: { s: operations.map((name) => btoa(name)) } },
    },
  });
  const nodes = [
    placeholder,
    { name: "two", op: "Const" },
    { name: "double", op: "Mul", input: ["two", "x"] },
    { name: "one", op: "Const" },
    { name: "sub", op: "Sub", input: ["double", "one"] },
  ];
  const arrays: NetworkArrays = new Map([
    ["two", { shape: [], data: Float32Array.of(2) }],
    ["one", { shape: [], data: Float32Array.of(1) }],
    ["kernel", counted([2, 2, 3, 2])],
    ["bias", counted([2])],
  ]);

  it("scale, convolve and cut off", async () => {
    const x = Float32Array.from({ length: 12 }, (_, i) => i / 12);
    const sums = [0, 1].map((o) => {
      let sum = arrays.get("bias")?.data[o] ?? NaN;
      for (let c = 0; c < 3; c++) {
        for (let tap = 0; tap < 4; tap++) {
          const weight = arrays.get("kernel")?.data[(tap * 3 + c) * 2 + o] ?? NaN;
          sum += weight * ((x[c * 4 + tap] ?? NaN) * 2 - 1);
        }
      }
      return sum;
    });
    for (const [operations, after] of [
      [["BiasAdd"], (value: number) => value],
      [["BiasAdd", "Relu"], (value: number) => Math.max(value, 0)],
      [["BiasAdd", "Relu6"], (value: number) => Math.min(Math.max(value, 0), 6)],
    ] as const) {
      const loaded = readGraphTopology({ node: [...nodes, conv(operations)] }, arrays, "conv", "test");
      assertClose(await run(loaded, x), sums.map(after));
    }
  });

  it("refuse nodes that aren't known, by name", () => {
    const read = (node: object, output: string): unknown =>
      readGraphTopology({ node: [...nodes, node] }, arrays, output, "test");
    assert.throws(() => read({ name: "odd", op: "Erf", input: ["x"] }, "odd"), /node odd is of the operation Erf/);
    assert.throws(() => read(conv(["BiasAdd", "Elu"]), "conv"), /node conv \(_FusedConv2D\)/);
    assert.throws(() => read(conv(["BiasAdd"], 2), "conv"), /node conv \(_FusedConv2D\)/);
    assert.throws(() => read({ name: "loop", op: "AddV2", input: ["loop", "x"] }, "loop"), /node loop needs itself/);
    assert.throws(() => readGraphTopology({ nodes: [] }, arrays, "conv", "test"), /not a graph/);
  });
});

describe("weights of TensorFlow.js", () => {
  const entry = (dtype: "uint8" | "uint16" | undefined, shape: readonly number[]) => ({
    name: "w",
    shape: [...shape],
    dtype: "float32",
    ...(dtype === undefined ? {} : { quantization: { dtype, min: -1, scale: 0.5 } }),
  });

  it("are bytes, pairs of bytes or floats", () => {
    const weights = [
      entry("uint8", [3]),
      { ...entry("uint16", [2]), name: "v" },
      { ...entry(undefined, [1]), name: "u" },
    ];
    const bytes = Uint8Array.of(0, 1, 255, 2, 0, 0, 1, 0, 0, 192, 63);
    const arrays = decodeWeights([{ paths: ["a"], weights }], [bytes], "test");
    assert.deepEqual(arrays.get("w")?.data, Float32Array.of(-1, -0.5, 126.5));
    assert.deepEqual(arrays.get("v")?.data, Float32Array.of(0, 127));
    assert.deepEqual(arrays.get("u")?.data, Float32Array.of(1.5));
  });

  it("must be neither too few nor too many, nor of another type", () => {
    const decode = (length: number, dtype = "float32"): unknown =>
      decodeWeights([{ paths: ["a"], weights: [{ ...entry("uint8", [3]), dtype }] }], [new Uint8Array(length)], "test");
    assert.throws(() => decode(2), { code: "file", message: /end in w/ });
    assert.throws(() => decode(4), { code: "file", message: /1 bytes of weights belong to no array/ });
    assert.throws(() => decode(3, "int32"), { code: "file", message: /w is int32/ });
  });
});
