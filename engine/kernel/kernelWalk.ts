/**
 * The walk from a root to the values it loads, composing indices, for one choice of kernel axes. It ends with a kernel, or
 * by throwing what stands in the way.
 */
import type { DType } from "../graph/dtype.ts";
import { neutralElement } from "../graph/neutralElement.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { at, sameShape, type Shape, sizeOf } from "../graph/shape.ts";
import { concatenated, padded, type ValueOf } from "./borders.ts";
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
import { CannotFuse, SplitAxis } from "./obstacles.ts";
import { storageBehind, viewBase } from "./views.ts";

/** A kernel before it is named and counted. `sources[i]` is the materialised node that operand i reads. */
export type LoweredKernel = {
  readonly parallel: readonly number[];
  readonly reduce: readonly number[];
  readonly sources: readonly Node[];
  /** Values that must have been computed before, though the kernel doesn't read them. */
  readonly gates: readonly Node[];
  readonly operands: readonly Operand[];
  readonly reduction: Reduction | null;
  /** What is stored, and where. */
  readonly value: Scalar;
  readonly at: Affine;
};

/** Nodes on one path through a kernel at most, views included: the walk is recursive, and the call stack ends. */
const deepest = 400;

type ReductionNode = Extract<Node, { readonly kind: "reduce" | "matmul" | "conv" | "scatter" }>;

/** How each axis of the root and of the reduction is cut into kernel axes, outermost first. */
export type AxisCuts = { readonly parallel: number[][]; readonly reduce: number[][] };

/** An element of a value, in a part of the kernel's loops, and the expressions for that element of the nodes met there. */
type Place = {
  readonly index: Index;
  readonly bounds: Bounds;
  readonly values: Map<Node, Scalar>;
  /** Of the shape last asked for. */
  address: { readonly shape: Shape; readonly at: Affine } | undefined;
};

const noBounds: Bounds = new Map();

export class KernelWalk {
  /** Kernel axes of each axis of the root, and of each reduced axis. */
  readonly parallel: readonly (readonly AxisSymbol[])[];
  reduce: (readonly AxisSymbol[])[] = [];
  readonly #root: Node;
  readonly #isMaterialized: (node: Node) => boolean;
  readonly #cuts: AxisCuts;
  readonly #maySplit: boolean;
  readonly #sources: Node[] = [];
  readonly #gates = new Set<Node>();
  readonly #places = new Map<string, Place>();
  readonly #stored = new Set<Node>();
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
    const value = this.#expand(this.#root, this.#place(index, noBounds));
    const isWhole = this.reduce.length === 0;
    const complete = isWhole ? (scalar: Scalar) => scalar : completeAffines(this.#axisCount);
    const sizes = (groups: readonly (readonly AxisSymbol[])[]): number[] => groups.flat().map(({ size }) => size);
    const reduction = this.#reduction;
    return {
      parallel: sizes(this.parallel),
      reduce: sizes(this.reduce),
      sources: this.#sources,
      gates: [...this.#gates],
      operands: this.#sources.map((source) => ({ dtype: source.dtype, length: sizeOf(source.shape) })),
      reduction: reduction === undefined ? null : { op: reduction.op, body: complete(reduction.body) },
      value: complete(value),
      at: this.#affine(flatten(index, this.#root.shape)),
    };
  }

  /** Reductions that the kernel reads though they have no memory: they must be given some. */
  get stored(): readonly Node[] {
    return [...this.#stored];
  }

  #makeAxes(sizes: readonly number[]): AxisSymbol[] {
    return sizes.map((size) => ({ size, position: this.#axisCount++ }));
  }

  /** The scalar for element `place` of `node`: a load if the node has memory, else its expression. */
  #value(node: Node, place: Place): Scalar {
    const storage = this.#storageOf(node);
    if (this.#hasMemory(storage)) return this.#load(storage, this.#address(node, place));
    return this.#expand(node, place);
  }

  #valueAt(node: Node, index: Index, bounds: Bounds): Scalar {
    const storage = this.#storageOf(node);
    if (this.#hasMemory(storage)) return this.#load(storage, this.#affine(flatten(index, node.shape)));
    return this.#expand(node, this.#place(index, bounds));
  }

  /** Notes what barriers on the way wait for. */
  #storageOf(node: Node): Node {
    return storageBehind(node, (after) => this.#gates.add(after));
  }

  readonly #valueOf: ValueOf = (node, axes, bounds) => this.#valueAt(node, { kind: "axes", axes }, bounds);

  #place(index: Index, bounds: Bounds): Place {
    const key = `${indexKey(index)}|${boundsKey(bounds)}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const place: Place = { index, bounds, values: new Map(), address: undefined };
    this.#places.set(key, place);
    return place;
  }

  /** Where a place is in the memory of `node`. Most nodes that are read there have one shape. */
  #address({ shape }: Node, place: Place): Affine {
    const { address } = place;
    if (address !== undefined && sameShape(address.shape, shape)) return address.at;
    const found = this.#affine(flatten(place.index, shape));
    place.address = { shape, at: found };
    return found;
  }

  #affine(expression: IndexExpression): Affine {
    return toAffine(expression, this.#axisCount);
  }

  #hasMemory(node: Node): boolean {
    return node !== this.#root && (this.#isMaterialized(node) || this.#stored.has(node));
  }

  #load(storage: Node, address: Affine): Scalar {
    return { kind: "load", dtype: storage.dtype, operand: this.#operandOf(storage), at: address };
  }

  #operandOf(storage: Node): number {
    const known = this.#sources.indexOf(storage);
    return known >= 0 ? known : this.#sources.push(storage) - 1;
  }

  #expand(node: Node, place: Place): Scalar {
    const known = place.values.get(node);
    if (known !== undefined) return known;
    // A reshape has the memory of what is behind it, and what reads nothing ends the walk.
    if (this.#depth >= deepest && node.kind !== "reshape" && node.inputs.length > 0) throw new CannotFuse(node);
    this.#depth++;
    const scalar = this.#scalar(node, place);
    this.#depth--;
    place.values.set(node, scalar);
    return scalar;
  }

  #scalar(node: Node, place: Place): Scalar {
    const dtype = node.dtype;
    switch (node.kind) {
      case "constant":
      case "input":
        return this.#load(node, this.#address(node, place));
      case "literal":
        return { kind: "literal", dtype, value: node.attributes.value };
      case "iota":
        return this.#iota(dtype, at(this.#axes(node, place), node.attributes.axis));
      case "unary":
        return { kind: "unary", dtype, op: node.attributes.op, x: this.#value(node.inputs[0], place) };
      case "binary": {
        const [x, y] = this.#values(node.inputs, place);
        return { kind: "binary", dtype, op: node.attributes.op, x, y };
      }
      case "compare": {
        const [x, y] = this.#values(node.inputs, place);
        return { kind: "compare", dtype: "bool", op: node.attributes.op, x, y };
      }
      case "select": {
        const [condition, x, y] = node.inputs;
        return {
          kind: "select",
          dtype,
          condition: this.#value(condition, place),
          x: this.#value(x, place),
          y: this.#value(y, place),
        };
      }
      case "cast":
        return { kind: "cast", dtype, x: this.#value(node.inputs[0], place) };
      case "shift": {
        const { direction, amount } = node.attributes;
        return { kind: "shift", dtype, direction, amount, x: this.#value(node.inputs[0], place) };
      }
      case "threefry": {
        const [key0, key1, counter0, counter1] = node.inputs;
        return {
          kind: "threefry",
          dtype: "u32",
          word: node.attributes.word,
          key0: this.#value(key0, place),
          key1: this.#value(key1, place),
          counter0: this.#value(counter0, place),
          counter1: this.#value(counter1, place),
        };
      }
      case "loop":
        throw new Error(`loop ${node.attributes.loop.id} is no part of a kernel`);
      case "stopGradient":
      case "check":
      case "barrier":
      case "ruled":
        return this.#value(node.inputs[0], place);
      case "reshape":
        return this.#valueAt(node.inputs[0], { kind: "flat", flat: flatten(place.index, node.shape) }, place.bounds);
      case "permute": {
        const axes = this.#axes(node, place);
        const moved = node.attributes.order.map((_, axis) => at(axes, node.attributes.order.indexOf(axis)));
        return this.#valueAt(node.inputs[0], { kind: "axes", axes: moved }, place.bounds);
      }
      case "expand": {
        const { shape } = node.inputs[0];
        if (sizeOf(shape) === 1) {
          return this.#valueAt(node.inputs[0], { kind: "axes", axes: shape.map(() => constantIndex(0)) }, place.bounds);
        }
        const axes = this.#axes(node, place);
        const fixed = axes.map((expression, axis) => (shape[axis] === 1 ? constantIndex(0) : expression));
        return this.#valueAt(node.inputs[0], { kind: "axes", axes: fixed }, place.bounds);
      }
      case "slice": {
        const { start, step } = node.attributes;
        const axes = this.#axes(node, place).map((expression, axis) =>
          combine(expression, at(step, axis), constantIndex(at(start, axis))),
        );
        return this.#valueAt(node.inputs[0], { kind: "axes", axes }, place.bounds);
      }
      case "pad":
        return padded(node, this.#axes(node, place), place.bounds, this.#valueOf);
      case "concat":
        return concatenated(node, this.#axes(node, place), place.bounds, this.#valueOf);
      case "gather":
        return this.#gather(node, this.#axes(node, place), place.bounds);
      case "reduce":
      case "matmul":
      case "conv":
      case "scatter":
        return this.#reduceNode(node, place);
    }
  }

  #values(inputs: readonly [Node, Node], place: Place): readonly [Scalar, Scalar] {
    return [this.#value(inputs[0], place), this.#value(inputs[1], place)];
  }

  #iota(dtype: DType, expression: IndexExpression): Scalar {
    return { kind: "index", dtype, at: this.#affine(expression) };
  }

  /** The index per axis of `node`. */
  #axes(node: Node, { index, bounds }: Place): readonly IndexExpression[] {
    return index.kind === "axes" ? index.axes : this.#unflatten(index.flat, node.shape, bounds, node);
  }

  #unflatten(flat: IndexExpression, shape: Shape, bounds: Bounds, culprit: Node): readonly IndexExpression[] {
    const result = unflatten(flat, shape, bounds);
    if (result.kind === "axes") return result.axes;
    if (result.kind === "split" && this.#maySplit) throw new SplitAxis(result.axis, result.inner);
    throw new CannotFuse(culprit);
  }

  #gather(node: NodeOf<"gather">, axes: readonly IndexExpression[], bounds: Bounds): Scalar {
    const [x, index] = node.inputs;
    const { axis } = node.attributes;
    const row = this.#valueOf(index, indexAxes(index, axes), bounds);
    const storage = this.#storageOf(x);
    if (!this.#hasMemory(storage)) throw new CannotFuse(storage);
    const base = axes.map((expression, a) => (a === axis ? constantIndex(0) : expression));
    return {
      kind: "gather",
      dtype: node.dtype,
      operand: this.#operandOf(storage),
      at: this.#affine(flatten({ kind: "axes", axes: base }, x.shape)),
      index: row,
      stride: sizeOf(x.shape.slice(axis + 1)),
      size: at(x.shape, axis),
    };
  }

  #reduceNode(node: ReductionNode, place: Place): Scalar {
    const flat = flatten(place.index, node.shape);
    const second = this.#reducing || (this.#reduction !== undefined && this.#reduction.node !== node);
    if (second || place.bounds.size > 0 || !isBijection(flat, this.parallel.flat(), sizeOf(node.shape))) {
      // What was folded elsewhere in this kernel already can't be read here.
      if (node === this.#root || this.#reduction?.node === node) throw new CannotFuse(node);
      this.#stored.add(node);
      return this.#load(node, this.#affine(flat));
    }
    if (this.#reduction === undefined) {
      const axes = this.#axes(node, place);
      this.#reducing = true;
      const [op, body] = this.#reduceBody(node, axes);
      this.#reducing = false;
      this.#reduction = { node, op, body };
    }
    return { kind: "accumulator", dtype: node.dtype };
  }

  #reduceBody(node: ReductionNode, axes: readonly IndexExpression[]): [ReduceOp, Scalar] {
    switch (node.kind) {
      case "reduce": {
        const [x] = node.inputs;
        const reduced = this.#reduceAxes(node.attributes.axes.map((axis) => at(x.shape, axis)));
        const inner = axes.map((expression, axis) => {
          const place = node.attributes.axes.indexOf(axis);
          return place < 0 ? expression : at(reduced, place);
        });
        return [node.attributes.op, this.#valueOf(x, inner, noBounds)];
      }
      case "scatter":
        return [node.attributes.op, this.#scattered(node, axes)];
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

  /** The value of a taken row if its index is that of the result's row, else what changes nothing. */
  #scattered(
    { inputs: [values, index], attributes: { op, axis }, dtype }: NodeOf<"scatter">,
    axes: readonly IndexExpression[],
  ): Scalar {
    const [place = constantIndex(0)] = this.#reduceAxes([at(index.shape, axis)]);
    const taken = axes.with(axis, place);
    return {
      kind: "select",
      dtype,
      condition: {
        kind: "compare",
        dtype: "bool",
        op: "equal",
        x: this.#operand(index, indexAxes(index, taken)),
        y: this.#iota("i32", at(axes, axis)),
      },
      x: this.#operand(values, taken),
      y: { kind: "literal", dtype, value: neutralElement(op, dtype) },
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
    const scalar = this.#valueOf(node, axes, noBounds);
    if (scalar.kind !== "load" && scalar.kind !== "literal") throw new CannotFuse(viewBase(node));
    return scalar;
  }

  #reduceAxes(sizes: readonly number[]): IndexExpression[] {
    const cuts = this.#cuts.reduce.length > 0 ? this.#cuts.reduce : sizes.map((size) => [size]);
    this.reduce = cuts.map((parts) => this.#makeAxes(parts));
    return this.reduce.map(indexOfParts);
  }
}

/** Where a place is in the index of a gather or scatter, whose axes of size 1 stand for all. */
function indexAxes({ shape }: Node, axes: readonly IndexExpression[]): readonly IndexExpression[] {
  return axes.map((expression, axis) => (shape[axis] === 1 ? constantIndex(0) : expression));
}

/** The index of an axis that is cut into parts, outermost first. */
function indexOfParts(parts: readonly AxisSymbol[]): IndexExpression {
  return parts.reduce((sum, part) => combine(sum, part.size, axisIndex(part)), constantIndex(0));
}
