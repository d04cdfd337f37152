import * as z from "zod";
import { describeIssues } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import type { NetworkArrays, LoadedNetwork, StepPadding } from "./network.ts";
import { convolutionKernel, depthwiseKernel, NetworkBuilder } from "./networkBuilder.ts";

const topologySchema = z.object({
  model_config: z.object({
    config: z.object({
      layers: z.array(
        z.object({
          name: z.string(),
          class_name: z.string(),
          config: z.record(z.string(), z.unknown()),
          /** For each use of the layer, its inputs as [layer, use, output, arguments]. */
          inbound_nodes: z.array(z.array(z.tuple([z.string(), z.int(), z.int()]).rest(z.unknown()))),
        }),
      ),
    }),
  }),
});

type Layer = z.infer<typeof topologySchema>["model_config"]["config"]["layers"][number];

const pair = z.tuple([z.int(), z.int()]);
const channelsLast = z.literal("channels_last");
const window = { padding: z.enum(["same", "valid"]), data_format: channelsLast, strides: pair };
const convolution = z.object({
  ...window,
  kernel_size: pair,
  dilation_rate: z.tuple([z.literal(1), z.literal(1)]),
  activation: z.literal("linear"),
  use_bias: z.boolean(),
});
const configs = {
  InputLayer: z.object({ batch_input_shape: z.tuple([z.null(), z.int(), z.int(), z.literal(3)]) }),
  ZeroPadding2D: z.object({ padding: z.tuple([pair, pair]), data_format: channelsLast }),
  Conv2D: convolution,
  DepthwiseConv2D: convolution,
  BatchNormalization: z.object({
    axis: z.union([z.literal(-1), z.literal(3)]),
    epsilon: z.number().positive(),
    center: z.boolean(),
    scale: z.boolean(),
  }),
  ReLU: z.object({
    max_value: z.number().positive().nullable(),
    negative_slope: z.literal(0),
    threshold: z.literal(0),
  }),
  Activation: z.object({ activation: z.literal("relu") }),
  Add: z.object({}),
  Concatenate: z.object({ axis: z.union([z.literal(-1), z.literal(3)]) }),
  MaxPooling2D: z.object({ ...window, pool_size: pair }),
  AveragePooling2D: z.object({ ...window, pool_size: pair }),
};

type LayerKind = keyof typeof configs;

const unpadded: StepPadding = [
  [0, 0],
  [0, 0],
];

/**
 * Reads a Keras model, as TensorFlow.js stores it, up to the layer `output`, whose result must be one pixel a channel. What comes after
 * isn't looked at. Batch normalizations are folded into the convolutions before them.
 * @param arrays the weights by name, of the description's order.
 * @throws EvenkeelError `file` for a layer of a kind or with a setting that is not known, by its name.
 * @example
 * ```ts
 * const pool = { pool_size: [2, 2], strides: [2, 2], padding: "valid", data_format: "channels_last" };
 * const layers = [
 *   { name: "x", class_name: "InputLayer", config: { batch_input_shape: [null, 2, 2, 3] }, inbound_nodes: [] },
 *   { name: "mean", class_name: "AveragePooling2D", config: pool, inbound_nodes: [[["x", 0, 0, {}]]] },
 * ];
 * const { network } = readKerasTopology({ model_config: { config: { layers } } }, new Map(), "mean", "model.json");
 * console.log(network.size, network.dimension); // 2 3
 * ```
 */
export function readKerasTopology(
  topology: unknown,
  arrays: NetworkArrays,
  output: string,
  model: string,
): LoadedNetwork {
  const checked = topologySchema.safeParse(topology);
  if (!checked.success) {
    throw new EvenkeelError("file", `${model}: not a Keras model: ${describeIssues(checked.error)}`);
  }
  const needed = ancestors(checked.data.model_config.config.layers, output, model);
  return new KerasReader(model, arrays, needed).read(output);
}

/** The layers that `output` needs, itself included, in the order of the description, which is one of computation. */
function ancestors(layers: readonly Layer[], output: string, model: string): readonly Layer[] {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const found = new Set<string>();
  const pending = [output];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    const layer = byName.get(name);
    if (layer === undefined) throw new EvenkeelError("file", `${model}: there is no layer ${name}.`);
    pending.push(...inputsOf(layer));
  }
  return layers.filter(({ name }) => found.has(name));
}

const inputsOf = ({ inbound_nodes: uses }: Layer): readonly string[] => (uses[0] ?? []).map(([name]) => name);

class KerasReader {
  readonly #builder: NetworkBuilder;
  readonly #layers: readonly Layer[];
  /** Layers that became part of the step of another name. */
  readonly #merged = new Map<string, string>();
  /** Paddings that wait for the convolution which they belong to. */
  readonly #paddings = new Map<string, { readonly source: string; readonly padding: StepPadding }>();
  readonly #channels = new Map<string, number>();
  #size = 0;
  #input = "";

  constructor(model: string, arrays: NetworkArrays, layers: readonly Layer[]) {
    this.#builder = new NetworkBuilder(model, arrays);
    this.#layers = layers;
  }

  read(output: string): LoadedNetwork {
    for (const layer of this.#layers) this.#layer(layer);
    return this.#builder.finish({
      size: this.#size,
      input: this.#input,
      output: this.#resolve(output),
      dimension: this.#channels.get(output) ?? this.#builder.fail(`${output} has no known number of channels`),
    });
  }

  #layer(layer: Layer): void {
    const { name, class_name: kind, inbound_nodes: uses } = layer;
    if (!Object.hasOwn(configs, kind)) {
      this.#builder.fail(`layer ${name} is of the kind ${kind}; known are ${Object.keys(configs).join(", ")}`);
    }
    if (uses.length > 1) this.#builder.fail(`layer ${name} is used ${uses.length} times, expected once`);
    const inputs = inputsOf(layer);
    const single = inputs[0] ?? "";
    if (kind !== "Add" && kind !== "Concatenate" && inputs.length !== (kind === "InputLayer" ? 0 : 1)) {
      this.#builder.fail(`layer ${name} has ${inputs.length} inputs`);
    }
    const channels = inputs.map((input) => this.#channels.get(input) ?? 0);
    this.#channels.set(
      name,
      kind === "Concatenate" ? channels.reduce((sum, part) => sum + part, 0) : (channels[0] ?? 0),
    );
    // Its key was looked up above.
    switch (kind as LayerKind) {
      case "InputLayer": {
        const [, height, width] = this.#config(layer, "InputLayer").batch_input_shape;
        if (height !== width || this.#input !== "") this.#builder.fail(`layer ${name} is not the one square input`);
        [this.#size, this.#input] = [height, name];
        this.#channels.set(name, 3);
        return;
      }
      case "ZeroPadding2D":
        this.#paddings.set(name, {
          source: this.#resolve(single),
          padding: this.#config(layer, "ZeroPadding2D").padding,
        });
        return;
      case "Conv2D":
        return this.#convolution(layer, single, false);
      case "DepthwiseConv2D":
        return this.#convolution(layer, single, true);
      case "BatchNormalization":
        return this.#normalization(layer, single);
      case "ReLU": {
        const { max_value: maximum } = this.#config(layer, "ReLU");
        return this.#builder.add({ kind: "relu", name, input: this.#resolve(single), maximum });
      }
      case "Activation":
        this.#config(layer, "Activation");
        return this.#builder.add({ kind: "relu", name, input: this.#resolve(single), maximum: null });
      case "Add":
        return this.#builder.add({ kind: "add", name, inputs: inputs.map((input) => this.#resolve(input)) });
      case "Concatenate":
        this.#config(layer, "Concatenate");
        return this.#builder.add({ kind: "concat", name, inputs: inputs.map((input) => this.#resolve(input)) });
      case "MaxPooling2D":
      case "AveragePooling2D": {
        const { pool_size: size, strides: stride, padding } = this.#config(layer, "MaxPooling2D");
        return this.#builder.add({
          kind: kind === "MaxPooling2D" ? "maxPool" : "averagePool",
          name,
          input: this.#resolve(single),
          window: size,
          stride,
          padding: padding === "same" ? "same" : unpadded,
        });
      }
    }
  }

  #config<K extends LayerKind>({ name, config }: Layer, kind: K): z.infer<(typeof configs)[K]> {
    const checked = configs[kind].safeParse(config);
    if (!checked.success) this.#builder.fail(`layer ${name} (${kind}): ${describeIssues(checked.error)}`);
    // The schema of this kind has just said so.
    return checked.data as z.infer<(typeof configs)[K]>;
  }

  /** The step that makes a layer's result. */
  #resolve(name: string): string {
    if (this.#paddings.has(name)) this.#builder.fail(`padding ${name} is not followed by a convolution alone`);
    return this.#merged.get(name) ?? name;
  }

  #convolution(layer: Layer, input: string, depthwise: boolean): void {
    const { name } = layer;
    const { strides: stride, padding, kernel_size: size, use_bias: biased } = this.#config(layer, "Conv2D");
    const before = this.#paddings.get(input);
    if (before !== undefined && padding === "same") this.#builder.fail(`layer ${name} pads what is padded`);
    const source = this.#builder.source(`${name}/${depthwise ? "depthwise_kernel" : "kernel"}`, 4);
    const channels = this.#channels.get(input) ?? 0;
    if (source.shape[0] !== size[0] || source.shape[1] !== size[1] || source.shape[2] !== channels) {
      this.#builder.fail(
        `the kernel of ${name} is [${source.shape.join(", ")}], and it has ${channels} channels to read`,
      );
    }
    const kernel = depthwise ? depthwiseKernel(source) : convolutionKernel(source);
    this.#builder.convolution(name, kernel, biased ? this.#builder.source(`${name}/bias`, 1) : null);
    this.#channels.set(name, kernel.shape[0] ?? 0);
    this.#builder.add({
      kind: "conv",
      name,
      input: before?.source ?? this.#resolve(input),
      stride,
      padding: before?.padding ?? (padding === "same" ? "same" : unpadded),
      groups: depthwise ? channels : 1,
    });
  }

  #normalization(layer: Layer, input: string): void {
    const { name } = layer;
    const { epsilon, center, scale } = this.#config(layer, "BatchNormalization");
    const users = this.#layers.filter((other) => inputsOf(other).includes(input));
    if (users.length !== 1) this.#builder.fail(`${input} is used by ${users.length} layers, not by ${name} alone`);
    this.#builder.foldNormalization(this.#resolve(input), {
      gamma: scale ? this.#builder.source(`${name}/gamma`, 1) : null,
      beta: center ? this.#builder.source(`${name}/beta`, 1) : null,
      mean: this.#builder.source(`${name}/moving_mean`, 1),
      variance: this.#builder.source(`${name}/moving_variance`, 1),
      epsilon,
    });
    this.#merged.set(name, this.#resolve(input));
  }
}
