/**
 * Scalar expressions to statements, at one point or at four neighbours of an axis. A node that is used more than once becomes a local in
 * the scope where it is needed; branches of a `region` are scopes of their own, as their loads may be out of bounds elsewhere. What is
 * the same at all four neighbours is computed once.
 */
import { EvenkeelError } from "../../../errors.ts";
import type { DType } from "../../../graph/dtype.ts";
import { at } from "../../../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "../../../kernel/kernel.ts";
import { childrenOf, scalarsOf } from "../../../kernel/scalar.ts";
import { movesAlong } from "./lanes.ts";
import { addressText, type AxisText } from "./addresses.ts";
import { binaryText, castText, compareText, unaryText } from "./operations.ts";
import { numeral, splat, valueType, type Lanes } from "./types.ts";
import type { WgslWriter } from "./writer.ts";

/** A text that stands for one value, the same at every neighbour, or for four. */
export type Value = { readonly text: string; readonly dtype: DType; readonly lanes: Lanes };

/** Where an expression is computed. */
export type Place = {
  /** The coordinate of each axis; of the one with lanes that of the first neighbour. */
  readonly axes: readonly AxisText[];
  /**
   * The axis whose neighbours are computed together: a multiple of four of them, from four times `quarter` (u32 text) on. Null: one
   * point.
   */
  readonly lane: { readonly axis: number; readonly quarter: string } | null;
  /** What was folded, where something was. */
  readonly accumulator: Value | null;
  /** Text of an address, or of a place, where it isn't to be made of the coordinates; it may have wrapped. */
  readonly address?: (affine: Affine) => string;
};

/** How the elements of operands are got at. */
export type Loads = {
  /** One element. */
  readonly element: (operand: number, index: string) => string;
  /**
   * Four elements from an address on that moves by one from lane to lane, at the place or, where addresses are given to it, at `index`;
   * null if the operand isn't bound in fours.
   */
  readonly quad: (operand: number, at: Affine, place: Place, index: string) => string | null;
};

const needsNoName = /^(?:[A-Za-z]\w*|\(?-?[\d.]+(?:e[+-]?\d+)?[fiu]?\)?|true|false)$/;
const isNumeral = (text: string): boolean =>
  /^(?:vec4<\w+>\()?\(?-?\d/.test(text) || text === "true" || text === "false";
/** Longer expressions are given a name, for readers. */
const inlineLength = 90;
/** Characters of a text whose numbers have one each: texts that differ in numbers alone have names in the same places (`batch.ts`). */
const lengthOf = (text: string): number => text.replace(/\d+(?:\.\d+)?(?:e[+-]?\d+)?/g, "0").length;

/** Statements of one block: what was computed here or in a block around it is known. */
class Scope {
  readonly outer: Scope | null;
  readonly known = new Map<Scalar, Value>();
  /** Both words of the generator for given keys and counters. */
  readonly words = new Map<string, Value>();
  /** Nodes that this block evaluates whatever happens. */
  readonly certain: ReadonlySet<Scalar>;
  /** Name of what tells whether addresses are in bounds here, where they may not be; null: they are. */
  readonly guard: string | null;

  constructor(root: Scalar, outer: Scope | null, guard = outer?.guard ?? null) {
    this.outer = outer;
    this.certain = certainOf(root);
    this.guard = guard;
  }

  find(node: Scalar): Value | undefined {
    return this.known.get(node) ?? this.outer?.find(node);
  }

  findWords(call: string): Value | undefined {
    return this.words.get(call) ?? this.outer?.findWords(call);
  }
}

type Branch = Extract<Scalar, { readonly kind: "region" | "within" }>;

const isBranch = (node: Scalar): node is Branch => node.kind === "region" || node.kind === "within";

/** `root` and what it evaluates without entering a branch. */
function certainOf(root: Scalar): ReadonlySet<Scalar> {
  const certain = new Set<Scalar>();
  const visit = (node: Scalar): void => {
    if (certain.has(node)) return;
    certain.add(node);
    if (!isBranch(node)) childrenOf(node).forEach(visit);
  };
  visit(root);
  return certain;
}

export class ExpressionEmitter {
  readonly #writer: WgslWriter;
  readonly #kernel: Pick<Kernel, "name">;
  readonly #loads: Loads;
  readonly #place: Place;
  readonly #uses = new Map<Scalar, number>();
  /** Shared by all roots: what one of them computed the next ones know. */
  readonly #roots: Scope[] = [];

  constructor(writer: WgslWriter, kernel: Pick<Kernel, "name">, loads: Loads, place: Place) {
    this.#writer = writer;
    this.#kernel = kernel;
    this.#loads = loads;
    this.#place = place;
  }

  /** Writes what the roots need and gives their values: all of it is read and computed before any of it is stored. */
  emit(...roots: readonly Scalar[]): Value[] {
    const count = (node: Scalar): void => {
      this.#uses.set(node, (this.#uses.get(node) ?? 0) + 1);
    };
    for (const node of scalarsOf(...roots)) childrenOf(node).forEach(count);
    roots.forEach(count);
    return roots.map((root) => {
      const scope = new Scope(root, this.#roots.at(-1) ?? null);
      this.#roots.push(scope);
      return this.#value(root, scope);
    });
  }

  /** The value as one of four lanes where the place has lanes. */
  widened({ text, dtype, lanes }: Value): string {
    return lanes === 1 && this.#place.lane !== null ? splat(text, dtype, 4) : text;
  }

  #value(node: Scalar, scope: Scope): Value {
    const known = scope.find(node);
    if (known !== undefined) return known;
    const computed = this.#compute(node, scope);
    const isLong = lengthOf(computed.text) > inlineLength;
    const named = (this.#uses.get(node) ?? 0) > 1 || isLong ? this.#named(computed) : computed;
    scope.known.set(node, named);
    return named;
  }

  #named(value: Value): Value {
    return needsNoName.test(value.text) ? value : { ...value, text: this.#writer.local(value.text) };
  }

  /** Values with as many lanes each. Numerals among numerals get a name: the compiler would compute them, and refuse what overflows. */
  #together(nodes: readonly Scalar[], scope: Scope): { readonly texts: string[]; readonly lanes: Lanes } {
    const values = nodes.map((node) => this.#value(node, scope));
    const lanes: Lanes = values.some((value) => value.lanes === 4) ? 4 : 1;
    const texts = values.map((value) => (value.lanes === lanes ? value.text : splat(value.text, value.dtype, lanes)));
    if (texts.every(isNumeral)) texts[0] = this.#writer.local(texts[0] ?? "");
    return { texts, lanes };
  }

  #misuse(node: Scalar, wanted: string): EvenkeelError {
    return new EvenkeelError(
      "kernel",
      `webgpu kernel ${this.#kernel.name}: ${node.kind} of dtype ${node.dtype} where ${wanted} is needed.`,
    );
  }

  #compute(node: Scalar, scope: Scope): Value {
    const writer = this.#writer;
    const { dtype } = node;
    switch (node.kind) {
      case "literal":
        return { text: this.#literal(node.value, dtype), dtype, lanes: 1 };
      case "load":
        return this.#load(node, scope);
      case "gather":
        return this.#gather(node, scope);
      case "index":
        return this.#index(node);
      case "accumulator":
        if (this.#place.accumulator === null) throw this.#misuse(node, "a folded value where nothing was folded");
        return this.#place.accumulator;
      case "unary": {
        const { texts, lanes } = this.#together([node.x], scope);
        return { text: unaryText(writer, node.op, at(texts, 0), node.x.dtype, lanes), dtype, lanes };
      }
      case "binary": {
        const inverse = inverseOf(node);
        if (inverse !== null) {
          const { texts, lanes } = this.#together([node.x, inverse], scope);
          return { text: binaryText(writer, "multiply", at(texts, 0), at(texts, 1), dtype, lanes), dtype, lanes };
        }
        const { texts, lanes } = this.#together([node.x, node.y], scope);
        return { text: binaryText(writer, node.op, at(texts, 0), at(texts, 1), dtype, lanes), dtype, lanes };
      }
      case "compare": {
        const { texts, lanes } = this.#together([node.x, node.y], scope);
        return { text: compareText(node.op, at(texts, 0), at(texts, 1), node.x.dtype), dtype, lanes };
      }
      case "select": {
        const { texts, lanes } = this.#together([node.condition, node.x, node.y], scope);
        return { text: `select(${at(texts, 2)}, ${at(texts, 1)}, ${at(texts, 0)})`, dtype, lanes };
      }
      case "cast": {
        const { texts, lanes } = this.#together([node.x], scope);
        return { text: castText(writer, at(texts, 0), node.x.dtype, dtype, lanes), dtype, lanes };
      }
      case "shift": {
        const { texts, lanes } = this.#together([node.x], scope);
        const amount = splat(`${node.amount}u`, "u32", lanes);
        return { text: `(${at(texts, 0)} ${node.direction === "left" ? "<<" : ">>"} ${amount})`, dtype, lanes };
      }
      case "threefry":
        return this.#threefry(node, scope);
      case "region":
        return this.#region(node, scope);
      case "within":
        return this.#within(node, scope);
    }
  }

  #literal(value: number, dtype: DType): string {
    const rounded = dtype === "f32" ? Math.fround(value) : value;
    if (
      dtype !== "f32" || rounded === 0
        ? !Object.is(rounded, -0)
        : Math.abs(rounded) >= 2 ** -126 && Number.isFinite(rounded)
    ) {
      return numeral(rounded, dtype);
    }
    // Infinities and NaN have no literal, and compilers may take -0 for 0 and what is below 2^-126 for 0.
    const bits = new Uint32Array(Float32Array.of(rounded).buffer)[0] ?? 0;
    return this.#writer.call("fromBits", 1, `${bits}u`);
  }

  /** Whether an address moves with the lanes, and if so by how much from one to the next. */
  #stepOf({ coefficients }: Affine): number {
    return this.#place.lane === null ? 0 : at(coefficients, this.#place.lane.axis);
  }

  /** Whether the four neighbours may have different values. */
  #moves(node: Scalar): boolean {
    const { lane, accumulator } = this.#place;
    if (lane === null) return false;
    return scalarsOf(node).some((inner) =>
      inner.kind === "accumulator" ? accumulator?.lanes === 4 : movesAlong(inner, lane.axis),
    );
  }

  #address(affine: Affine): string {
    const { address, axes } = this.#place;
    return address === undefined ? addressText(affine, axes) : address(affine);
  }

  #load(node: Scalar & { kind: "load" }, { guard }: Scope): Value {
    const { dtype, operand } = node;
    const address = this.#address(node.at);
    const index = guard === null ? address : `select(0u, ${address}, ${guard})`;
    return this.#read(operand, dtype, this.#stepOf(node.at), index, () =>
      this.#loads.quad(operand, node.at, this.#place, index),
    );
  }

  #read(operand: number, dtype: DType, step: number, index: string, quad: () => string | null): Value {
    if (step === 0) return this.#fromStore(this.#loads.element(operand, index), dtype, 1);
    const whole = step === 1 ? quad() : null;
    if (whole !== null) return this.#fromStore(whole, dtype, 4);
    const first = this.#writer.atom(index);
    const elements = [0, 1, 2, 3].map((lane) => this.#loads.element(operand, offsetText(first, lane * step)));
    const stored = dtype === "bool" ? "u32" : dtype;
    return this.#fromStore(`${valueType(stored, 4)}(${elements.join(", ")})`, dtype, 4);
  }

  #fromStore(text: string, dtype: DType, lanes: Lanes): Value {
    return { text: dtype === "bool" ? `(${text} != ${splat("0u", "u32", lanes)})` : text, dtype, lanes };
  }

  #gather(node: Scalar & { kind: "gather" }, scope: Scope): Value {
    const { operand, dtype, stride, size } = node;
    const index = this.#value(node.index, scope);
    if (this.#place.lane !== null && index.lanes === 4)
      throw this.#misuse(node, "an index that is the same for four lanes");
    const row = `u32(clamp(${index.text}, 0i, ${size - 1}i))`;
    const address = `${this.#address(node.at)} + ${stride < 0 ? `0u - ${row} * ${-stride}u` : `${row} * ${stride}u`}`;
    return this.#read(operand, dtype, this.#stepOf(node.at), this.#writer.local(address), () => null);
  }

  #index(node: Scalar & { kind: "index" }): Value {
    const { dtype } = node;
    const address = this.#address(node.at);
    const step = this.#stepOf(node.at);
    const first = this.#writer.local(
      `bitcast<i32>(${address === `${node.at.offset}u` ? this.#writer.local(address) : address})`,
    );
    if (step === 0) return { text: castText(this.#writer, first, "i32", dtype, 1), dtype, lanes: 1 };
    const all = this.#writer.local(`${first} + ${step}i * vec4i(0i, 1i, 2i, 3i)`);
    return { text: castText(this.#writer, all, "i32", dtype, 4), dtype, lanes: 4 };
  }

  #threefry(node: Scalar & { kind: "threefry" }, scope: Scope): Value {
    const { texts, lanes } = this.#together([node.key0, node.key1, node.counter0, node.counter1], scope);
    const call = this.#writer.call("threefry", lanes, ...texts);
    const words = scope.findWords(call) ?? { text: this.#writer.local(call), dtype: "u32", lanes };
    scope.words.set(call, words);
    return { text: `${words.text}[${node.word}]`, dtype: "u32", lanes };
  }

  #region(node: Scalar & { kind: "region" }, scope: Scope): Value {
    const axis = at(this.#place.axes, node.axis);
    const start = Math.max(0, node.start);
    const stop = Math.min(axis.size, node.stop);
    if (start >= stop) return this.#value(node.outside, scope);
    if (start === 0 && stop === axis.size) return this.#value(node.inside, scope);
    if (node.axis === this.#place.lane?.axis && (start % 4 !== 0 || stop % 4 !== 0)) {
      throw this.#misuse(node, "a border between four lanes and the next four");
    }
    const coordinate =
      this.#place.address === undefined
        ? axis.text
        : this.#address({ offset: 0, coefficients: this.#place.axes.map((_, i) => Number(i === node.axis)) });
    const tests = [
      ...(start > 0 ? [`${coordinate} >= ${start}u`] : []),
      ...(stop < axis.size ? [`${coordinate} < ${stop}u`] : []),
    ];
    return this.#branch(tests.join(" && "), node, scope);
  }

  /** Both values are computed, and loads elsewhere read the first element: nothing waits for a test, and reads are under way together. */
  #within(node: Scalar & { kind: "within" }, scope: Scope): Value {
    // Four lanes are on one side of a border together (`lanes.ts`, `product/sides.ts`).
    const tests = [this.#test(node)];
    let { inside } = node;
    // A value with borders along several axes is one or the other.
    for (; inside.kind === "within" && isSameLiteral(inside.outside, node.outside); inside = inside.inside) {
      tests.push(this.#test(inside));
    }
    const isInside = this.#writer.local(tests.join(" & "));
    const value = (branch: Scalar, condition: string): Value => {
      const needsGuard = scope.guard !== null && branch.kind !== "literal";
      const guard = needsGuard ? this.#writer.local(`${scope.guard} & ${condition}`) : condition;
      return this.#value(branch, new Scope(branch, scope, guard));
    };
    const values = [value(node.outside, `!${isInside}`), value(inside, isInside)];
    const lanes: Lanes = values.some((each) => each.lanes === 4) ? 4 : 1;
    const [other, chosen] = values.map(({ text, dtype, lanes: own }) =>
      own === lanes ? text : splat(text, dtype, lanes),
    );
    return { text: `select(${other}, ${chosen}, ${isInside})`, dtype: node.dtype, lanes };
  }

  #test(node: Scalar & { kind: "within" }): string {
    // What is below the start wraps to more than there can be above it.
    return `(${this.#address(fromStart(node))} < ${Math.max(0, node.stop - node.start)}u)`;
  }

  #branch(test: string, node: Branch, scope: Scope): Value {
    this.#hoist(node, scope);
    const lanes: Lanes = this.#moves(node) ? 4 : 1;
    const { dtype } = node;
    const result = this.#writer.fresh();
    this.#writer.line(`var ${result}: ${valueType(dtype, lanes)};`);
    const assign = (branch: Scalar): void => {
      const value = this.#value(branch, new Scope(branch, scope));
      this.#writer.line(`${result} = ${value.lanes === lanes ? value.text : splat(value.text, dtype, lanes)};`);
    };
    this.#writer.open(`if (${test})`);
    assign(node.inside);
    this.#writer.close("} else {");
    assign(node.outside);
    this.#writer.close();
    return { text: result, dtype, lanes };
  }

  /**
   * Computes before a branching what is needed whatever happens: what both branches evaluate, and what a branch shares
   * with the code around it. Both are in bounds here, and nothing is written twice.
   */
  #hoist(node: Branch, scope: Scope): void {
    const inside = certainOf(node.inside);
    const outside = certainOf(node.outside);
    for (const inner of scalarsOf(node.inside, node.outside)) {
      if (inner.kind === "literal") continue;
      if ((inside.has(inner) && outside.has(inner)) || scope.certain.has(inner)) this.#value(inner, scope);
    }
  }
}

/**
 * What a division by a literal multiplies by instead: compilers may do so, or not, and the same kernel has the same bits wherever its
 * literal stands. Null if that isn't such a division, or nothing that compilers take for a number.
 */
function inverseOf(node: Scalar & { kind: "binary" }): Scalar | null {
  if (node.op !== "divide" || node.dtype !== "f32" || node.y.kind !== "literal") return null;
  const value = Math.fround(1 / Math.fround(node.y.value));
  const isNormal = Math.abs(value) >= 2 ** -126 && Number.isFinite(value);
  return isNormal ? { kind: "literal", dtype: "f32", value } : null;
}
/** How far a place is from where a border begins. */
export const fromStart = ({ at: affine, start }: Scalar & { kind: "within" }): Affine => {
  return { ...affine, offset: affine.offset - start };
};

const isSameLiteral = (one: Scalar, other: Scalar): boolean =>
  one.kind === "literal" && other.kind === "literal" && Object.is(one.value, other.value);

/** A u32 index moved by a whole number. */
const offsetText = (index: string, offset: number): string =>
  offset === 0 ? index : offset > 0 ? `${index} + ${offset}u` : `${index} - ${-offset}u`;
