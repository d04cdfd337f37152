/** Writes models: `ModelProto` of onnx.proto and what it consists of. Field numbers are those of onnx.proto. */
import { type ElementType, typeCodeOf } from "./elementTypes.ts";
import { bytesField, fieldOfPieces, floatField, integerField, joined, textField } from "./writeWire.ts";

/** A tensor that lies in the file. */
export type TensorSpec = {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** The fields that hold its elements: mostly one of raw bytes, see `rawElements`. */
  readonly elements: readonly Uint8Array[];
};

/** Elements as their bytes, row-major and little-endian. They are not copied. */
export const rawElements = (bytes: Uint8Array): readonly Uint8Array[] => fieldOfPieces(9, [bytes]);

/** What an attribute is: `{ int: 3 }` and so on. */
export type AttributeSpec =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly texts: readonly string[] }
  | { readonly tensor: TensorSpec }
  | { readonly graph: GraphSpec };

/** One use of an operator; of ONNX's own if no domain is said. */
export type NodeSpec = {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  readonly name?: string;
  readonly domain?: string;
};

/** An input or output: each size a number, a name that stands for one, or null where it isn't said; null in all if the rank isn't said. */
export type ValueSpec = {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string | null)[] | null;
};

export type GraphSpec = {
  readonly nodes: readonly NodeSpec[];
  readonly initializers?: readonly TensorSpec[];
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
};

/** A whole file. */
export type ModelSpec = {
  readonly graph: GraphSpec;
  /** The version of ONNX's own operators. */
  readonly opset: number;
  readonly producer: string;
};

/** The version of the file's form: of opset 15 to 18, which later programs read with any later opset. */
const formVersion = 8;

/** The pieces of a tensor's message. */
export const tensorMessage = ({ name, type, shape, elements }: TensorSpec): readonly Uint8Array[] => [
  ...shape.map((size) => integerField(1, size)),
  integerField(2, typeCodeOf(type)),
  textField(8, name),
  ...elements,
];

function attributeMessage(name: string, spec: AttributeSpec): Uint8Array {
  const [code, content] = ((): readonly [number, readonly Uint8Array[]] => {
    if ("float" in spec) return [1, [floatField(2, spec.float)]];
    if ("int" in spec) return [2, [integerField(3, spec.int)]];
    if ("text" in spec) return [3, [textField(4, spec.text)]];
    if ("tensor" in spec) return [4, fieldOfPieces(5, tensorMessage(spec.tensor))];
    if ("graph" in spec) return [5, fieldOfPieces(6, graphMessage(spec.graph))];
    if ("floats" in spec) return [6, spec.floats.map((value) => floatField(7, value))];
    if ("ints" in spec) return [7, spec.ints.map((value) => integerField(8, value))];
    return [8, spec.texts.map((value) => textField(9, value))];
  })();
  return joined([textField(1, name), ...content, integerField(20, code)]);
}

const nodeMessage = ({ operator, inputs, outputs, attributes = {}, name = "", domain = "" }: NodeSpec): Uint8Array =>
  joined([
    ...inputs.map((input) => textField(1, input)),
    ...outputs.map((output) => textField(2, output)),
    textField(3, name),
    textField(4, operator),
    ...Object.entries(attributes).map(([key, spec]) => bytesField(5, attributeMessage(key, spec))),
    textField(7, domain),
  ]);

function valueMessage({ name, type, shape }: ValueSpec): Uint8Array {
  const axes = (shape ?? []).map((size) => {
    if (size === null) return bytesField(1, new Uint8Array());
    return bytesField(1, typeof size === "number" ? integerField(1, size) : textField(2, size));
  });
  const sizes = shape === null ? new Uint8Array() : bytesField(2, joined(axes));
  const tensor = joined([integerField(1, typeCodeOf(type)), sizes]);
  return joined([textField(1, name), bytesField(2, bytesField(1, tensor))]);
}

const graphMessage = ({ nodes, initializers = [], inputs, outputs }: GraphSpec): readonly Uint8Array[] => [
  ...nodes.map((node) => bytesField(1, nodeMessage(node))),
  textField(2, "graph"),
  ...initializers.flatMap((tensor) => fieldOfPieces(5, tensorMessage(tensor))),
  ...inputs.map((value) => bytesField(11, valueMessage(value))),
  ...outputs.map((value) => bytesField(12, valueMessage(value))),
];

/** The pieces of a whole file. */
export const modelPieces = ({ graph, opset, producer }: ModelSpec): readonly Uint8Array[] => [
  integerField(1, formVersion),
  textField(2, producer),
  ...fieldOfPieces(7, graphMessage(graph)),
  bytesField(8, joined([textField(1, ""), integerField(2, opset)])),
];
