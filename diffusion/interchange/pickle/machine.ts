import { exactInteger, PickleReader } from "./reader.ts";
import {
  PickleDict,
  PickleGlobal,
  PickleInstance,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from "./values.ts";

/** What a pickle may name, and what is made of it. Everything else is refused by its name. */
export type PickleWorld = {
  /** Called functions by full name, e.g. `torch._utils._rebuild_tensor_v2`. */
  readonly functions: ReadonlyMap<string, (args: readonly PickleValue[], fail: Fail) => PickleValue>;
  /** Classes whose objects are kept as their name and state. */
  readonly classes: ReadonlySet<string>;
  /** Names that may stand as values and not be called, e.g. types of storages. */
  readonly names: (name: string) => boolean;
  /** Resolves a reference to something outside of the pickle. */
  readonly persistent?: (id: PickleValue, fail: Fail) => PickleValue;
};

export type Fail = (problem: string) => never;

/** Stands on the stack where a collection begins. */
const mark = Symbol("mark");
type Slot = PickleValue | typeof mark;

/** Opcodes by their letter or number, as Python's pickletools lists them. */
const op = {
  mark: 0x28,
  stop: 0x2e,
  pop: 0x30,
  popMark: 0x31,
  dup: 0x32,
  float: 0x46,
  int: 0x49,
  binInt: 0x4a,
  binInt1: 0x4b,
  long: 0x4c,
  binInt2: 0x4d,
  none: 0x4e,
  persId: 0x50,
  binPersId: 0x51,
  reduce: 0x52,
  string: 0x53,
  binString: 0x54,
  shortBinString: 0x55,
  unicode: 0x56,
  binUnicode: 0x58,
  append: 0x61,
  build: 0x62,
  global: 0x63,
  dict: 0x64,
  emptyDict: 0x7d,
  appends: 0x65,
  get: 0x67,
  binGet: 0x68,
  inst: 0x69,
  longBinGet: 0x6a,
  list: 0x6c,
  emptyList: 0x5d,
  obj: 0x6f,
  put: 0x70,
  binPut: 0x71,
  longBinPut: 0x72,
  setItem: 0x73,
  tuple: 0x74,
  emptyTuple: 0x29,
  setItems: 0x75,
  binFloat: 0x47,
  proto: 0x80,
  newObj: 0x81,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  newTrue: 0x88,
  newFalse: 0x89,
  long1: 0x8a,
  long4: 0x8b,
  binBytes: 0x42,
  shortBinBytes: 0x43,
  shortBinUnicode: 0x8c,
  binUnicode8: 0x8d,
  binBytes8: 0x8e,
  emptySet: 0x8f,
  addItems: 0x90,
  frozenSet: 0x91,
  newObjEx: 0x92,
  stackGlobal: 0x93,
  memoize: 0x94,
  frame: 0x95,
  byteArray8: 0x96,
} as const;

/**
 * Reads one pickle, of protocol 0 to 5, from where the reader stands. Nothing is run: globals are names, and only those that `world`
 * allows. Every step consumes a byte and makes at most one value, so that memory is bounded by the file's size; nothing recurses.
 * @throws EvenkeelError `file` that says what is wrong and where.
 */
export function readPickle(reader: PickleReader, world: PickleWorld): PickleValue {
  return new PickleMachine(reader, world).run();
}

class PickleMachine {
  readonly #reader: PickleReader;
  readonly #world: PickleWorld;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #fail: Fail;

  constructor(reader: PickleReader, world: PickleWorld) {
    this.#reader = reader;
    this.#world = world;
    this.#fail = (problem) => reader.fail(problem);
  }

  run(): PickleValue {
    for (;;) {
      const code = this.#reader.uint8();
      if (code === op.stop) {
        const result = this.#pop();
        if (this.#stack.length > 0) this.#fail("the pickle ends with values left over");
        return result;
      }
      this.#step(code);
    }
  }

  #step(code: number): void {
    const reader = this.#reader;
    switch (code) {
      case op.proto: {
        const protocol = reader.uint8();
        if (protocol > 5) this.#fail(`protocol ${protocol} is unknown`);
        return;
      }
      case op.frame:
        // Only a hint for readers of streams.
        reader.length64();
        return;
      case op.mark:
        this.#stack.push(mark);
        return;
      case op.pop:
        if (this.#stack.pop() === undefined) this.#fail("the stack is empty");
        return;
      case op.popMark:
        this.#popToMark();
        return;
      case op.dup: {
        const top = this.#pop();
        this.#stack.push(top, top);
        return;
      }
      case op.none:
        return this.#push(null);
      case op.newTrue:
        return this.#push(true);
      case op.newFalse:
        return this.#push(false);
      case op.int: {
        const text = reader.line();
        return this.#push(text === "00" ? false : text === "01" ? true : this.#parseInteger(text));
      }
      case op.long:
        return this.#push(this.#parseInteger(reader.line().replace(/L$/, "")));
      case op.binInt:
        return this.#push(reader.int32());
      case op.binInt1:
        return this.#push(reader.uint8());
      case op.binInt2:
        return this.#push(reader.uint16());
      case op.long1:
        return this.#push(reader.integer(reader.uint8()));
      case op.long4:
        return this.#push(reader.integer(reader.uint32()));
      case op.float:
        return this.#push(this.#parseFloat(reader.line()));
      case op.binFloat:
        return this.#push(reader.float64());
      case op.string:
        return this.#push(this.#parseString(reader.line()));
      case op.unicode:
        return this.#push(this.#unescapeUnicode(reader.line()));
      case op.shortBinUnicode:
        return this.#push(reader.text(reader.uint8()));
      case op.binUnicode:
        return this.#push(reader.text(reader.uint32()));
      case op.binUnicode8:
        return this.#push(reader.text(reader.length64()));
      case op.shortBinString:
        return this.#push(latin1(reader.take(reader.uint8())));
      case op.binString:
        return this.#push(latin1(reader.take(reader.uint32())));
      case op.shortBinBytes:
        return this.#push(reader.take(reader.uint8()));
      case op.binBytes:
        return this.#push(reader.take(reader.uint32()));
      case op.binBytes8:
      case op.byteArray8:
        return this.#push(reader.take(reader.length64()));
      default:
        return this.#collection(code);
    }
  }

  #collection(code: number): void {
    switch (code) {
      case op.emptyTuple:
        return this.#push(new PickleTuple([]));
      case op.tuple1:
        return this.#push(new PickleTuple(this.#popMany(1)));
      case op.tuple2:
        return this.#push(new PickleTuple(this.#popMany(2)));
      case op.tuple3:
        return this.#push(new PickleTuple(this.#popMany(3)));
      case op.tuple:
        return this.#push(new PickleTuple(this.#popToMark()));
      case op.emptyList:
        return this.#push(new PickleList());
      case op.list: {
        const list = new PickleList();
        for (const item of this.#popToMark()) list.items.push(item);
        return this.#push(list);
      }
      case op.emptyDict:
        return this.#push(new PickleDict());
      case op.dict: {
        const dict = new PickleDict();
        this.#setItems(dict, this.#popToMark());
        return this.#push(dict);
      }
      case op.emptySet:
        return this.#push(new PickleSet());
      case op.frozenSet: {
        const set = new PickleSet();
        for (const item of this.#popToMark()) set.items.add(item);
        return this.#push(set);
      }
      case op.append: {
        const item = this.#pop();
        this.#listAt(this.#top()).items.push(item);
        return;
      }
      case op.appends: {
        const items = this.#popToMark();
        const { items: list } = this.#listAt(this.#top());
        for (const item of items) list.push(item);
        return;
      }
      case op.setItem: {
        const pair = this.#popMany(2);
        return this.#setItems(this.#dictAt(this.#top()), pair);
      }
      case op.setItems: {
        const pairs = this.#popToMark();
        return this.#setItems(this.#dictAt(this.#top()), pairs);
      }
      case op.addItems: {
        const items = this.#popToMark();
        const set = this.#top();
        if (!(set instanceof PickleSet)) return this.#fail("items are added to what is no set");
        for (const item of items) set.items.add(item);
        return;
      }
      default:
        return this.#memoOrObject(code);
    }
  }

  #memoOrObject(code: number): void {
    const reader = this.#reader;
    switch (code) {
      case op.memoize:
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case op.put:
        return this.#put(Number(this.#parseInteger(reader.line())));
      case op.binPut:
        return this.#put(reader.uint8());
      case op.longBinPut:
        return this.#put(reader.uint32());
      case op.get:
        return this.#get(Number(this.#parseInteger(reader.line())));
      case op.binGet:
        return this.#get(reader.uint8());
      case op.longBinGet:
        return this.#get(reader.uint32());
      case op.global: {
        const module = reader.line();
        return this.#push(this.#global(`${module}.${reader.line()}`));
      }
      case op.stackGlobal: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") return this.#fail("a global's name is no text");
        return this.#push(this.#global(`${module}.${name}`));
      }
      case op.reduce: {
        const [callee, args] = this.#popMany(2);
        return this.#push(this.#call(callee ?? null, this.#tupleItems(args ?? null)));
      }
      case op.newObj: {
        const [type, args] = this.#popMany(2);
        return this.#push(this.#create(type ?? null, this.#tupleItems(args ?? null)));
      }
      case op.newObjEx: {
        const [type, args, named] = this.#popMany(3);
        if (!(named instanceof PickleDict) || named.entries.size > 0)
          this.#fail("an object is made with named arguments");
        return this.#push(this.#create(type ?? null, this.#tupleItems(args ?? null)));
      }
      case op.obj: {
        const [type, ...args] = this.#popToMark();
        return this.#push(this.#create(type ?? null, args));
      }
      case op.inst: {
        const module = reader.line();
        const type = this.#global(`${module}.${reader.line()}`);
        return this.#push(this.#create(type, this.#popToMark()));
      }
      case op.build: {
        const state = this.#pop();
        const object = this.#top();
        if (!(object instanceof PickleInstance)) return this.#fail("a state is given to what is no object");
        object.state = state;
        return;
      }
      case op.persId:
        return this.#push(this.#persistent(reader.line()));
      case op.binPersId:
        return this.#push(this.#persistent(this.#pop()));
      default:
        return this.#fail(`opcode 0x${code.toString(16)} is unknown or not allowed`);
    }
  }

  #global(name: string): PickleGlobal {
    const { functions, classes, names } = this.#world;
    if (!functions.has(name) && !classes.has(name) && !names(name)) {
      this.#fail(`the pickle asks for ${name}, which is not allowed; nothing of it was run`);
    }
    return new PickleGlobal(name);
  }

  #call(callee: PickleValue, args: readonly PickleValue[]): PickleValue {
    if (!(callee instanceof PickleGlobal)) return this.#fail("something is called that is no function");
    const build = this.#world.functions.get(callee.name);
    if (build !== undefined) return build(args, this.#fail);
    return this.#create(callee, args);
  }

  #create(type: PickleValue, args: readonly PickleValue[]): PickleValue {
    if (!(type instanceof PickleGlobal)) return this.#fail("an object is made of what is no class");
    const build = this.#world.functions.get(type.name);
    if (build !== undefined) return build(args, this.#fail);
    if (!this.#world.classes.has(type.name)) this.#fail(`${type.name} is called, which is not allowed`);
    if (args.length > 0) this.#fail(`${type.name} is made with arguments`);
    return new PickleInstance(type.name);
  }

  #persistent(id: PickleValue): PickleValue {
    const resolve = this.#world.persistent;
    return resolve === undefined ? this.#fail("the pickle refers to data outside of it") : resolve(id, this.#fail);
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === mark) return this.#fail("a value is missing on the stack");
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === mark) return this.#fail("a value is missing on the stack");
    return value;
  }

  #popMany(count: number): PickleValue[] {
    const values: PickleValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.#pop());
    return values.reverse();
  }

  #popToMark(): PickleValue[] {
    const from = this.#stack.lastIndexOf(mark);
    if (from < 0) return this.#fail("a mark is missing on the stack");
    const values = this.#stack.splice(from);
    values.shift();
    return values as PickleValue[];
  }

  #tupleItems(value: PickleValue): readonly PickleValue[] {
    return value instanceof PickleTuple ? value.items : this.#fail("arguments are no tuple");
  }

  #listAt(value: PickleValue): PickleList {
    if (value instanceof PickleList) return value;
    return value instanceof PickleInstance ? value.list : this.#fail("an item is appended to what is no list");
  }

  #dictAt(value: PickleValue): PickleDict {
    if (value instanceof PickleDict) return value;
    return value instanceof PickleInstance ? value.dict : this.#fail("an item is set in what is no dictionary");
  }

  #setItems(dict: PickleDict, pairs: readonly PickleValue[]): void {
    if (pairs.length % 2 !== 0) this.#fail("a dictionary's key has no value");
    for (let i = 0; i < pairs.length; i += 2) dict.entries.set(pairs[i] ?? null, pairs[i + 1] ?? null);
  }

  #put(index: number): void {
    if (!Number.isSafeInteger(index) || index < 0) this.#fail(`a memo has the number ${index}`);
    this.#memo.set(index, this.#top());
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) return this.#fail(`memo ${index} is empty`);
    this.#push(value);
  }

  #parseInteger(text: string): number | bigint {
    if (!/^-?\d{1,616}$/.test(text)) return this.#fail("an integer can't be read");
    return exactInteger(BigInt(text));
  }

  #parseFloat(text: string): number {
    const named = new Map([
      ["nan", NaN],
      ["inf", Infinity],
      ["-inf", -Infinity],
    ]).get(text);
    if (named !== undefined) return named;
    const value = /^-?\d/.test(text) ? Number(text) : NaN;
    return Number.isNaN(value) ? this.#fail("a float can't be read") : value;
  }

  /** A quoted text of protocol 0. */
  #parseString(text: string): string {
    const quote = text[0];
    if (text.length < 2 || (quote !== "'" && quote !== '"') || !text.endsWith(quote))
      return this.#fail("a text has no quotes");
    return this.#unescape(text.slice(1, -1));
  }

  #unescape(text: string): string {
    return text.replace(/\\(?:x([0-9a-fA-F]{2})|([\\'"nrt]))/g, (_, byte: string | undefined, plain: string) => {
      if (byte !== undefined) return String.fromCharCode(parseInt(byte, 16));
      return plainEscapes.get(plain) ?? plain;
    });
  }

  /** A text of protocol 0: bytes are characters, others are written by their number. */
  #unescapeUnicode(text: string): string {
    return text.replace(/\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g, (_, short: string | undefined, long: string) => {
      const code = parseInt(short ?? long, 16);
      return code > 0x10ffff ? this.#fail("a text names a character that does not exist") : String.fromCodePoint(code);
    });
  }
}

const plainEscapes: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
