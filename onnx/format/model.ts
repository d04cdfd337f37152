/** An ONNX model as it was read: what onnx.proto says, checked, without anything that only tools need. */
import type { ElementType } from "./elementTypes.ts";

/** Numbers in row-major order. 64-bit integers are exact up to 2^53; 16-bit floats are widened; bools are 0 and 1. */
export type OnnxNumbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array;

/** Elements in row-major order: numbers, or texts. */
export type OnnxData = OnnxNumbers | readonly string[];

/** A tensor whose elements are in the file. */
export type OnnxTensor = {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: OnnxData;
};

/** An attribute of a node. What can't be read is kept by its kind, for the error of whoever asks for it. */
export type OnnxAttribute =
  | { readonly kind: "float" | "integer"; readonly value: number }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: OnnxTensor }
  | { readonly kind: "graph"; readonly value: OnnxGraph }
  | { readonly kind: "floats" | "integers"; readonly value: readonly number[] }
  | { readonly kind: "texts"; readonly value: readonly string[] }
  | { readonly kind: "unread"; readonly value: string };

/** One use of an operator. An input or output without a name is left out. */
export type OnnxNode = {
  readonly name: string;
  readonly operator: string;
  /** Empty for the operators of ONNX itself. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
};

/** What the graph says of one of its inputs or outputs. */
export type OnnxValueInfo = {
  readonly name: string;
  /** null for what isn't a tensor of a type that can be read: `what` says what it is. */
  readonly type: ElementType | null;
  readonly what: string;
  /** Each size a number, a name that stands for one, or null where it isn't said; null if the rank isn't said. */
  readonly shape: readonly (number | string | null)[] | null;
  /** Whether it is a list of such tensors. */
  readonly isSequence: boolean;
};

/** Nodes in an order in which each comes behind those that it reads. */
export type OnnxGraph = {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
};

/** A whole file. */
export type OnnxModel = {
  readonly graph: OnnxGraph;
  /** The version of each domain's operators; the domain of ONNX itself is "". */
  readonly opsets: ReadonlyMap<string, number>;
  /** The program that wrote the file, as it calls itself. */
  readonly producer: string;
};
