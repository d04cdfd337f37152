/** Models of files: `ModelProto` of onnx.proto and what it consists of. Field numbers are those of onnx.proto. */
import { quoteText } from "../../engine/io/index.ts";
import { elementTypeOf, foreignTypeName } from "./elementTypes.ts";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from "./model.ts";
import { type ExternalData, locationOf, readTensor } from "./readTensor.ts";
import {
  appendFloats,
  appendIntegers,
  fieldsOf,
  floatOf,
  integerOf,
  type Message,
  messageWithin,
  textOf,
  wireError,
} from "./wire.ts";

/** What is done with each tensor that a file holds. */
type TensorReader = (message: Message) => OnnxTensor;

/**
 * Reads a model.
 * @param path what messages call the file
 * @param external files beside it that hold elements, by the names that the model calls them
 * @throws EvenkeelError `file` if it is damaged, or holds what can't be read.
 */
export function readModel(bytes: Uint8Array, path: string, external: ExternalData): OnnxModel {
  return modelOf({ bytes, place: path, depth: 0 }, (message) => readTensor(message, external));
}

/**
 * The names of the files beside a model's that hold elements.
 * @throws EvenkeelError `file` if it is damaged.
 * @example
 * ```ts
 * // A model of one Relu, without files beside it.
 * const base64 = "CAg6MwoMCgF4EgF5IgRSZWx1EgFnWg8KAXgSCgoICAESBAoCCAJiDwoBeRIKCggIARIECgIIAkICEBE=";
 * const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
 * console.log(externalLocations(bytes, "relu.onnx")); // []
 * ```
 */
export function externalLocations(bytes: Uint8Array, path: string): string[] {
  const found = new Set<string>();
  modelOf({ bytes, place: path, depth: 0 }, (message) => {
    const location = locationOf(message);
    if (location !== undefined) found.add(location);
    return { name: "", type: "f32", shape: [0], data: new Float32Array() };
  });
  return [...found];
}

function modelOf(message: Message, tensorOf: TensorReader): OnnxModel {
  let graph: OnnxGraph | undefined;
  let producer = "";
  const opsets = new Map<string, number>();
  for (const field of fieldsOf(message)) {
    switch (field.number) {
      case 2:
        producer = textOf(message, field);
        break;
      case 7:
        graph = graphOf(messageWithin(message, field, "graph"), tensorOf);
        break;
      case 8: {
        const [domain, version] = opsetOf(messageWithin(message, field, "opset"));
        opsets.set(domain, version);
        break;
      }
      case 25:
        throw wireError(message.place, "functions of a model's own can't be read: export it without them (inlined).");
      default:
    }
  }
  if (graph === undefined) throw wireError(message.place, "no ONNX model: it has no graph.");
  if (opsets.size === 0) throw wireError(message.place, "says of no operators which version they are of.");
  return { graph, opsets, producer };
}

function opsetOf(message: Message): readonly [domain: string, version: number] {
  let [domain, version] = ["", 0];
  for (const field of fieldsOf(message)) {
    if (field.number === 1) domain = textOf(message, field);
    else if (field.number === 2) version = integerOf(message, field);
  }
  return [domain === "ai.onnx" ? "" : domain, version];
}

function graphOf(message: Message, tensorOf: TensorReader): OnnxGraph {
  let name = "";
  const nodes: OnnxNode[] = [];
  const initializers = new Map<string, OnnxTensor>();
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  for (const field of fieldsOf(message)) {
    switch (field.number) {
      case 1:
        nodes.push(nodeOf(messageWithin(message, field, `node ${nodes.length}`), tensorOf));
        break;
      case 2:
        name = textOf(message, field);
        break;
      case 5: {
        const tensor = tensorOf(messageWithin(message, field, `initializer ${initializers.size}`));
        initializers.set(tensor.name, tensor);
        break;
      }
      case 11:
        inputs.push(valueInfoOf(messageWithin(message, field, `input ${inputs.length}`)));
        break;
      case 12:
        outputs.push(valueInfoOf(messageWithin(message, field, `output ${outputs.length}`)));
        break;
      case 15:
        throw wireError(message.place, "sparse initializers can't be read: export the model with dense ones.");
      default:
    }
  }
  return { name, nodes, initializers, inputs, outputs };
}

function nodeOf(message: Message, tensorOf: TensorReader): OnnxNode {
  let [name, operator, domain] = ["", "", ""];
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttribute>();
  for (const field of fieldsOf(message)) {
    switch (field.number) {
      case 1:
        inputs.push(textOf(message, field));
        break;
      case 2:
        outputs.push(textOf(message, field));
        break;
      case 3:
        name = textOf(message, field);
        break;
      case 4:
        operator = textOf(message, field);
        break;
      case 5: {
        const [key, attribute] = attributeOf(messageWithin(message, field, `attribute ${attributes.size}`), tensorOf);
        if (attributes.has(key)) throw wireError(message.place, `attribute ${quoteText(key)} is there twice.`);
        attributes.set(key, attribute);
        break;
      }
      case 7:
        domain = textOf(message, field);
        break;
      default:
    }
  }
  return { name, operator, domain: domain === "ai.onnx" ? "" : domain, inputs, outputs, attributes };
}

/** The kinds of attributes that can't be read, by the codes of `AttributeProto.AttributeType`. */
const unreadKinds: { readonly [code: number]: string } = {
  9: "tensors",
  10: "graphs",
  11: "a sparse tensor",
  12: "sparse tensors",
  13: "a type",
  14: "types",
};

function attributeOf(message: Message, tensorOf: TensorReader): readonly [name: string, OnnxAttribute] {
  let name = "";
  let code = 0;
  let found: OnnxAttribute | undefined;
  const floats: number[] = [];
  const integers: number[] = [];
  const texts: string[] = [];
  for (const field of fieldsOf(message)) {
    switch (field.number) {
      case 1:
        name = textOf(message, field);
        break;
      case 2:
        found = { kind: "float", value: floatOf(message, field) };
        break;
      case 3:
        found = { kind: "integer", value: integerOf(message, field) };
        break;
      case 4:
        found = { kind: "text", value: textOf(message, field) };
        break;
      case 5:
        found = { kind: "tensor", value: tensorOf(messageWithin(message, field, "tensor")) };
        break;
      case 6:
        found = { kind: "graph", value: graphOf(messageWithin(message, field, "graph"), tensorOf) };
        break;
      case 7:
        appendFloats(message, field, 4, floats);
        break;
      case 8:
        appendIntegers(message, field, integers);
        break;
      case 9:
        texts.push(textOf(message, field));
        break;
      case 20:
        code = integerOf(message, field);
        break;
      case 21:
        throw wireError(message.place, "refers to an attribute of a function: export the model without functions.");
      default:
    }
  }
  return [name, found ?? withoutSingle(code, floats, integers, texts)];
}

/** An attribute of which no single value was written: a list, or a value that equals what is assumed without one. */
function withoutSingle(
  code: number,
  floats: readonly number[],
  integers: readonly number[],
  texts: readonly string[],
): OnnxAttribute {
  switch (code) {
    case 1:
      return { kind: "float", value: 0 };
    case 2:
      return { kind: "integer", value: 0 };
    case 3:
      return { kind: "text", value: "" };
    case 6:
      return { kind: "floats", value: floats };
    case 7:
      return { kind: "integers", value: integers };
    case 8:
      return { kind: "texts", value: texts };
    case 0:
      // Files of before types were written: the list that there is.
      if (floats.length > 0) return { kind: "floats", value: floats };
      if (texts.length > 0) return { kind: "texts", value: texts };
      return { kind: "integers", value: integers };
    default:
      return { kind: "unread", value: unreadKinds[code] ?? `something of kind ${code}` };
  }
}

/** The kinds of values beside tensors, by their fields in `TypeProto`. */
const otherKinds: { readonly [number: number]: string } = {
  5: "a map",
  7: "an opaque value",
  8: "a sparse tensor",
  9: "an optional value",
};

function valueInfoOf(message: Message): OnnxValueInfo {
  let info: OnnxValueInfo = { name: "", type: null, what: "a value without a type", shape: null, isSequence: false };
  for (const field of fieldsOf(message)) {
    if (field.number === 1) info = { ...info, name: textOf(message, field) };
    else if (field.number === 2) info = { ...info, ...typeOf(messageWithin(message, field, "type")) };
  }
  return info;
}

function typeOf(message: Message): Partial<OnnxValueInfo> {
  for (const field of fieldsOf(message)) {
    if (field.number === 1) return tensorTypeOf(messageWithin(message, field, "tensor"));
    if (field.number === 4) return { ...sequenceTypeOf(messageWithin(message, field, "sequence")), isSequence: true };
    const what = otherKinds[field.number];
    if (what !== undefined) return { type: null, what };
  }
  return {};
}

function sequenceTypeOf(message: Message): Partial<OnnxValueInfo> {
  for (const field of fieldsOf(message)) {
    if (field.number === 1) {
      const { type = null, what = "", shape = null } = typeOf(messageWithin(message, field, "type"));
      return { type, what: `a sequence: ${what}`, shape };
    }
  }
  return {};
}

function tensorTypeOf(message: Message): Partial<OnnxValueInfo> {
  let code = 0;
  let shape: (number | string | null)[] | null = null;
  for (const field of fieldsOf(message)) {
    if (field.number === 1) code = integerOf(message, field);
    else if (field.number === 2) shape = shapeOf(messageWithin(message, field, "shape"));
  }
  return { type: elementTypeOf(code) ?? null, what: `a tensor of ${foreignTypeName(code)}`, shape };
}

function shapeOf(message: Message): (number | string | null)[] {
  const shape: (number | string | null)[] = [];
  for (const field of fieldsOf(message)) {
    if (field.number !== 1) continue;
    const dimension = messageWithin(message, field, `axis ${shape.length}`);
    let extent: number | string | null = null;
    for (const part of fieldsOf(dimension)) {
      if (part.number === 1) extent = integerOf(dimension, part);
      else if (part.number === 2) extent = textOf(dimension, part);
    }
    // Some exporters write -1 or nothing for what isn't known.
    shape.push(extent === "" || (typeof extent === "number" && extent < 0) ? null : extent);
  }
  return shape;
}
