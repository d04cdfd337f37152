import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { mergeSettings } from "../../../cli/train/merge.ts";
import { trainSettings } from "../../../diffusion/settings/index.ts";
import { decodeWeights, readGraphTopology, readKerasTopology } from "../../../diffusion/features/index.ts";
import { parseDynamics } from "../../../diffusion/dynamics/index.ts";
import { weightsManifestSchema } from "../../../diffusion/features/quantizedWeights.ts";
import { listByPattern, readSchedule, tensorNameMatcher } from "../../../diffusion/ema/node.ts";
import { readStats } from "../../../diffusion/run/index.ts";
import { describeIssues } from "../../../engine/io/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { dynamicsHeader, dynamicsSample } from "../../support/dynamicsSample.ts";
import { mutateJsonFile, mutateText } from "../mutate.ts";
import type { Mutation, Target } from "../target.ts";
import { diskFile } from "../../../engine/io/node.ts";

const textOf = (file: Uint8Array): string => Buffer.from(file).toString("utf8");
const file = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const json = (value: unknown): Uint8Array => file(JSON.stringify(value));

const settings = `preset = "smoke"
lr = 0.01
duration = "8Mi"
channel-mult = [1, 2]
ema = [0.05, 0.1]
xflip = true
device = "wasm"
`;

const settingsTarget: Target = {
  name: "settings",
  samples: () => [file(settings), file('preset = "emoji16"\nP_mean = -1.2\nattn-resolutions = []\nseed = 3\n')],
  mutations: [mutateText],
  read: async (bytes, place) => {
    const folder = place();
    const path = join(folder, "settings.toml");
    writeFileSync(path, bytes);
    const merged = await mergeSettings({ outdir: "runs/a", data: "a.zip" }, path);
    assert.ok(trainSettings.safeParse(merged).success);
    return bytes.length;
  },
};

const schedule = {
  snapshot: [
    { file: "a.safetensors", nimg: 100, sigma_rel: 0.1 },
    { file: "b.safetensors", nimg: 200, half_life: 20 },
  ],
  buffers: ["*.mean"],
};

function scheduleTarget(extension: ".json" | ".toml", sample: Uint8Array, mutations: readonly Mutation[]): Target {
  return {
    name: `schedule${extension}`,
    samples: () => [sample],
    mutations,
    read: async (bytes, place) => {
      const folder = place();
      const path = join(folder, `x${extension}`);
      writeFileSync(path, bytes);
      const { snapshots, buffers } = await readSchedule(path, folder);
      for (const { profile } of snapshots) assert.ok(profile.nimg > 0);
      tensorNameMatcher(buffers)("enc.8x8_block0.conv_res0.weight");
      return bytes.length;
    },
  };
}

/** A safetensors file with nothing in it: an empty header of two bytes. */
const noTensors = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from("{}"));

const patternsTarget: Target = {
  name: "patterns",
  samples: () => [file("step{nimg}-ema{std}.safetensors"), file("*{kimg}*-{std}*.safetensors"), file("*.running_*")],
  mutations: [
    mutateText,
    (bytes, draw) => file(textOf(bytes).replace(/[^{}]/, () => "*".repeat(1 + draw(3)) + "a*".repeat(draw(20)))),
  ],
  read: async (bytes, place) => {
    const folder = place();
    const pattern = textOf(bytes);
    for (const name of ["step100-ema0.1.safetensors", "a".repeat(200)]) {
      writeFileSync(join(folder, name), noTensors);
      tensorNameMatcher([pattern])(name);
    }
    if (pattern.includes("{")) await listByPattern(folder, pattern);
    return bytes.length;
  },
};

const statsTarget: Target = {
  name: "stats",
  samples: () => [file('{"nimg":64,"Loss/loss":0.5,"timestamp":1.5}\n{"nimg":128,"Loss/loss":null}\n')],
  mutations: [mutateText],
  read: async (bytes, place) => {
    const folder = place();
    const path = join(folder, "stats.jsonl");
    writeFileSync(path, bytes);
    for (const { nimg } of await readStats(diskFile(path))) assert.equal(typeof nimg, "number");
    return bytes.length;
  },
};

const dynamicsTarget: Target = {
  name: "dynamics",
  samples: () => [
    file([dynamicsHeader, dynamicsSample(64), dynamicsSample(128)].map((line) => `${JSON.stringify(line)}\n`).join("")),
  ],
  mutations: [
    mutateText,
    (bytes, draw, other) => {
      const lines = textOf(bytes).split("\n");
      const place = draw(Math.max(1, lines.length - 1));
      return file(
        lines.map((line, i) => (i === place ? textOf(mutateJsonFile(file(line), draw, other)) : line)).join("\n"),
      );
    },
  ],
  read: (bytes) => {
    const dynamics = parseDynamics(textOf(bytes), "x.jsonl");
    for (const { readings } of dynamics?.samples ?? [])
      assert.equal(readings.gain.length, dynamics?.header.names.gains.length);
    return bytes.length;
  },
};

const ones = (shape: readonly number[]): { readonly shape: readonly number[]; readonly data: Float32Array } => ({
  shape,
  data: new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(1),
});

const window = (size: number): object => ({
  strides: [2, 2],
  padding: "valid",
  data_format: "channels_last",
  kernel_size: [size, size],
  pool_size: [size, size],
  dilation_rate: [1, 1],
  activation: "linear",
  use_bias: false,
});
const layer = (name: string, className: string, config: object, inputs: readonly string[]): object => ({
  name,
  class_name: className,
  config,
  inbound_nodes: inputs.length === 0 ? [] : [inputs.map((input) => [input, 0, 0, {}])],
});
const keras = {
  model_config: {
    config: {
      layers: [
        layer("in", "InputLayer", { batch_input_shape: [null, 5, 5, 3] }, []),
        layer(
          "pad",
          "ZeroPadding2D",
          {
            padding: [
              [0, 1],
              [2, 0],
            ],
            data_format: "channels_last",
          },
          ["in"],
        ),
        layer("conv", "Conv2D", window(3), ["pad"]),
        layer("bn", "BatchNormalization", { axis: -1, epsilon: 0.5, center: true, scale: true }, ["conv"]),
        layer("relu", "ReLU", { max_value: 6, negative_slope: 0, threshold: 0 }, ["bn"]),
        layer("sum", "Add", {}, ["relu", "relu"]),
        layer("out", "Concatenate", { axis: -1 }, ["sum", "relu"]),
      ],
    },
  },
};
const kerasArrays = new Map([
  ["conv/kernel", ones([3, 3, 3, 2])],
  ...["gamma", "beta", "moving_mean", "moving_variance"].map((name) => [`bn/${name}`, ones([2])] as const),
]);

const perAxis = (value: string): object => ({ list: { i: ["1", value, value, "1"] } });
const graph = {
  node: [
    {
      name: "x",
      op: "Placeholder",
      attr: { shape: { shape: { dim: [-1, 4, 4, 3].map((size) => ({ size: String(size) })) } } },
    },
    { name: "k", op: "Const" },
    { name: "b", op: "Const" },
    {
      name: "conv",
      op: "_FusedConv2D",
      input: ["x", "k", "b"],
      attr: {
        strides: perAxis("2"),
        dilations: perAxis("1"),
        padding: { s: Buffer.from("SAME").toString("base64") },
        fused_ops: {
          list: { s: [Buffer.from("BiasAdd").toString("base64"), Buffer.from("Relu6").toString("base64")] },
        },
      },
    },
  ],
};
const graphArrays = new Map([
  ["k", ones([2, 2, 3, 2])],
  ["b", ones([2])],
]);

const manifest = [
  { paths: ["a"], weights: [{ name: "w", shape: [2, 2], dtype: "float32" }] },
  {
    paths: ["b"],
    weights: [{ name: "v", shape: [3], dtype: "float32", quantization: { dtype: "uint8", min: -1, scale: 0.5 } }],
  },
];

function jsonTarget(name: string, sample: unknown, read: (value: unknown) => void): Target {
  return {
    name,
    samples: () => [json(sample)],
    mutations: [mutateJsonFile],
    read: (bytes) => {
      let value: unknown;
      try {
        value = JSON.parse(textOf(bytes));
      } catch {
        return 0;
      }
      read(value);
      return bytes.length;
    },
  };
}

export const textTargets: readonly Target[] = [
  settingsTarget,
  scheduleTarget(".json", json(schedule), [mutateText, mutateJsonFile]),
  scheduleTarget(
    ".toml",
    file(
      'buffers = ["*.mean"]\n[[snapshot]]\nfile = "a.safetensors"\nnimg = 100\nsigma_rel = 0.1\n[[snapshot]]\nfile = "b.safetensors"\nnimg = 200\nhalf_life = 20\n',
    ),
    [mutateText],
  ),
  patternsTarget,
  statsTarget,
  dynamicsTarget,
  jsonTarget("keras", keras, (value) => void readKerasTopology(value, kerasArrays, "out", "x")),
  jsonTarget("graph", graph, (value) => void readGraphTopology(value, graphArrays, "conv", "x")),
  jsonTarget("manifest", manifest, (value) => {
    const checked = weightsManifestSchema.safeParse(value);
    if (!checked.success) throw new EvenkeelError("file", describeIssues(checked.error));
    decodeWeights(checked.data, [new Uint8Array(16), new Uint8Array(3)], "x");
  }),
];
