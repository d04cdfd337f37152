import type { PickleContext } from "./context.ts";

/**
 * What a pickle can hold. Primitives are JavaScript's own: null for None, booleans, strings, numbers (floats, and integers up to
 * 2^53), bigints above, Uint8Array for bytes.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleSet
  | PickleGlobal
  | PickleInstance
  | PickleForeign;

export class PickleTuple {
  readonly kind = "tuple";
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

export class PickleList {
  readonly kind = "list";
  readonly items: PickleValue[] = [];
}

/** Also `OrderedDict` and the like. Keys that aren't primitives are compared by identity. */
export class PickleDict {
  readonly kind = "dict";
  #entries: Map<PickleValue, PickleValue> | undefined;

  // Made when it is asked for: an empty map takes 200 bytes, and a file asks for a dictionary in one.
  get entries(): Map<PickleValue, PickleValue> {
    this.#entries ??= new Map();
    return this.#entries;
  }
}

export class PickleSet {
  readonly kind = "set";
  #items: Set<PickleValue> | undefined;

  get items(): Set<PickleValue> {
    this.#items ??= new Set();
    return this.#items;
  }
}

/** A class or function by name: a name and nothing more. */
export class PickleGlobal {
  readonly kind = "global";
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** An object of an allowed class: its name and its state. No code of the class is known or run. */
export class PickleInstance {
  readonly kind = "instance";
  readonly className: string;
  state: PickleValue = null;
  /** Of classes that are dictionaries or lists too. */
  #dict: PickleDict | undefined;
  #list: PickleList | undefined;

  get dict(): PickleDict {
    this.#dict ??= new PickleDict();
    return this.#dict;
  }

  get list(): PickleList {
    this.#list ??= new PickleList();
    return this.#list;
  }

  constructor(className: string) {
    this.className = className;
  }
}

/** What a builder of an allowed global has made: a tensor, a storage. */
export class PickleForeign {
  readonly kind = "foreign";
  readonly value: object;
  /** Takes the state that a pickle gives to the object after it is made. */
  readonly setState: ((state: PickleValue, context: PickleContext) => void) | undefined;
  constructor(value: object, setState?: (state: PickleValue, context: PickleContext) => void) {
    this.value = value;
    this.setState = setState;
  }
}

/** Largest number that may be a key: engines hash numbers without a secret, so that a file could make a table of wider ones slow at will. */
const largestKey = 2 ** 24;

/**
 * Why a value can't be a dictionary's key or a set's member: it is compared by its content, which can change (it can't be one in Python
 * either), or is a number of which a file could choose many that fall into one place of an engine's table.
 */
export function keyProblem(value: PickleValue): string | undefined {
  if (
    typeof value === "bigint" ||
    (typeof value === "number" && !(Number.isInteger(value) && Math.abs(value) <= largestKey))
  ) {
    return "a key or member of a set is a number, and no integer of 24 bits";
  }
  const changes =
    value instanceof PickleList ||
    value instanceof PickleDict ||
    value instanceof PickleSet ||
    value instanceof PickleInstance;
  return changes ? `a key or member of a set is of the kind ${value.kind}` : undefined;
}
