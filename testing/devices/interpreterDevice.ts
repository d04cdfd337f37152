/** Another engine as a device: what computes nodes, one after the other, can be held to the laws. */
import { signatureOfGraph } from "../../engine/devices/bindings.ts";
import type { DeviceBuffer, Executable, GraphDevice } from "../../engine/devices/device.ts";
import { createOracleDevice } from "../../engine/devices/oracle/oracleDevice.ts";
import { EvenkeelError } from "../../engine/errors.ts";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { type Graph, topologicalOrder } from "../../engine/graph/graph.ts";
import type { Node, NodeOf, PrimitiveKind } from "../../engine/graph/node.ts";
import { operationName } from "../../engine/graph/print.ts";
import { at, formatShape, type Shape, sizeOf } from "../../engine/graph/shape.ts";

/** How another engine computes; `T` is its array. */
export type Interpreter<T> = {
  /** One line that names it, for messages. */
  readonly description: string;
  /** An array of its own with these elements, row-major. */
  readonly upload: (data: TensorData, shape: Shape, dtype: DType) => T;
  /** What gives the node's value from those of its inputs; undefined for nodes that it can't compute. */
  readonly operation: (node: Node) => ((...inputs: T[]) => T) | undefined;
  /** The elements of an array, row-major. */
  readonly download: (array: T) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** The dtypes that its arrays have. Default: all. */
  readonly dtypes?: readonly DType[];
  /** Called with every array of a run when it is over. */
  readonly free?: (array: T) => void;
};

/**
 * A device that computes graphs node by node with another engine's operations, and says which nodes it can: hand `supports` to the laws, so
 * that random programs are made of those alone. It is called `oracle`, as every device that interprets graphs; its description tells it
 * apart.
 * @example
 * ```ts
 * import { negate, tensor, type Tensor } from "evenkeel/engine";
 *
 * const lists = interpreterDevice<number[]>({
 *   description: "lists of numbers",
 *   upload: (data) => [...data],
 *   operation: byKind({ unary: ({ attributes }) => (attributes.op === "negate" ? (x) => x.map((value) => -value) : undefined) }),
 *   download: (list) => list,
 * });
 * const program = await graphCase((x: Tensor) => negate(x), tensor([1, -2]));
 * console.log(await runGraph(lists.device, program)); // [ Float32Array(2) [ -1, 2 ] ]
 * ```
 */
export function interpreterDevice<T>(interpreter: Interpreter<T>): {
  readonly device: GraphDevice;
  readonly supports: (node: Node) => boolean;
} {
  const { description, dtypes } = interpreter;
  // Buffers, and what is refused of them, are the oracle's.
  const memory = createOracleDevice();
  const interpret = async (graph: Graph): Promise<Executable> => {
    const signature = signatureOfGraph(graph);
    const run = async (inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[]): Promise<[]> => {
      const given = (await memory.download(inputs)).map((data, i) => narrowed(data, at(signature.input, i).dtype));
      const results = await compute(interpreter, graph, given);
      outputs.forEach((output, i) => memory.uploadFloat64(output, at(results, i)));
      return [];
    };
    return { run, sources: () => [], bytes: 0, dispose: () => undefined };
  };
  const device: GraphDevice = {
    runs: "graphs",
    name: memory.name,
    description,
    traits: memory.traits,
    limits: memory.limits,
    queue: memory.queue,
    get usable() {
      return memory.usable;
    },
    allocate: (dtype, length) => memory.allocate(dtype, length),
    upload: (buffer, data) => memory.upload(buffer, data),
    download: (buffers) => memory.download(buffers),
    move: (from, to) => memory.move(from, to),
    free: (buffer) => memory.free(buffer),
    memory: () => memory.memory(),
    dispose: () => memory.dispose(),
    interpret,
  };
  const supports = (node: Node): boolean =>
    (dtypes === undefined || dtypes.includes(node.dtype)) &&
    (isGiven(node) || interpreter.operation(node) !== undefined);
  return { device, supports };
}

/** What is known of nodes by their kind; kinds that are missing, and nodes that get `undefined`, aren't known. */
export type NodeTable<R> = { readonly [K in PrimitiveKind]?: (node: NodeOf<K>) => R | undefined };

/**
 * What a table knows of a node.
 * @example
 * ```ts
 * import { negate, tensor, type Tensor } from "evenkeel/engine";
 *
 * const titleOf = byKind({ unary: ({ attributes }) => attributes.op });
 * const { graph } = await graphCase((x: Tensor) => negate(x), tensor([1]));
 * console.log(graph.outputs.map(titleOf), graph.inputs.map(titleOf)); // [ 'negate' ] [ undefined ]
 * ```
 */
export function byKind<R>(table: NodeTable<R>): (node: Node) => R | undefined {
  // The entry of a node's own kind fits the node, which TypeScript can't correlate over the union.
  return (node) => (table[node.kind] as ((node: Node) => R | undefined) | undefined)?.(node);
}

const isGiven = ({ kind }: Node): boolean => kind === "input" || kind === "constant" || kind === "literal";

/** The oracle keeps float64; what is uploaded is of the dtype. */
function narrowed(data: TensorData, dtype: DType): TensorData {
  const own = allocateData(dtype, data.length);
  own.set(data);
  return own;
}

async function compute<T>(
  { upload, operation, download, free, description }: Interpreter<T>,
  graph: Graph,
  inputs: readonly TensorData[],
): Promise<Float64Array[]> {
  const values = new Map<Node, T>();
  const given = new Map<Node, TensorData>(graph.inputs.map((input, i) => [input, at(inputs, i)]));
  const ofNode = (node: Node): T => {
    const value = values.get(node);
    if (value === undefined) throw new Error(`node ${node.id} visited before its inputs`);
    return value;
  };
  try {
    // What no result needs isn't uploaded: it may be of a dtype that the engine hasn't got.
    for (const node of topologicalOrder(graph.outputs)) {
      const data = node.kind === "constant" ? node.attributes.data : given.get(node);
      if (data !== undefined) values.set(node, upload(data, node.shape, node.dtype));
      else if (node.kind === "literal") {
        const data = allocateData(node.dtype, 1);
        data[0] = node.attributes.value;
        values.set(node, upload(data, [], node.dtype));
      } else {
        const compute = operation(node);
        if (compute === undefined) {
          throw new EvenkeelError(
            "graph",
            `${description}: no operation for ${operationName(node)} of ${node.dtype} ${formatShape(node.shape)}. Hand \`supports\` to the law.`,
          );
        }
        values.set(node, compute(...node.inputs.map(ofNode)));
      }
    }
    return await Promise.all(
      graph.outputs.map(async (output) => {
        const elements = await download(ofNode(output));
        if (elements.length === sizeOf(output.shape)) return Float64Array.from(elements);
        throw new EvenkeelError(
          "shape",
          `${description}: ${operationName(output)} gave ${elements.length} elements, expected ${formatShape(output.shape)}.`,
        );
      }),
    );
  } finally {
    for (const value of values.values()) free?.(value);
  }
}
