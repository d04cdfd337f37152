import * as z from "zod";
import { describeIssues } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import type { NetworkArrays, LoadedNetwork, StepPadding } from "./network.ts";
import { convolutionKernel, depthwiseKernel, NetworkBuilder } from "./networkBuilder.ts";

const nodeSchema = z.object({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).default([]),
  attr: z.record(z.string(), z.unknown()).default({}),
});
const topologySchema = z.object({ node: z.array(nodeSchema) });

type GraphNode = z.infer<typeof nodeSchema>;

/** Lists of whole numbers are stored as text, one for each axis of [N, H, W, C]. */
const perAxis = z
  .object({ list: z.object({ i: z.array(z.coerce.number().pipe(z.int())).length(4) }) })
  .transform(({ list: { i } }) => i as [number, number, number, number])
  .refine(([batch, , , channels]) => batch === 1 && channels === 1)
  .transform(([, height, width]): [number, number] => [height, width]);
const undilated = perAxis.refine(([y, x]) => y === 1 && x === 1);
/** Text is stored in base64. */
const word = z.base64().transform((s) => atob(s));
const text = z.object({ s: word }).transform(({ s }) => s);
const paddingWord = text.pipe(z.enum(["SAME", "VALID"]));
const channelsLast = text.pipe(z.literal("NHWC"));
const window = { strides: perAxis, padding: paddingWord, data_format: channelsLast.optional() };
const fusedConvolution = z.object({
  ...window,
  dilations: undilated,
  fused_ops: z
    .object({ list: z.object({ s: z.array(word) }) })
    .transform(({ list: { s } }) => s.join(" "))
    .pipe(z.enum(["BiasAdd", "BiasAdd Relu", "BiasAdd Relu6"])),
});
const pooling = z.object({ ...window, ksize: perAxis });
const placeholder = z.object({
  shape: z.object({
    shape: z.object({ dim: z.array(z.object({ size: z.coerce.number().pipe(z.int()) })).length(4) }),
  }),
});

const unpadded: StepPadding = [
  [0, 0],
  [0, 0],
];

const maxima = { BiasAdd: undefined, "BiasAdd Relu": null, "BiasAdd Relu6": 6 } as const;

/**
 * Reads a frozen TensorFlow graph, as TensorFlow.js stores it, up to the node `output`, whose result must be one pixel a channel. What
 * comes after isn't looked at.
 * @param arrays the values of the constants by name.
 * @throws EvenkeelError `file` for a node of an operation or with a setting that is not known, by its name.
 * @example
 * ```ts
 * const window = (size: number) => ({ list: { i: [1, size, size, 1] } });
 * const dim = [-1, 2, 2, 3].map((size) => ({ size }));
 * const attr = { ksize: window(2), strides: window(2), padding: { s: btoa("VALID") } };
 * const node = [{ name: "x", op: "Placeholder", attr: { shape: { shape: { dim } } } }, { name: "mean", op: "AvgPool", input: ["x"], attr }];
 * const { network } = readGraphTopology({ node }, new Map(), "mean", "model.json");
 * console.log(network.size, network.dimension); // 2 3
 * ```
 */
export function readGraphTopology(
  topology: unknown,
  arrays: NetworkArrays,
  output: string,
  model: string,
): LoadedNetwork {
  const checked = topologySchema.safeParse(topology);
  if (!checked.success) {
    throw new EvenkeelError("file", `${model}: not a graph: ${describeIssues(checked.error)}`);
  }
  return new GraphReader(model, arrays, checked.data.node).read(output);
}

class GraphReader {
  readonly #builder: NetworkBuilder;
  readonly #nodes: ReadonlyMap<string, GraphNode>;
  readonly #channels = new Map<string, number>();
  /** Nodes that are read, or being read. */
  readonly #visited = new Set<string>();
  #size = 0;
  #input = "";

  constructor(model: string, arrays: NetworkArrays, nodes: readonly GraphNode[]) {
    this.#builder = new NetworkBuilder(model, arrays);
    this.#nodes = new Map(nodes.map((node) => [node.name, node]));
  }

  read(output: string): LoadedNetwork {
    this.#visit(output);
    return this.#builder.finish({
      size: this.#size,
      input: this.#input,
      output,
      dimension: this.#channels.get(output) ?? this.#builder.fail(`${output} has no known number of channels`),
    });
  }

  /** Reads a node after those that it needs. */
  #visit(name: string): void {
    if (this.#visited.has(name)) {
      if (!this.#channels.has(name)) this.#builder.fail(`node ${name} needs itself`);
      return;
    }
    this.#visited.add(name);
    const node = this.#nodes.get(name) ?? this.#builder.fail(`there is no node ${name}`);
    const [first = "", second = ""] = node.input;
    switch (node.op) {
      case "Placeholder": {
        const [, height, width, channels] = this.#attributes(node, placeholder).shape.shape.dim.map(({ size }) => size);
        if (height === undefined || height !== width || channels !== 3 || this.#input !== "") {
          this.#builder.fail(`${name} is not the one square input of three channels`);
        }
        [this.#size, this.#input] = [height, name];
        this.#channels.set(name, 3);
        return;
      }
      case "Mul": {
        const [input, constant] = this.#withConstant(node);
        return this.#pointwise(name, input, { factor: constant, shift: 0 });
      }
      case "Sub":
        return this.#pointwise(name, first, { factor: 1, shift: -this.#number(second) });
      case "_FusedConv2D":
        return this.#convolution(node, false);
      case "FusedDepthwiseConv2dNative":
        return this.#convolution(node, true);
      case "AddV2": {
        this.#visit(first);
        this.#visit(second);
        this.#channels.set(name, this.#channels.get(first) ?? 0);
        return this.#builder.add({ kind: "add", name, inputs: [first, second] });
      }
      case "AvgPool": {
        this.#visit(first);
        const { ksize, strides: stride, padding } = this.#attributes(node, pooling);
        this.#channels.set(name, this.#channels.get(first) ?? 0);
        return this.#builder.add({
          kind: "averagePool",
          name,
          input: first,
          window: ksize,
          stride,
          padding: padding === "SAME" ? "same" : unpadded,
        });
      }
      default:
        this.#builder.fail(
          `node ${name} is of the operation ${node.op}; known are Placeholder, Mul, Sub, _FusedConv2D, ` +
            "FusedDepthwiseConv2dNative, AddV2 and AvgPool",
        );
    }
  }

  #attributes<S extends z.ZodType>({ name, op, attr }: GraphNode, schema: S): z.infer<S> {
    const checked = schema.safeParse(attr);
    if (!checked.success) this.#builder.fail(`node ${name} (${op}): ${describeIssues(checked.error)}`);
    return checked.data;
  }

  #number(name: string): number {
    return this.#builder.source(name, 0).data[0] ?? NaN;
  }

  /** The operand that is computed, and the value of the one that is a constant. */
  #withConstant({ name, input: [first = "", second = ""] }: GraphNode): readonly [string, number] {
    const isConstant = (operand: string): boolean => this.#nodes.get(operand)?.op === "Const";
    if (isConstant(first) === isConstant(second)) this.#builder.fail(`node ${name} doesn't multiply by one constant`);
    return isConstant(first) ? [second, this.#number(first)] : [first, this.#number(second)];
  }

  #pointwise(name: string, input: string, scale: { readonly factor: number; readonly shift: number }): void {
    this.#visit(input);
    this.#channels.set(name, this.#channels.get(input) ?? 0);
    this.#builder.add({ kind: "scale", name, input, ...scale });
  }

  #convolution(node: GraphNode, depthwise: boolean): void {
    const {
      name,
      input: [input = "", kernelName = "", biasName = ""],
    } = node;
    if (node.input.length !== 3) this.#builder.fail(`node ${name} has ${node.input.length} inputs, expected 3`);
    this.#visit(input);
    const { strides: stride, padding, fused_ops: fused } = this.#attributes(node, fusedConvolution);
    const source = this.#builder.source(kernelName, 4);
    const channels = this.#channels.get(input) ?? 0;
    if (source.shape[2] !== channels) {
      this.#builder.fail(
        `the kernel of ${name} is [${source.shape.join(", ")}], and it has ${channels} channels to read`,
      );
    }
    const kernel = depthwise ? depthwiseKernel(source) : convolutionKernel(source);
    const maximum = maxima[fused];
    // The result that others name is that after the activation.
    const convolution = maximum === undefined ? name : `${name}/convolution`;
    this.#builder.convolution(convolution, kernel, this.#builder.source(biasName, 1));
    this.#builder.add({
      kind: "conv",
      name: convolution,
      input,
      stride,
      padding: padding === "SAME" ? "same" : unpadded,
      groups: depthwise ? channels : 1,
    });
    if (maximum !== undefined) this.#builder.add({ kind: "relu", name, input: convolution, maximum });
    this.#channels.set(name, kernel.shape[0] ?? 0);
  }
}
