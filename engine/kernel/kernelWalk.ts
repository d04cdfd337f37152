/**
 * The walk from a root to the values it loads, composing indices, for one choice of kernel axes. It ends with a kernel, or
 * by throwing what stands in the way.
 */
import type { DType } from "../graph/dtype.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { at, type Shape, sizeOf } from "../graph/shape.ts";
import { completeAffines } from "./completeAffines.ts";
import { convolution, matrixProduct } from "./multiplied.ts";
import {
  axisIndex,
  type AxisSymbol,
  type Bounds,
  boundsKey,
  combine,
  constantIndex,
  flatten,
  type Index,
  type IndexExpression,
  indexKey,
  isBijection,
  toAffine,
  unflatten,
} from "./indexing.ts";
import type { Affine, Operand, ReduceOp, Reduction, Scalar } from "./kernel.ts";
import { storageOf, viewBase } from "./views.ts";

/** A kernel before it is named and counted. `sources[i]` is the materialised node that operand i reads. */
export type LoweredKernel = {
  readonly parallel: readonly number[];
  readonly reduce: readonly number[];
  readonly sources: readonly Node[];
  readonly operands: readonly Operand[];
  readonly reduction: Reduction | null;
  /** What is stored, and where. */
  readonly value: Scalar;
  readonly at: Affine;
};

/** Nodes on one path through a kernel at most, views included: the walk is recursive, and the call stack ends. */
const deepest = 400;

type ReductionNode = Extract<Node, { readonly kind: "reduce" | "matmul" | "conv" | "scatterAdd" }>;

/** Thrown inside the walk: the kernel can't contain `node`. */
export class CannotFuse extends Error {
  readonly node: Node;
  constructor(node: Node) {
    super(`${node.kind} ${node.id} can't be part of this kernel`);
    this.node = node;
  }
}

/** Thrown inside the walk: start again with this axis in two parts. */
export class SplitAxis extends Error {
  readonly axis: AxisSymbol;
  readonly inner: number;
  constructor(axis: AxisSymbol, inner: number) {
    super(`axis ${axis.position} must be split`);
    this.axis = axis;
    this.inner = inner;
  }
}

/** How each axis of the root and of the reduction is cut into kernel axes, outermost first. */
export type AxisCuts = { readonly parallel: number[][]; readonly reduce: number[][] };

export class KernelWalk {
  /** Kernel axes of each axis of the root, and of each reduced axis. */
  readonly parallel: readonly (readonly AxisSymbol[])[];
  reduce: (readonly AxisSymbol[])[] = [];
  readonly #root: Node;
  readonly #isMaterialized: (node: Node) => boolean;
  readonly #cuts: AxisCuts;
  readonly #maySplit: boolean;
  readonly #sources: Node[] = [];
  readonly #memo = new Map<string, Scalar>();
  #depth = 0;
  #axisCount = 0;
  #reducing = false;
  #reduction: { readonly node: Node; readonly op: ReduceOp; readonly body: Scalar } | undefined;

  constructor(root: Node, isMaterialized: (node: Node) => boolean, cuts: AxisCuts, maySplit: boolean) {
    this.#root = root;
    this.#isMaterialized = isMaterialized;
    this.#cuts = cuts;
    this.#maySplit = maySplit;
    this.parallel = cuts.parallel.map((sizes) => this.#makeAxes(sizes));
  }

  lower(): LoweredKernel {
    const axes = this.parallel.map(indexOfParts);
    const index: Index = { kind: "axes", axes };
    const value = this.#expand(this.#root, index, new Map());
    const complete = completeAffines(this.#axisCount);
    const sizes = (groups: readonly (readonly AxisSymbol[])[]): number[] => groups.flat().map(({ size }) => size);
    const reduction = this.#reduction;
    return {
      parallel: sizes(this.parallel),
      reduce: sizes(this.reduce),
      sources: this.#sources,
      operands: this.#sources.map((source) => ({ dtype: source.dtype, length: sizeOf(source.shape) })),
      reduction: reduction === undefined ? null : { op: reduction.op, body: complete(reduction.body) },
      value: complete(value),
      at: toAffine(flatten(index, this.#root.shape), this.#axisCount),
    };
  }

  #makeAxes(sizes: readonly number[]): AxisSymbol[] {
    return sizes.map((size) => ({ size, position: this.#axisCount++ }));
  }

  /** The scalar for element `index` of `node`: a load if the node has memory, else its expression. */
  #value(node: Node, index: Index, bounds: Bounds): Scalar {
    const storage = storageOf(node);
    if (this.#hasMemory(storage)) return this.#load(storage, flatten(index, node.shape));
    return this.#expand(node, index, bounds);
  }

  #hasMemory(node: Node): boolean {
    return node !== this.#root && this.#isMaterialized(node);
  }

  #load(storage: Node, address: IndexExpression): Scalar {
    return {
      kind: "load",
      dtype: storage.dtype,
      operand: this.#operandOf(storage),
      at: toAffine(address, this.#axisCount),
    };
  }

  #operandOf(storage: Node): number {
    const known = this.#sources.indexOf(storage);
    return known >= 0 ? known : this.#sources.push(storage) - 1;
  }

  #expand(node: Node, index: Index, bounds: Bounds): Scalar {
    const key = `${node.id}|${indexKey(index)}|${boundsKey(bounds)}`;
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    // A reshape has the memory of what is behind it, and what reads nothing ends the walk.
    if (this.#depth >= deepest && node.kind !== "reshape" && node.inputs.length > 0) throw new CannotFuse(node);
    this.#depth++;
    const scalar = this.#scalar(node, index, bounds);
    this.#depth--;
    this.#memo.set(key, scalar);
    return scalar;
  }

  #scalar(node: Node, index: Index, bounds: Bounds): Scalar {
    const dtype = node.dtype;
    switch (node.kind) {
      case "constant":
      case "input":
        return this.#load(node, flatten(index, node.shape));
      case "literal":
        return { kind: "literal", dtype, value: node.attributes.value };
      case "iota":
        return this.#iota(dtype, at(this.#axes(node, index, bounds), node.attributes.axis));
      case "unary":
        return { kind: "unary", dtype, op: node.attributes.op, x: this.#value(node.inputs[0], index, bounds) };
      case "binary": {
        const [x, y] = this.#values(node.inputs, index, bounds);
        return { kind: "binary", dtype, op: node.attributes.op, x, y };
      }
      case "compare": {
        const [x, y] = this.#values(node.inputs, index, bounds);
        return { kind: "compare", dtype: "bool", op: node.attributes.op, x, y };
      }
      case "select": {
        const [condition, x, y] = node.inputs;
        return {
          kind: "select",
          dtype,
          condition: this.#value(condition, index, bounds),
          x: this.#value(x, index, bounds),
          y: this.#value(y, index, bounds),
        };
      }
      case "cast":
        return { kind: "cast", dtype, x: this.#value(node.inputs[0], index, bounds) };
      case "shift": {
        const { direction, amount } = node.attributes;
        return { kind: "shift", dtype, direction, amount, x: this.#value(node.inputs[0], index, bounds) };
      }
      case "threefry": {
        const [key0, key1, counter0, counter1] = node.inputs;
        return {
          kind: "threefry",
          dtype: "u32",
          word: node.attributes.word,
          key0: this.#value(key0, index, bounds),
          key1: this.#value(key1, index, bounds),
          counter0: this.#value(counter0, index, bounds),
          counter1: this.#value(counter1, index, bounds),
        };
      }
      case "stopGradient":
        return this.#value(node.inputs[0], index, bounds);
      case "reshape":
        return this.#value(node.inputs[0], { kind: "flat", flat: flatten(index, node.shape) }, bounds);
      case "permute": {
        const axes = this.#axes(node, index, bounds);
        const moved = node.attributes.order.map((_, axis) => at(axes, node.attributes.order.indexOf(axis)));
        return this.#value(node.inputs[0], { kind: "axes", axes: moved }, bounds);
      }
      case "expand": {
        const { shape } = node.inputs[0];
        if (sizeOf(shape) === 1) {
          return this.#value(node.inputs[0], { kind: "axes", axes: shape.map(() => constantIndex(0)) }, bounds);
        }
        const axes = this.#axes(node, index, bounds);
        const fixed = axes.map((expression, axis) => (shape[axis] === 1 ? constantIndex(0) : expression));
        return this.#value(node.inputs[0], { kind: "axes", axes: fixed }, bounds);
      }
      case "slice": {
        const { start, step } = node.attributes;
        const axes = this.#axes(node, index, bounds).map((expression, axis) =>
          combine(expression, at(step, axis), constantIndex(at(start, axis))),
        );
        return this.#value(node.inputs[0], { kind: "axes", axes }, bounds);
      }
      case "pad":
        return this.#pad(node, this.#axes(node, index, bounds), bounds, 0);
      case "concat":
        return this.#concat(node, this.#axes(node, index, bounds), bounds, 0, 0);
      case "gather":
        return this.#gather(node, this.#axes(node, index, bounds), bounds);
      case "reduce":
      case "matmul":
      case "conv":
      case "scatterAdd":
        return this.#reduceNode(node, index, bounds);
    }
  }

  #values(inputs: readonly [Node, Node], index: Index, bounds: Bounds): readonly [Scalar, Scalar] {
    return [this.#value(inputs[0], index, bounds), this.#value(inputs[1], index, bounds)];
  }

  #iota(dtype: DType, expression: IndexExpression): Scalar {
    return { kind: "index", dtype, at: toAffine(expression, this.#axisCount) };
  }

  /** The index per axis of `node`. */
  #axes(node: Node, index: Index, bounds: Bounds): readonly IndexExpression[] {
    return index.kind === "axes" ? index.axes : this.#unflatten(index.flat, node.shape, bounds, node);
  }

  #unflatten(flat: IndexExpression, shape: Shape, bounds: Bounds, culprit: Node): readonly IndexExpression[] {
    const result = unflatten(flat, shape, bounds);
    if (result.kind === "axes") return result.axes;
    if (result.kind === "split" && this.#maySplit) throw new SplitAxis(result.axis, result.inner);
    throw new CannotFuse(culprit);
  }

  /** The one kernel axis that an index follows one to one, or undefined if it is constant. */
  #plainAxis(node: Node, expression: IndexExpression): AxisSymbol | undefined {
    const [term, ...others] = expression.terms;
    if (term === undefined) return undefined;
    if (others.length > 0 || term.coefficient !== 1) throw new CannotFuse(node);
    return term.axis;
  }

  /** `inside` where start <= expression < stop, else `outside`; each is asked for only where it can occur. */
  #region(
    node: Node,
    expression: IndexExpression,
    range: { readonly start: number; readonly stop: number },
    bounds: Bounds,
    inside: (bounds: Bounds) => Scalar,
    outside: (bounds: Bounds) => Scalar,
  ): Scalar {
    const axis = this.#plainAxis(node, expression);
    if (axis === undefined) {
      return expression.offset >= range.start && expression.offset < range.stop ? inside(bounds) : outside(bounds);
    }
    const known = bounds.get(axis) ?? { start: 0, stop: axis.size };
    const start = Math.max(known.start, range.start - expression.offset);
    const stop = Math.min(known.stop, range.stop - expression.offset);
    if (start >= stop) return outside(bounds);
    if (start === known.start && stop === known.stop) return inside(bounds);
    return {
      kind: "region",
      dtype: node.dtype,
      axis: axis.position,
      start,
      stop,
      inside: inside(new Map([...bounds, [axis, { start, stop }]])),
      outside: outside(bounds),
    };
  }

  #pad(node: NodeOf<"pad">, axes: readonly IndexExpression[], bounds: Bounds, axis: number): Scalar {
    const { low, high, value } = node.attributes;
    const [x] = node.inputs;
    const next = axes.findIndex((_, a) => a >= axis && (at(low, a) > 0 || at(high, a) > 0));
    if (next < 0) return this.#value(x, { kind: "axes", axes }, bounds);
    const start = at(low, next);
    const shifted = axes.map((expression, a) =>
      a === next ? combine(expression, 1, constantIndex(-start)) : expression,
    );
    return this.#region(
      node,
      at(axes, next),
      { start, stop: start + at(x.shape, next) },
      bounds,
      (inner) => this.#pad(node, shifted, inner, next + 1),
      () => ({ kind: "literal", dtype: node.dtype, value }),
    );
  }

  #concat(
    node: NodeOf<"concat">,
    axes: readonly IndexExpression[],
    bounds: Bounds,
    part: number,
    start: number,
  ): Scalar {
    const { axis } = node.attributes;
    const x = at(node.inputs, part);
    const stop = start + at(x.shape, axis);
    const shifted = axes.map((expression, a) =>
      a === axis ? combine(expression, 1, constantIndex(-start)) : expression,
    );
    const value = (inner: Bounds): Scalar => this.#value(x, { kind: "axes", axes: shifted }, inner);
    if (part === node.inputs.length - 1) {
      const symbol = this.#plainAxis(node, at(axes, axis));
      const first = start - at(axes, axis).offset;
      return value(
        symbol === undefined || first <= 0
          ? bounds
          : new Map([...bounds, [symbol, { start: first, stop: symbol.size }]]),
      );
    }
    return this.#region(node, at(axes, axis), { start, stop }, bounds, value, (outer) =>
      this.#concat(node, axes, outer, part + 1, stop),
    );
  }

  #gather(node: NodeOf<"gather">, axes: readonly IndexExpression[], bounds: Bounds): Scalar {
    const [x, index] = node.inputs;
    const { axis } = node.attributes;
    const row = this.#value(index, { kind: "axes", axes: [at(axes, axis)] }, bounds);
    const storage = storageOf(x);
    if (!this.#hasMemory(storage)) throw new CannotFuse(storage);
    const base = axes.map((expression, a) => (a === axis ? constantIndex(0) : expression));
    return {
      kind: "gather",
      dtype: node.dtype,
      operand: this.#operandOf(storage),
      at: toAffine(flatten({ kind: "axes", axes: base }, x.shape), this.#axisCount),
      index: row,
      stride: sizeOf(x.shape.slice(axis + 1)),
      size: at(x.shape, axis),
    };
  }

  #reduceNode(node: ReductionNode, index: Index, bounds: Bounds): Scalar {
    const flat = flatten(index, node.shape);
    const second = this.#reducing || (this.#reduction !== undefined && this.#reduction.node !== node);
    if (second || bounds.size > 0 || !isBijection(flat, this.parallel.flat(), sizeOf(node.shape))) {
      throw new CannotFuse(node);
    }
    if (this.#reduction === undefined) {
      const axes = this.#axes(node, index, bounds);
      this.#reducing = true;
      const [op, body] = this.#reduceBody(node, axes);
      this.#reducing = false;
      this.#reduction = { node, op, body };
    }
    return { kind: "accumulator", dtype: node.dtype };
  }

  #reduceBody(node: ReductionNode, axes: readonly IndexExpression[]): [ReduceOp, Scalar] {
    const none: Bounds = new Map();
    switch (node.kind) {
      case "reduce": {
        const [x] = node.inputs;
        const reduced = this.#reduceAxes(node.attributes.axes.map((axis) => at(x.shape, axis)));
        const inner = axes.map((expression, axis) => {
          const place = node.attributes.axes.indexOf(axis);
          return place < 0 ? expression : at(reduced, place);
        });
        return [node.attributes.op, this.#value(x, { kind: "axes", axes: inner }, none)];
      }
      case "scatterAdd":
        return ["sum", this.#scattered(node, axes)];
      case "matmul":
      case "conv": {
        const group = node.kind === "conv" ? this.#groupOf(node, axes) : constantIndex(0);
        const { reduceSizes, indices } =
          node.kind === "conv" ? convolution(node, axes, group) : matrixProduct(node, axes);
        const [left, right] = indices(this.#reduceAxes(reduceSizes));
        const [a, b] = node.inputs;
        return [
          "sum",
          { kind: "binary", dtype: "f32", op: "multiply", x: this.#operand(a, left), y: this.#operand(b, right) },
        ];
      }
    }
  }

  /** The value of a taken row if its index is that of the result's row, else 0. */
  #scattered(
    { inputs: [values, index], attributes: { axis }, dtype }: NodeOf<"scatterAdd">,
    axes: readonly IndexExpression[],
  ): Scalar {
    const [taken] = this.#reduceAxes(index.shape);
    const place = taken ?? constantIndex(0);
    return {
      kind: "select",
      dtype,
      condition: {
        kind: "compare",
        dtype: "bool",
        op: "equal",
        x: this.#operand(index, [place]),
        y: this.#iota("i32", at(axes, axis)),
      },
      x: this.#operand(values, axes.with(axis, place)),
      y: { kind: "literal", dtype, value: 0 },
    };
  }

  /** The group of an output channel, which is axis 1 of an image and axis 0 of a filter. */
  #groupOf(node: NodeOf<"conv">, axes: readonly IndexExpression[]): IndexExpression {
    const { role, geometry } = node.attributes;
    if (geometry.groups === 1) return constantIndex(0);
    const axis = role === "filterGradient" ? 0 : 1;
    const channels = at(node.shape, axis) / geometry.groups;
    return at(this.#unflatten(at(axes, axis), [geometry.groups, channels], new Map(), node), 0);
  }

  /** An operand of a contraction or a scatter is read many times, so it must be memory, seen through views at most. */
  #operand(node: Node, axes: readonly IndexExpression[]): Scalar {
    const scalar = this.#value(node, { kind: "axes", axes }, new Map());
    if (scalar.kind !== "load" && scalar.kind !== "literal") throw new CannotFuse(viewBase(node));
    return scalar;
  }

  #reduceAxes(sizes: readonly number[]): IndexExpression[] {
    const cuts = this.#cuts.reduce.length > 0 ? this.#cuts.reduce : sizes.map((size) => [size]);
    this.reduce = cuts.map((parts) => this.#makeAxes(parts));
    return this.reduce.map(indexOfParts);
  }
}

/** The index of an axis that is cut into parts, outermost first. */
function indexOfParts(parts: readonly AxisSymbol[]): IndexExpression {
  return parts.reduce((sum, part) => combine(sum, part.size, axisIndex(part)), constantIndex(0));
}
