/**
 * Scalar expressions to statements. A node that is used more than once becomes a local in the scope where it is needed;
 * branches of a `region` are scopes of their own, as their loads may be out of bounds elsewhere.
 */
import { at } from "../../../graph/shape.ts";
import { isInteger } from "../../../graph/dtype.ts";
import type { Kernel, Scalar } from "../../../kernel/kernel.ts";
import { childrenOf, scalarsOf } from "../../../kernel/scalar.ts";
import { EvenkeelError } from "../../../errors.ts";
import { affineBound, affineText, type AxisText, isConstant } from "./addresses.ts";
import { binaryLimbs, unaryLimbs } from "./limbOps.ts";
import { coordinateToLimbs, limbsToBool, limbsToNumber, numberToLimbs, wholeToLimbs } from "./limbCasts.ts";
import * as limbs from "./limbs.ts";
import type { Limbs } from "./limbs.ts";
import { binaryNumber, compareCondition, unaryNumber } from "./numberOps.ts";
import { numberText } from "./numbers.ts";
import type { KernelWriter } from "./writer.ts";

/** What a scalar became: the text of one number (f32, bool), or limbs (i32, u32). */
export type Value = { readonly kind: "number"; readonly text: string } | ({ readonly kind: "limbs" } & Limbs);

/** Whole numbers up to here are exact in f32. */
const exactLimit = 2 ** 24;
/** Longer expressions are given a name, for readers and for gpu.js, whose type inference is quadratic in depth. */
const inlineLength = 60;

function isLiteral(text: string): boolean {
  return /^\(?-?\d/.test(text);
}

/** Statements of one block: what was computed here or in a block around it is known. */
class Scope {
  readonly outer: Scope | null;
  readonly known = new Map<Scalar, Value>();
  readonly words = new Map<string, string>();
  /** Nodes that this block evaluates whatever happens. */
  readonly certain: ReadonlySet<Scalar>;

  constructor(root: Scalar, outer: Scope | null) {
    this.outer = outer;
    this.certain = certainOf(root);
  }

  find(node: Scalar): Value | undefined {
    return this.known.get(node) ?? this.outer?.find(node);
  }

  findWords(call: string): string | undefined {
    return this.words.get(call) ?? this.outer?.findWords(call);
  }
}

/** `root` and what it evaluates without entering a branch. */
function certainOf(root: Scalar): ReadonlySet<Scalar> {
  const certain = new Set<Scalar>();
  const visit = (node: Scalar): void => {
    if (certain.has(node)) return;
    certain.add(node);
    if (node.kind !== "region") childrenOf(node).forEach(visit);
  };
  visit(root);
  return certain;
}

export class ScalarEmitter {
  private readonly writer: KernelWriter;
  private readonly kernel: Kernel;
  private readonly axes: readonly AxisText[];
  private readonly accumulator: Value | null;
  private readonly uses = new Map<Scalar, number>();

  /** `axes[a]` is the text of kernel axis a; `accumulator` the folded value, in what is stored. */
  constructor(writer: KernelWriter, kernel: Kernel, axes: readonly AxisText[], accumulator: Value | null) {
    this.writer = writer;
    this.kernel = kernel;
    this.axes = axes;
    this.accumulator = accumulator;
  }

  /** Writes what `root` needs and gives its value. */
  emit(root: Scalar): Value {
    for (const node of scalarsOf(root)) {
      for (const child of childrenOf(node)) this.uses.set(child, (this.uses.get(child) ?? 0) + 1);
    }
    return this.value(root, new Scope(root, null));
  }

  private value(node: Scalar, scope: Scope): Value {
    const known = scope.find(node);
    if (known !== undefined) return known;
    const computed = this.compute(node, scope);
    const named = (this.uses.get(node) ?? 0) > 1 ? this.named(computed) : computed;
    scope.known.set(node, named);
    return named;
  }

  private named(value: Value): Value {
    if (value.kind === "number") return { kind: "number", text: this.writer.atom(value.text) };
    return { kind: "limbs", ...limbs.atomLimbs(this.writer, value) };
  }

  private number(node: Scalar, scope: Scope): string {
    const value = this.value(node, scope);
    if (value.kind !== "number") throw this.misuse(node, "a number");
    return value.text;
  }

  private atom(node: Scalar, scope: Scope): string {
    return this.writer.atom(this.number(node, scope));
  }

  private limbs(node: Scalar, scope: Scope): Limbs {
    const value = this.value(node, scope);
    if (value.kind !== "limbs") throw this.misuse(node, "an integer");
    return limbs.atomLimbs(this.writer, value);
  }

  /**
   * The limbs as names. gpu.js types an operation on two whole literals as an integer one, which may overflow, so
   * literals that meet others get a name, which makes them f32.
   */
  private namedLimbs(node: Scalar, scope: Scope): Limbs {
    const { high, low } = this.limbs(node, scope);
    return { high: this.nameOfLiteral(high), low: this.nameOfLiteral(low) };
  }

  private limbPair(x: Scalar, y: Scalar, scope: Scope): readonly [Limbs, Limbs] {
    const first = this.limbs(x, scope);
    const second = this.limbs(y, scope);
    return [{ high: this.apart(first.high, second.high), low: this.apart(first.low, second.low) }, second];
  }

  private numberPair(x: Scalar, y: Scalar, scope: Scope): readonly [string, string] {
    const first = this.number(x, scope);
    const second = this.number(y, scope);
    return [this.apart(first, second), second];
  }

  /** `text`, by a name if it and `other` are literals. */
  private apart(text: string, other: string): string {
    return isLiteral(other) ? this.nameOfLiteral(text) : text;
  }

  private nameOfLiteral(text: string): string {
    return isLiteral(text) ? this.writer.local(text) : text;
  }

  private misuse(node: Scalar, wanted: string): EvenkeelError {
    return new EvenkeelError(
      "kernel",
      `gpu.js kernel ${this.kernel.name}: ${node.kind} of dtype ${node.dtype} where ${wanted} is needed.`,
    );
  }

  private wrap(text: string): Value {
    return { kind: "number", text: text.length > inlineLength ? this.writer.atom(text) : text };
  }

  private compute(node: Scalar, scope: Scope): Value {
    const { writer } = this;
    switch (node.kind) {
      case "literal":
        return isInteger(node.dtype)
          ? { kind: "limbs", ...limbs.literalLimbs(node.value) }
          : { kind: "number", text: numberText(writer, node.value) };
      case "load":
        return this.read(node.operand, node.dtype, (offset) => affineText(node.at, this.axes, node.at.offset + offset));
      case "gather":
        return this.gather(node, scope);
      case "index":
        return this.index(node);
      case "accumulator":
        if (this.accumulator === null) throw this.misuse(node, "a folded value where nothing was folded");
        return this.accumulator;
      case "unary": {
        if (!isInteger(node.x.dtype)) {
          // Compilers of shaders evaluate functions of literals themselves: WGSL refuses sqrt(-1), and -0 becomes 0.
          const x = this.nameOfLiteral(this.number(node.x, scope));
          return this.wrap(unaryNumber(writer, node.op, x));
        }
        const result = unaryLimbs(writer, node.op, this.namedLimbs(node.x, scope), node.x.dtype === "i32");
        if (result === null) throw this.misuse(node.x, `an operand of ${node.op}`);
        return { kind: "limbs", ...result };
      }
      case "binary": {
        if (!isInteger(node.dtype)) {
          return this.wrap(binaryNumber(writer, node.op, ...this.numberPair(node.x, node.y, scope)));
        }
        const pair = this.limbPair(node.x, node.y, scope);
        const result = binaryLimbs(writer, node.op, ...pair, node.dtype === "i32");
        if (result === null) throw this.misuse(node.x, `an operand of ${node.op}`);
        return { kind: "limbs", ...result };
      }
      case "compare":
        return { kind: "number", text: writer.local(`(${this.condition(node, scope)} ? 1 : 0)`) };
      case "select": {
        if (isInteger(node.dtype)) {
          const condition = `${this.atom(node.condition, scope)} > 0.5`;
          const pair = this.limbPair(node.x, node.y, scope);
          return { kind: "limbs", ...limbs.selectLimbs(writer, condition, ...pair) };
        }
        const once = this.uses.get(node.condition) === 1 && scope.find(node.condition) === undefined;
        const condition =
          node.condition.kind === "compare" && once
            ? this.condition(node.condition, scope)
            : `${this.number(node.condition, scope)} > 0.5`;
        const [x, y] = this.numberPair(node.x, node.y, scope);
        return { kind: "number", text: writer.local(`(${condition} ? ${x} : ${y})`) };
      }
      case "cast":
        return this.cast(node, scope);
      case "shift": {
        const x = this.namedLimbs(node.x, scope);
        return {
          kind: "limbs",
          ...(node.direction === "left"
            ? limbs.shiftLeftLimbs(writer, x, node.amount)
            : limbs.shiftRightLimbs(writer, x, node.amount, node.dtype === "i32")),
        };
      }
      case "threefry": {
        const words = [node.key0, node.key1, node.counter0, node.counter1].flatMap((word) => {
          const { high, low } = this.limbs(word, scope);
          return [high, low];
        });
        const call = writer.call("threefry", ...words);
        const vector = scope.findWords(call) ?? writer.local(call);
        scope.words.set(call, vector);
        return { kind: "limbs", high: `${vector}[${2 * node.word}]`, low: `${vector}[${2 * node.word + 1}]` };
      }
      case "region":
        return this.region(node, scope);
      case "within":
        throw new Error("a border within the factor of a product, for a device that reads these from memory");
    }
  }

  /** An element; `index` gives the text of its word's index in the plane that starts at the given word. */
  private read(operand: number, dtype: Scalar["dtype"], index: (planeOffset: number) => string): Value {
    if (!isInteger(dtype)) return this.wrap(`a${operand}[${index(0)}]`);
    const length = at(this.kernel.operands, operand).length;
    return {
      kind: "limbs",
      high: this.writer.local(`a${operand}[${index(0)}]`),
      low: this.writer.local(`a${operand}[${index(length)}]`),
    };
  }

  private gather(node: Scalar & { kind: "gather" }, scope: Scope): Value {
    if (node.size > exactLimit) {
      throw new EvenkeelError(
        "kernel",
        `gpu.js kernel ${this.kernel.name}: gather from an axis of ${node.size} elements, at most ${exactLimit} have exact ` +
          "indices there. Split the axis, or use the wasm device.",
      );
    }
    // Rounding an index beyond 2^24 doesn't bring it back into the axis.
    const index = limbsToNumber(this.writer, this.namedLimbs(node.index, scope), true);
    const last = node.size - 1;
    const clamped = this.writer.local(`(${index} < 0 ? 0 : (${index} > ${last} ? ${last} : ${index}))`);
    const row = this.writer.mode === "cpu" ? clamped : this.writer.call("whole", clamped);
    const at = (offset: number): string =>
      `${row}${node.stride === 1 ? "" : ` * ${node.stride}`} + ${affineText(node.at, this.axes, node.at.offset + offset)}`.replace(
        / \+ 0$/,
        "",
      );
    return this.read(node.operand, node.dtype, at);
  }

  private index(node: Scalar & { kind: "index" }): Value {
    const { writer } = this;
    if (isConstant(node.at, this.axes)) {
      if (isInteger(node.dtype)) return { kind: "limbs", ...limbs.literalLimbs(node.at.offset) };
      const value = node.dtype === "bool" ? Number(node.at.offset !== 0) : node.at.offset;
      return { kind: "number", text: writer.local(numberText(writer, value)) };
    }
    // A local of gpu.js is an f32, so declaring one converts.
    if (node.dtype === "f32") return { kind: "number", text: writer.local(affineText(node.at, this.axes)) };
    if (node.dtype === "bool") {
      return { kind: "number", text: writer.local(`(${writer.local(affineText(node.at, this.axes))} === 0 ? 0 : 1)`) };
    }
    if (affineBound(node.at, this.axes) <= exactLimit) {
      return { kind: "limbs", ...wholeToLimbs(writer, writer.local(affineText(node.at, this.axes))) };
    }
    // In limbs, term by term. Only webgpu and cpu have axes whose coordinates an f32 doesn't hold.
    let sum: Limbs = limbs.literalLimbs(node.at.offset);
    node.at.coefficients.forEach((coefficient, axis) => {
      const { text, size } = this.axes[axis] ?? { text: "0", size: 1 };
      if (coefficient === 0 || text === "0") return;
      const coordinate = size > exactLimit ? coordinateToLimbs(writer, text) : wholeToLimbs(writer, writer.local(text));
      sum = limbs.addLimbs(writer, limbs.multiplyLimbs(writer, coordinate, limbs.literalLimbs(coefficient)), sum);
    });
    return { kind: "limbs", ...sum };
  }

  private condition(node: Scalar & { kind: "compare" }, scope: Scope): string {
    if (!isInteger(node.x.dtype)) return compareCondition(node.op, ...this.numberPair(node.x, node.y, scope));
    const pair = this.limbPair(node.x, node.y, scope);
    return compareCondition(node.op, limbs.differenceOfLimbs(this.writer, ...pair, node.x.dtype === "i32"), "0");
  }

  private cast(node: Scalar & { kind: "cast" }, scope: Scope): Value {
    const from = node.x.dtype;
    const to = node.dtype;
    if (isInteger(from)) {
      const x = this.namedLimbs(node.x, scope);
      if (isInteger(to)) return { kind: "limbs", ...x };
      const text = to === "bool" ? limbsToBool(this.writer, x) : limbsToNumber(this.writer, x, from === "i32");
      return { kind: "number", text };
    }
    const x = this.number(node.x, scope);
    if (to === from || (from === "bool" && to === "f32")) return { kind: "number", text: x };
    if (to === "bool") return { kind: "number", text: this.writer.local(`(${this.writer.atom(x)} === 0 ? 0 : 1)`) };
    if (from === "bool") return { kind: "limbs", high: "0", low: this.writer.atom(x) };
    return { kind: "limbs", ...numberToLimbs(this.writer, this.writer.local(x), to === "i32") };
  }

  private region(node: Scalar & { kind: "region" }, scope: Scope): Value {
    const axis = this.axes[node.axis] ?? { text: "0", size: 1 };
    const start = Math.max(0, node.start);
    const stop = Math.min(axis.size, node.stop);
    if (start >= stop) return this.value(node.outside, scope);
    if (start === 0 && stop === axis.size) return this.value(node.inside, scope);
    this.hoist(node, scope);
    const tests = [
      ...(start > 0 ? [`${axis.text} >= ${start}`] : []),
      ...(stop < axis.size ? [`${axis.text} < ${stop}`] : []),
    ];
    const { writer } = this;
    if (isInteger(node.dtype)) {
      const high = writer.variable("0");
      const low = writer.variable("0");
      const assign = (branch: Scalar): void => {
        const value = this.limbs(branch, new Scope(branch, scope));
        writer.line(`${high} = ${value.high};`);
        writer.line(`${low} = ${value.low};`);
      };
      this.branches(tests.join(" && "), node, assign);
      return { kind: "limbs", high, low };
    }
    const result = writer.variable("0");
    this.branches(tests.join(" && "), node, (branch) => {
      writer.line(`${result} = ${this.number(branch, new Scope(branch, scope))};`);
    });
    return { kind: "number", text: result };
  }

  private branches(test: string, node: Scalar & { kind: "region" }, assign: (branch: Scalar) => void): void {
    this.writer.open(`if (${test})`);
    assign(node.inside);
    this.writer.close("} else {");
    assign(node.outside);
    this.writer.close();
  }

  /**
   * Computes before a branching what is needed whatever happens: what both branches evaluate, and what a branch shares
   * with the code around it. Both are in bounds here, and nothing is written twice.
   */
  private hoist(node: Scalar & { kind: "region" }, scope: Scope): void {
    const inside = certainOf(node.inside);
    const outside = certainOf(node.outside);
    for (const inner of scalarsOf(node.inside, node.outside)) {
      if (inner.kind === "literal") continue;
      if ((inside.has(inner) && outside.has(inner)) || scope.certain.has(inner)) this.value(inner, scope);
    }
  }
}
