/** Models for the tests of the reader, with elements stored in every way that there is. */
import type { ElementType } from "../../onnx/format/elementTypes.ts";
import { type GraphSpec, modelPieces, rawElements, type TensorSpec } from "../../onnx/format/writeModel.ts";
import {
  bytesField,
  doubleField,
  fieldOfPieces,
  floatField,
  integerField,
  joined,
  textField,
  varint,
} from "../../onnx/format/writeWire.ts";

/** Elements as bytes, or in the field that is for their type, packed or one by one. */
export type TensorContent =
  | { readonly raw: Uint8Array }
  | { readonly floats?: readonly number[]; readonly doubles?: readonly number[]; readonly texts?: readonly string[] }
  | { readonly field: 5 | 7 | 11; readonly integers: readonly (number | bigint)[]; readonly isPacked: boolean }
  | { readonly external: Readonly<Record<string, string>> };

/** The fields of a tensor's elements. */
export function stored(content: TensorContent): readonly Uint8Array[] {
  if ("raw" in content) return rawElements(content.raw);
  if ("field" in content) {
    const { field, integers, isPacked } = content;
    return isPacked ? fieldOfPieces(field, integers.map(varint)) : integers.map((value) => integerField(field, value));
  }
  if ("external" in content) {
    const entries = Object.entries(content.external);
    return [
      ...entries.map(([key, value]) => bytesField(13, joined([textField(1, key), textField(2, value)]))),
      integerField(14, 1),
    ];
  }
  return [
    ...(content.floats ?? []).map((value) => floatField(4, value)),
    ...(content.doubles ?? []).map((value) => doubleField(10, value)),
    ...(content.texts ?? []).map((value) => textField(6, value)),
  ];
}

export const tensorSpec = (
  name: string,
  type: ElementType,
  shape: readonly number[],
  content: TensorContent,
): TensorSpec => ({ name, type, shape, elements: stored(content) });

/** A tensor of numbers, as raw bytes. */
export const floatTensor = (name: string, shape: readonly number[], values: readonly number[]): TensorSpec =>
  tensorSpec(name, "f32", shape, { raw: new Uint8Array(Float32Array.from(values).buffer) });

export const integerTensor = (
  name: string,
  shape: readonly number[],
  values: readonly (number | bigint)[],
): TensorSpec => tensorSpec(name, "i64", shape, { raw: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) });

/** A whole file. @param opset of ONNX's own operators */
export const modelFile = (graph: GraphSpec, opset = 17): Uint8Array =>
  joined(modelPieces({ graph, opset, producer: "test" }));
