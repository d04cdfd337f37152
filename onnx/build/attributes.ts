/** How operators say which attributes they have. What isn't said can't be left out, and what is given but isn't known is refused. */
import type { OnnxAttribute, OnnxGraph, OnnxTensor } from "../format/model.ts";

/** Throws, with the attribute's name and place. */
type Refuse = (problem: string) => never;

/** Reads one attribute of a node, which is undefined where the node hasn't got it. */
export type AttributeReader<T> = { readonly read: (attribute: OnnxAttribute | undefined, refuse: Refuse) => T };

/** One that may be missing, unless it is said what is assumed then, or that it must not. */
export type OptionalReader<T> = AttributeReader<T | undefined> & {
  /** What is assumed where a node hasn't got it, as ONNX says. */
  readonly or: (assumed: T) => AttributeReader<T>;
  /** What a node must have. */
  readonly required: AttributeReader<T>;
};

export type AttributeReaders = { readonly [name: string]: AttributeReader<unknown> };

/** What readers give, by the attributes' names. */
export type AttributesOf<R extends AttributeReaders> = {
  readonly [K in keyof R]: R[K] extends AttributeReader<infer T> ? T : never;
};

function optional<T>(read: AttributeReader<T | undefined>["read"]): OptionalReader<T> {
  return {
    read,
    or: (assumed) => ({ read: (attribute, refuse) => read(attribute, refuse) ?? assumed }),
    required: { read: (attribute, refuse) => read(attribute, refuse) ?? refuse("is missing") },
  };
}

/** An attribute of one kind; `T` is what attributes of that kind are. */
const ofKind = <T>(kind: OnnxAttribute["kind"]): OptionalReader<T> =>
  optional((attribute, refuse) => {
    if (attribute === undefined) return undefined;
    if (attribute.kind !== kind) return refuse(`is of kind ${attribute.kind}, expected ${kind}`);
    return attribute.value as T;
  });

export const integer = ofKind<number>("integer");
export const float = ofKind<number>("float");
export const text = ofKind<string>("text");
export const constant = ofKind<OnnxTensor>("tensor");
export const graph = ofKind<OnnxGraph>("graph");
export const floats = ofKind<readonly number[]>("floats");
export const texts = ofKind<readonly string[]>("texts");
export const integers = ofKind<readonly number[]>("integers");

/** 0 or 1. */
export const flag = (assumed: boolean): AttributeReader<boolean> => ({
  read: (attribute, refuse) => {
    const value = integer.read(attribute, refuse) ?? Number(assumed);
    return value === 0 || value === 1 ? value === 1 : refuse(`is ${value}, expected 0 or 1`);
  },
});

/** One of some words. */
export const oneOf = <const T extends string>(words: readonly T[]): OptionalReader<T> =>
  optional((attribute, refuse) => {
    const value = text.read(attribute, refuse);
    if (value === undefined) return undefined;
    return words.find((word) => word === value) ?? refuse(`is ${JSON.stringify(value)}, expected ${words.join(", ")}`);
  });

/** What old versions have and nobody needs. */
export const unused: AttributeReader<undefined> = { read: () => undefined };
