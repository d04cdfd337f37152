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
  readonly entries = new Map<PickleValue, PickleValue>();
}

export class PickleSet {
  readonly kind = "set";
  readonly items = new Set<PickleValue>();
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
  readonly dict = new PickleDict();
  readonly list = new PickleList();
  constructor(className: string) {
    this.className = className;
  }
}

/** What a builder of an allowed global has made: a tensor, a storage. */
export class PickleForeign {
  readonly kind = "foreign";
  readonly value: object;
  constructor(value: object) {
    this.value = value;
  }
}
