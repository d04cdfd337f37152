import { EvenkeelError } from "../../engine/index.ts";
import { dictOf, easyDict } from "./networkGlobals.ts";
import { NumpyArray } from "./numpyValues.ts";
import {
  PickleDict,
  PickleForeign,
  PickleGlobal,
  PickleInstance,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from "./pickle/index.ts";

/** Data without classes: what JSON can hold, and the floats that it can't. */
export type PlainData = null | boolean | number | string | PlainData[] | { [key: string]: PlainData };

/** Plain data by name. */
export type PlainRecord = Readonly<Record<string, PlainData>>;

const maximumDepth = 32;
/** Values looked at, at most: shared parts of a pickle could otherwise stand for endless data. */
const maximumPlainValues = 100_000;

/**
 * Makes pickled settings plain. Tuples, lists, sets and numpy's arrays become arrays, its numbers numbers; integers beyond 2^53 become
 * their digits, types such as `torch.float32` their names.
 */
export class PlainReader {
  readonly #source: string;
  #left = maximumPlainValues;

  constructor(source: string) {
    this.#source = source;
  }

  /** @throws EvenkeelError `file` unless it is a dictionary of plain data; `what` names it in the message. */
  record(value: PickleValue, what: string): PlainRecord {
    if (!isRecord(value)) return this.#fail(`its ${what} are no dictionary`);
    const entries: [string, PlainData][] = [];
    for (const [key, item] of dictOf(value) ?? []) {
      const plain = this.plain(item, 1);
      if (plain === undefined || typeof key !== "string") return this.#fail(`its ${what} hold what is no plain data`);
      entries.push([key, plain]);
    }
    return Object.fromEntries(entries);
  }

  /** Of an object's attributes, those that are plain data and have no underscore in front. */
  attributes(state: PickleValue): PlainRecord {
    const entries: [string, PlainData][] = [];
    for (const [key, item] of dictOf(state) ?? []) {
      if (typeof key !== "string" || key.startsWith("_")) continue;
      const plain = this.plain(item, 1);
      if (plain !== undefined) entries.push([key, plain]);
    }
    return Object.fromEntries(entries);
  }

  /** Undefined for what is no plain data: tensors, objects, bytes, or anything that holds one. */
  plain(value: PickleValue, depth: number): PlainData | undefined {
    this.#spend(depth);
    switch (typeof value) {
      case "boolean":
      case "number":
      case "string":
        return value;
      case "bigint":
        return value.toString();
      default:
        if (value === null) return null;
    }
    if (value instanceof PickleTuple || value instanceof PickleList || value instanceof PickleSet) {
      return this.#list(value.items, depth);
    }
    if (value instanceof PickleGlobal) return value.name;
    if (value instanceof PickleForeign && value.value instanceof NumpyArray) return this.#array(value.value, [], depth);
    if (!isRecord(value)) return undefined;
    const entries: [string, PlainData][] = [];
    for (const [key, item] of dictOf(value) ?? []) {
      const plain = this.plain(item, depth + 1);
      if (plain === undefined || (typeof key !== "string" && typeof key !== "number")) return undefined;
      entries.push([String(key), plain]);
    }
    return Object.fromEntries(entries);
  }

  #list(items: Iterable<PickleValue>, depth: number): PlainData[] | undefined {
    const list: PlainData[] = [];
    for (const item of items) {
      const plain = this.plain(item, depth + 1);
      if (plain === undefined) return undefined;
      list.push(plain);
    }
    return list;
  }

  #array(array: NumpyArray, indices: readonly number[], depth: number): PlainData {
    const extent = array.shape[indices.length];
    if (extent === undefined) {
      const element = array.element(indices);
      return typeof element === "bigint" ? element.toString() : element;
    }
    const list: PlainData[] = [];
    for (let index = 0; index < extent; index++) {
      this.#spend(depth);
      list.push(this.#array(array, [...indices, index], depth + 1));
    }
    return list;
  }

  #spend(depth: number): void {
    if (this.#left-- <= 0 || depth > maximumDepth) this.#fail("its settings are nested too deep, or too many");
  }

  #fail(problem: string): never {
    throw new EvenkeelError("file", `${this.#source}: ${problem}.`);
  }
}

/** Other objects are more than their entries. */
function isRecord(value: PickleValue): boolean {
  return value instanceof PickleDict || (value instanceof PickleInstance && value.className === easyDict);
}
