import { op } from "./opcodes.ts";
import type { Fail, PickleContext } from "./context.ts";
import type { PickleReader } from "./reader.ts";
import { parseFloat64, parseInteger, parseQuoted, parseUnicode } from "./textForms.ts";
import {
  keyProblem,
  PickleDict,
  PickleForeign,
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
  readonly functions: ReadonlyMap<string, PickleFunction>;
  /** Classes whose objects are kept as their name and state. */
  readonly classes: ReadonlySet<string>;
  /** Names that may stand as values and not be called, e.g. types of storages. */
  readonly names: (name: string) => boolean;
  /** Resolves a reference to something outside of the pickle. */
  readonly persistent?: (id: PickleValue, fail: Fail) => PickleValue;
};

export type PickleFunction = (args: readonly PickleValue[], context: PickleContext) => PickleValue;

/**
 * Steps of one pickle and values copied by its builders, at most. A snapshot of the largest network takes some tens of thousands; a
 * file of a byte or two a value would take hundreds of times its size, and time without bound where values are shared.
 */
export const maximumValues = 1 << 20;

/** Stands on the stack where a collection begins. */
const mark = Symbol("mark");
type Slot = PickleValue | typeof mark;

/**
 * Reads one pickle, of protocol 0 to 5, from where the reader stands. Nothing is run: globals are names, and only those that `world`
 * allows. Every step consumes a byte and makes at most one value, of which there are at most {@link maximumValues}; texts and bytes
 * are no longer than the file, and bytes are views of it. Nothing recurses.
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
  readonly #context: PickleContext;
  #left = maximumValues;

  constructor(reader: PickleReader, world: PickleWorld) {
    this.#reader = reader;
    this.#world = world;
    this.#context = {
      fail: (problem) => reader.fail(problem),
      spend: (values) => {
        this.#left -= values;
        if (this.#left < 0) reader.fail(`the pickle holds more than ${maximumValues} values`);
      },
    };
  }

  run(): PickleValue {
    for (;;) {
      this.#context.spend(1);
      const code = this.#reader.uint8();
      if (code === op.stop) {
        const result = this.#pop();
        if (this.#stack.length > 0) this.#refuse("the pickle ends with values left over");
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
        if (protocol > 5) this.#refuse(`protocol ${protocol} is unknown`);
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
        if (this.#stack.pop() === undefined) this.#refuse("the stack is empty");
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
        return this.#push(text === "00" ? false : text === "01" ? true : parseInteger(text, this.#context.fail));
      }
      case op.long:
        return this.#push(parseInteger(reader.line().replace(/L$/, ""), this.#context.fail));
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
        return this.#push(parseFloat64(reader.line(), this.#context.fail));
      case op.binFloat:
        return this.#push(reader.float64());
      case op.string:
        return this.#push(parseQuoted(reader.line(), this.#context.fail));
      case op.unicode:
        return this.#push(parseUnicode(reader.line(), this.#context.fail));
      case op.shortBinUnicode:
        return this.#push(reader.text(reader.uint8()));
      case op.binUnicode:
        return this.#push(reader.text(reader.uint32()));
      case op.binUnicode8:
        return this.#push(reader.text(reader.length64()));
      case op.shortBinString:
        return this.#push(reader.latin1(reader.uint8()));
      case op.binString:
        return this.#push(reader.latin1(reader.uint32()));
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
        for (const item of this.#popToMark()) set.items.add(this.#key(item));
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
        if (!(set instanceof PickleSet)) return this.#refuse("items are added to what is no set");
        for (const item of items) set.items.add(this.#key(item));
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
        return this.#put(Number(parseInteger(reader.line(), this.#context.fail)));
      case op.binPut:
        return this.#put(reader.uint8());
      case op.longBinPut:
        return this.#put(reader.uint32());
      case op.get:
        return this.#get(Number(parseInteger(reader.line(), this.#context.fail)));
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
        if (typeof module !== "string" || typeof name !== "string") return this.#refuse("a global's name is no text");
        return this.#push(this.#global(`${module}.${name}`));
      }
      case op.reduce: {
        const [callee, args] = this.#popMany(2);
        return this.#push(this.#call(callee ?? null, this.#tupleItems(args ?? null)));
      }
      case op.newObj: {
        const [type, args] = this.#popMany(2);
        return this.#push(this.#instance(type ?? null, this.#tupleItems(args ?? null)));
      }
      case op.newObjEx: {
        const [type, args, named] = this.#popMany(3);
        if (!(named instanceof PickleDict) || named.entries.size > 0) {
          return this.#refuse("an object is made with named arguments");
        }
        return this.#push(this.#instance(type ?? null, this.#tupleItems(args ?? null)));
      }
      case op.obj: {
        const [type, ...args] = this.#popToMark();
        return this.#push(this.#call(type ?? null, args));
      }
      case op.inst: {
        const module = reader.line();
        const type = this.#global(`${module}.${reader.line()}`);
        return this.#push(this.#call(type, this.#popToMark()));
      }
      case op.build: {
        const state = this.#pop();
        const object = this.#top();
        if (object instanceof PickleInstance) object.state = state;
        else if (object instanceof PickleForeign && object.setState !== undefined) {
          object.setState(state, this.#context);
        } else this.#refuse("a state is given to what is no object");
        return;
      }
      case op.persId:
        return this.#push(this.#persistent(reader.line()));
      case op.binPersId:
        return this.#push(this.#persistent(this.#pop()));
      default:
        return this.#refuse(`opcode 0x${code.toString(16)} is unknown or not allowed`);
    }
  }

  #refuse(problem: string): never {
    return this.#reader.fail(problem);
  }

  #global(name: string): PickleGlobal {
    const { functions, classes, names } = this.#world;
    if (!functions.has(name) && !classes.has(name) && !names(name)) {
      this.#refuse(`the pickle asks for ${shown(name)}, which is not allowed; nothing of it was run`);
    }
    return new PickleGlobal(name);
  }

  #call(callee: PickleValue, args: readonly PickleValue[]): PickleValue {
    if (!(callee instanceof PickleGlobal)) return this.#refuse("something is called that is no function");
    const build = this.#world.functions.get(callee.name);
    return build === undefined ? this.#instance(callee, args) : build(args, this.#context);
  }

  #instance(type: PickleValue, args: readonly PickleValue[]): PickleInstance {
    if (!(type instanceof PickleGlobal)) return this.#refuse("an object is made of what is no class");
    if (!this.#world.classes.has(type.name)) this.#refuse(`${type.name} makes no object`);
    if (args.length > 0) this.#refuse(`${type.name} is made with arguments`);
    return new PickleInstance(type.name);
  }

  #persistent(id: PickleValue): PickleValue {
    const resolve = this.#world.persistent;
    return resolve === undefined
      ? this.#refuse("the pickle refers to data outside of it")
      : resolve(id, this.#context.fail);
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === mark) return this.#refuse("a value is missing on the stack");
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === mark) return this.#refuse("a value is missing on the stack");
    return value;
  }

  #popMany(count: number): PickleValue[] {
    const values: PickleValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.#pop());
    return values.reverse();
  }

  #popToMark(): PickleValue[] {
    const from = this.#stack.lastIndexOf(mark);
    if (from < 0) return this.#refuse("a mark is missing on the stack");
    const values = this.#stack.splice(from);
    values.shift();
    return values as PickleValue[];
  }

  #tupleItems(value: PickleValue): readonly PickleValue[] {
    return value instanceof PickleTuple ? value.items : this.#refuse("arguments are no tuple");
  }

  #listAt(value: PickleValue): PickleList {
    if (value instanceof PickleList) return value;
    return value instanceof PickleInstance ? value.list : this.#refuse("an item is appended to what is no list");
  }

  #dictAt(value: PickleValue): PickleDict {
    if (value instanceof PickleDict) return value;
    return value instanceof PickleInstance ? value.dict : this.#refuse("an item is set in what is no dictionary");
  }

  #setItems(dict: PickleDict, pairs: readonly PickleValue[]): void {
    if (pairs.length % 2 !== 0) this.#refuse("a dictionary's key has no value");
    for (let i = 0; i < pairs.length; i += 2) dict.entries.set(this.#key(pairs[i] ?? null), pairs[i + 1] ?? null);
  }

  #key(value: PickleValue): PickleValue {
    const problem = keyProblem(value);
    return problem === undefined ? value : this.#refuse(problem);
  }

  #put(index: number): void {
    // Picklers count up. With numbers of its choice a file could make the table slow at will.
    if (!Number.isSafeInteger(index) || index < 0 || index > this.#reader.bytes.length + 65_536) {
      this.#refuse(`a memo has the number ${index}`);
    }
    this.#memo.set(index, this.#top());
  }

  #get(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) return this.#refuse(`memo ${index} is empty`);
    this.#push(value);
  }
}

/** A name in a message, which a hostile file makes as long as it likes. */
function shown(name: string): string {
  return name.length <= 100 ? name : `${name.slice(0, 100)}...`;
}
