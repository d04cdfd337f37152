/** Writes ONNX models byte by byte, as the wire format of protocol buffers says: independent of the reader, for its tests. */
import { Buffer } from "node:buffer";

export type Bytes = Uint8Array;

/** A signed or unsigned 64-bit integer. */
export function varint(value: bigint | number): Bytes {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

export const joined = (parts: readonly Bytes[]): Bytes => new Uint8Array(Buffer.concat(parts));

const tag = (number: number, encoding: number): Bytes => varint((BigInt(number) << 3n) | BigInt(encoding));
export const integerField = (number: number, value: bigint | number): Bytes => joined([tag(number, 0), varint(value)]);
export const bytesField = (number: number, bytes: Bytes): Bytes =>
  joined([tag(number, 2), varint(bytes.length), bytes]);
export const textField = (number: number, text: string): Bytes => bytesField(number, new Uint8Array(Buffer.from(text)));
export const floatField = (number: number, value: number): Bytes =>
  joined([tag(number, 5), new Uint8Array(Float32Array.of(value).buffer)]);
export const doubleField = (number: number, value: number): Bytes =>
  joined([tag(number, 1), new Uint8Array(Float64Array.of(value).buffer)]);

const typeCodes = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  string: 8,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
};
export type TypeName = keyof typeof typeCodes;

/** Elements as bytes, or in the field that is for their type, packed or one by one. */
export type TensorContent =
  | { readonly raw: Bytes }
  | { readonly floats?: readonly number[]; readonly doubles?: readonly number[]; readonly texts?: readonly string[] }
  | { readonly field: 5 | 7 | 11; readonly integers: readonly (number | bigint)[]; readonly isPacked: boolean }
  | { readonly external: Readonly<Record<string, string>> };

export type TensorSpec = {
  readonly name: string;
  readonly type: TypeName;
  readonly shape: readonly number[];
  readonly content: TensorContent;
};

export function tensorMessage({ name, type, shape, content }: TensorSpec): Bytes {
  const parts = [...shape.map((size) => integerField(1, size)), integerField(2, typeCodes[type]), textField(8, name)];
  if ("raw" in content) parts.push(bytesField(9, content.raw));
  else if ("field" in content) {
    const { field, integers } = content;
    if (content.isPacked) parts.push(bytesField(field, joined(integers.map(varint))));
    else parts.push(...integers.map((value) => integerField(field, value)));
  } else if ("external" in content) {
    for (const [key, value] of Object.entries(content.external)) {
      parts.push(bytesField(13, joined([textField(1, key), textField(2, value)])));
    }
    parts.push(integerField(14, 1));
  } else {
    parts.push(...(content.floats ?? []).map((value) => floatField(4, value)));
    parts.push(...(content.doubles ?? []).map((value) => doubleField(10, value)));
    parts.push(...(content.texts ?? []).map((value) => textField(6, value)));
  }
  return joined(parts);
}

/** A tensor of numbers, as raw bytes. */
export function floatTensor(name: string, shape: readonly number[], values: readonly number[]): TensorSpec {
  return { name, type: "f32", shape, content: { raw: new Uint8Array(Float32Array.from(values).buffer) } };
}

export function integerTensor(
  name: string,
  shape: readonly number[],
  values: readonly (number | bigint)[],
): TensorSpec {
  const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, type: "i64", shape, content: { raw } };
}

/** `{ int: 3 }` and so on: what an attribute is. */
export type AttributeSpec =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly texts: readonly string[] }
  | { readonly tensor: TensorSpec }
  | { readonly graph: GraphSpec };

function attributeMessage(name: string, spec: AttributeSpec): Bytes {
  const [code, content] = ((): readonly [number, readonly Bytes[]] => {
    if ("float" in spec) return [1, [floatField(2, spec.float)]];
    if ("int" in spec) return [2, [integerField(3, spec.int)]];
    if ("text" in spec) return [3, [textField(4, spec.text)]];
    if ("tensor" in spec) return [4, [bytesField(5, tensorMessage(spec.tensor))]];
    if ("graph" in spec) return [5, [bytesField(6, graphMessage(spec.graph))]];
    if ("floats" in spec) return [6, spec.floats.map((value) => floatField(7, value))];
    if ("ints" in spec) return [7, spec.ints.map((value) => integerField(8, value))];
    return [8, spec.texts.map((value) => textField(9, value))];
  })();
  return joined([textField(1, name), ...content, integerField(20, code)]);
}

export type NodeSpec = {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  readonly name?: string;
  readonly domain?: string;
};

const nodeMessage = ({ operator, inputs, outputs, attributes = {}, name = "", domain = "" }: NodeSpec): Bytes =>
  joined([
    ...inputs.map((input) => textField(1, input)),
    ...outputs.map((output) => textField(2, output)),
    textField(3, name),
    textField(4, operator),
    ...Object.entries(attributes).map(([key, spec]) => bytesField(5, attributeMessage(key, spec))),
    textField(7, domain),
  ]);

export type ValueSpec = {
  readonly name: string;
  readonly type: TypeName;
  readonly shape: readonly (number | string)[];
};

const valueMessage = ({ name, type, shape }: ValueSpec): Bytes => {
  const axes = shape.map((size) =>
    bytesField(1, typeof size === "number" ? integerField(1, size) : textField(2, size)),
  );
  const tensor = joined([integerField(1, typeCodes[type]), bytesField(2, joined(axes))]);
  return joined([textField(1, name), bytesField(2, bytesField(1, tensor))]);
};

export type GraphSpec = {
  readonly nodes: readonly NodeSpec[];
  readonly initializers?: readonly TensorSpec[];
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
};

export const graphMessage = ({ nodes, initializers = [], inputs, outputs }: GraphSpec): Bytes =>
  joined([
    ...nodes.map((node) => bytesField(1, nodeMessage(node))),
    textField(2, "graph"),
    ...initializers.map((tensor) => bytesField(5, tensorMessage(tensor))),
    ...inputs.map((value) => bytesField(11, valueMessage(value))),
    ...outputs.map((value) => bytesField(12, valueMessage(value))),
  ]);

/** A whole file. @param opset of ONNX's own operators */
export const modelFile = (graph: GraphSpec, opset = 17): Bytes =>
  joined([
    integerField(1, 8),
    textField(2, "test"),
    bytesField(7, graphMessage(graph)),
    bytesField(8, joined([textField(1, ""), integerField(2, opset)])),
  ]);
