/**
 * What makes a node valid, and the shape and dtype that follow. One row per primitive. These rules guard the graph
 * itself; the operations in `engine/ops` check first, in the user's words.
 */
import { EvenkeelError, type ErrorCode } from "../errors.ts";
import type { DType } from "./dtype.ts";
import type { BinaryOp, ConvGeometry, Loop, Node, PrimitiveKind, Primitives, UnaryOp } from "./node.ts";
import { at, formatShape, sameShape, type Shape, sizeOf } from "./shape.ts";

export type ShapeAndDtype = { readonly shape: Shape; readonly dtype: DType };

export type ShapeRule<K extends PrimitiveKind> = (
  inputs: Primitives[K]["inputs"],
  attributes: Primitives[K]["attributes"],
) => ShapeAndDtype;

function require(condition: boolean, code: ErrorCode, message: () => string): asserts condition {
  if (!condition) throw new EvenkeelError(code, message());
}

function requireSameShape(kind: string, inputs: readonly Node[]): Shape {
  const shape = at(inputs, 0).shape;
  require(inputs.every((input) => sameShape(input.shape, shape)), "shape", () =>
    `${kind}: inputs of different shapes: ${inputs.map((input) => formatShape(input.shape)).join(", ")}.`);
  return shape;
}

function requireSameDtype(kind: string, inputs: readonly Node[]): DType {
  const dtype = at(inputs, 0).dtype;
  require(inputs.every((input) => input.dtype === dtype), "dtype", () =>
    `${kind}: inputs of different dtypes: ${inputs.map((input) => input.dtype).join(", ")}. Cast one of them.`);
  return dtype;
}

function requireDtype(kind: string, dtype: DType, allowed: readonly DType[]): void {
  require(allowed.includes(dtype), "dtype", () =>
    `${kind}: dtype ${dtype} is not supported; expected ${allowed.join(" or ")}.`);
}

const numeric: readonly DType[] = ["f32", "i32", "u32"];
const logical: readonly DType[] = ["i32", "u32", "bool"];

/** The dtypes that operations of two inputs take. */
export const binaryDtypes: Readonly<Record<BinaryOp, readonly DType[]>> = {
  add: numeric,
  subtract: numeric,
  multiply: numeric,
  maximum: numeric,
  minimum: numeric,
  divide: ["f32"],
  truncateDivide: ["i32", "u32"],
  fmod: ["f32"],
  power: ["f32"],
  and: logical,
  or: logical,
  xor: logical,
};

function unaryDtype(op: UnaryOp, dtype: DType): DType {
  switch (op) {
    case "negate":
    case "absolute":
    case "sign":
      requireDtype(op, dtype, numeric);
      return dtype;
    case "not":
      requireDtype(op, dtype, ["i32", "u32", "bool"]);
      return dtype;
    case "isFinite":
    case "isNaN":
      requireDtype(op, dtype, ["f32"]);
      return "bool";
    case "floor":
    case "exp":
    case "expm1":
    case "log":
    case "log1p":
    case "sqrt":
    case "sin":
    case "cos":
    case "atan":
    case "tanh":
    case "sigmoid":
    case "erf":
    case "roundToFloat16":
      requireDtype(op, dtype, ["f32"]);
      return dtype;
  }
}

function convShape(role: Primitives["conv"]["attributes"]["role"], geometry: ConvGeometry, a: Node, b: Node): Shape {
  const name = `conv (${role})`;
  for (const input of [a, b]) {
    require(input.shape.length === 4, "shape", () => `${name}: needs rank 4, got ${formatShape(input.shape)}.`);
    requireDtype(name, input.dtype, ["f32"]);
  }
  const { inputSize, kernelSize, outputSize, groups } = geometry;
  const spatial = (node: Node, size: readonly [number, number], what: string): void =>
    require(node.shape[2] === size[0] && node.shape[3] === size[1], "shape", () =>
      `${name}: ${what} ${formatShape(node.shape)} should end in ${formatShape(size)}.`);
  const mismatch = () =>
    `${name}: ${formatShape(a.shape)} and ${formatShape(b.shape)} don't fit with ${groups} groups.`;
  const [a0, a1] = [at(a.shape, 0), at(a.shape, 1)];
  const [b0, b1] = [at(b.shape, 0), at(b.shape, 1)];
  switch (role) {
    case "forward":
      spatial(a, inputSize, "x");
      spatial(b, kernelSize, "w");
      require(a1 === b1 * groups && b0 % groups === 0, "shape", mismatch);
      return [a0, b0, ...outputSize];
    case "inputGradient":
      spatial(a, outputSize, "y");
      spatial(b, kernelSize, "w");
      require(a1 === b0 && b0 % groups === 0, "shape", mismatch);
      return [a0, b1 * groups, ...inputSize];
    case "filterGradient":
      spatial(a, inputSize, "x");
      spatial(b, outputSize, "y");
      require(a0 === b0 && a1 % groups === 0 && b1 % groups === 0, "shape", mismatch);
      return [b1, a1 / groups, ...kernelSize];
  }
}

export const shapeRules: { readonly [K in PrimitiveKind]: ShapeRule<K> } = {
  constant: (_, { dtype, shape, data }) => {
    require(data.length === sizeOf(shape), "shape", () =>
      `constant: ${data.length} elements for ${formatShape(shape)}.`);
    return { shape, dtype };
  },
  literal: (_, { dtype }) => ({ shape: [], dtype }),
  input: (_, { dtype, shape }) => ({ shape, dtype }),
  iota: (_, { dtype, shape, axis }) => {
    requireDtype("iota", dtype, numeric);
    require(axis >= 0 && axis < shape.length, "axis", () => `iota: axis ${axis} of ${formatShape(shape)}.`);
    return { shape, dtype };
  },
  unary: ([x], { op }) => ({ shape: x.shape, dtype: unaryDtype(op, x.dtype) }),
  binary: (inputs, { op }) => {
    const dtype = requireSameDtype(op, inputs);
    requireDtype(op, dtype, binaryDtypes[op]);
    return { shape: requireSameShape(op, inputs), dtype };
  },
  compare: (inputs, { op }) => {
    const dtype = requireSameDtype(op, inputs);
    if (op === "less" || op === "lessEqual") requireDtype(op, dtype, numeric);
    return { shape: requireSameShape(op, inputs), dtype: "bool" };
  },
  select: (inputs) => {
    const [condition, x, y] = inputs;
    requireDtype("select", condition.dtype, ["bool"]);
    return { shape: requireSameShape("select", inputs), dtype: requireSameDtype("select", [x, y]) };
  },
  cast: ([x], { dtype }) => ({ shape: x.shape, dtype }),
  shift: ([x], { amount }) => {
    requireDtype("shift", x.dtype, ["i32", "u32"]);
    require(Number.isInteger(amount) && amount >= 0 && amount < 32, "range", () =>
      `shift: amount ${amount} is not a whole number from 0 to 31.`);
    return { shape: x.shape, dtype: x.dtype };
  },
  threefry: (inputs) => {
    for (const input of inputs) requireDtype("threefry", input.dtype, ["u32"]);
    return { shape: requireSameShape("threefry", inputs), dtype: "u32" };
  },
  reduce: ([x], { op, axes }) => {
    requireDtype(`reduce (${op})`, x.dtype, numeric);
    require(axes.every(
      (axis, i) => axis >= 0 && axis < x.shape.length && (i === 0 || axis > at(axes, i - 1)),
    ), "axis", () => `reduce: axes ${formatShape(axes)} of ${formatShape(x.shape)} are not ascending and in range.`);
    return { shape: x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)), dtype: x.dtype };
  },
  reshape: ([x], { shape }) => {
    require(sizeOf(shape) === sizeOf(x.shape), "shape", () =>
      `reshape: ${formatShape(x.shape)} has ${sizeOf(x.shape)} elements, ${formatShape(shape)} has ${sizeOf(shape)}.`);
    return { shape, dtype: x.dtype };
  },
  permute: ([x], { order }) => {
    require(order.length === x.shape.length &&
      [...order].sort((a, b) => a - b).every((axis, i) => axis === i), "axis", () =>
      `permute: ${formatShape(order)} is not an order of the axes of ${formatShape(x.shape)}.`);
    return { shape: order.map((axis) => at(x.shape, axis)), dtype: x.dtype };
  },
  expand: ([x], { shape }) => {
    require(shape.length === x.shape.length &&
      x.shape.every((size, axis) => size === shape[axis] || size === 1), "shape", () =>
      `expand: ${formatShape(x.shape)} can't become ${formatShape(shape)}: only axes of size 1 are repeated.`);
    return { shape, dtype: x.dtype };
  },
  slice: ([x], { start, size, step }) => {
    const rank = x.shape.length;
    require(start.length === rank && size.length === rank && step.length === rank, "shape", () => "slice: wrong rank.");
    x.shape.forEach((extent, axis) => {
      const [first, count, stride] = [at(start, axis), at(size, axis), at(step, axis)];
      const last = first + (count - 1) * stride;
      require(Number.isInteger(count) && count >= 0 && Number.isInteger(stride) && stride !== 0, "range", () =>
        `slice: axis ${axis}: size ${count}, step ${stride}.`);
      require(count === 0 || (first >= 0 && first < extent && last >= 0 && last < extent), "range", () =>
        `slice: axis ${axis} of size ${extent}: elements ${first} to ${last} are out of range.`);
    });
    return { shape: size, dtype: x.dtype };
  },
  pad: ([x], { low, high, value }) => {
    const rank = x.shape.length;
    require(low.length === rank &&
      high.length === rank &&
      [...low, ...high].every((n) => Number.isInteger(n) && n >= 0), "range", () =>
      `pad: low ${formatShape(low)}, high ${formatShape(high)} for ${formatShape(x.shape)}.`);
    require(x.dtype === "f32" || Number.isInteger(value), "value", () => `pad: value ${value} for dtype ${x.dtype}.`);
    return { shape: x.shape.map((size, axis) => size + at(low, axis) + at(high, axis)), dtype: x.dtype };
  },
  concat: (inputs, { axis }) => {
    require(inputs.length > 0, "shape", () => "concat: nothing to concatenate.");
    const first = at(inputs, 0).shape;
    require(axis >= 0 &&
      axis < first.length &&
      inputs.every(({ shape }) => sameButAxis(shape, first, axis)), "shape", () =>
      `concat: ${inputs.map(({ shape }) => formatShape(shape)).join(", ")} differ outside of axis ${axis}.`);
    const total = inputs.reduce((sum, { shape }) => sum + at(shape, axis), 0);
    return { shape: first.map((size, i) => (i === axis ? total : size)), dtype: requireSameDtype("concat", inputs) };
  },
  gather: ([x, index], { axis }) => {
    requireDtype("gather", index.dtype, ["i32"]);
    require(isIndexOf(index.shape, x.shape, axis), "shape", () =>
      `gather: index ${formatShape(index.shape)} along axis ${axis} of ${formatShape(x.shape)}.`);
    const count = at(index.shape, axis);
    require(count === 0 || at(x.shape, axis) > 0, "range", () =>
      `gather: axis ${axis} of ${formatShape(x.shape)} is empty, nothing to take.`);
    return { shape: x.shape.map((size, i) => (i === axis ? count : size)), dtype: x.dtype };
  },
  scatter: ([values, index], { op, axis, size }) => {
    requireDtype(`scatter (${op})`, values.dtype, numeric);
    requireDtype(`scatter (${op})`, index.dtype, ["i32"]);
    const fits = isIndexOf(index.shape, values.shape, axis) && index.shape[axis] === values.shape[axis];
    require(fits, "shape", () =>
      `scatter (${op}): index ${formatShape(index.shape)} along axis ${axis} of ${formatShape(values.shape)}.`);
    require(Number.isInteger(size) && size >= 0 && (size > 0 || index.shape[axis] === 0), "range", () =>
      `scatter (${op}): ${formatShape(values.shape)} into axis ${axis} of size ${size}.`);
    return { shape: values.shape.map((extent, i) => (i === axis ? size : extent)), dtype: values.dtype };
  },
  matmul: ([a, b]) => {
    requireDtype("matmul", a.dtype, ["f32"]);
    requireSameDtype("matmul", [a, b]);
    const fits = a.shape.length === 3 && b.shape.length === 3 && a.shape[0] === b.shape[0] && a.shape[2] === b.shape[1];
    require(fits, "shape", () => `matmul: ${formatShape(a.shape)} @ ${formatShape(b.shape)}.`);
    return { shape: [at(a.shape, 0), at(a.shape, 1), at(b.shape, 2)], dtype: a.dtype };
  },
  conv: ([a, b], { role, geometry }) => ({ shape: convShape(role, geometry, a, b), dtype: "f32" }),
  stopGradient: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  check: ([x, failed]) => {
    requireDtype("check", failed.dtype, ["bool"]);
    return { shape: x.shape, dtype: x.dtype };
  },
  barrier: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  ruled: (inputs, { rule }) => {
    const [x] = inputs;
    if (rule.kind !== "surrogate") return { shape: x.shape, dtype: x.dtype };
    return { shape: requireSameShape("ruled", inputs), dtype: requireSameDtype("ruled", inputs) };
  },
  loop: (inputs, { loop, result }) => {
    requireLoopInputs(inputs, loop);
    if (result.kind === "any") return { shape: [], dtype: "bool" };
    const { body, carried, length } = loop;
    const { shape, dtype } = at(
      result.kind === "history" ? body.inputs : body.outputs,
      result.kind === "stacked" ? carried + result.index : result.index,
    );
    return { shape: result.kind === "carry" ? shape : [length, ...shape], dtype };
  },
};

/** Whether an index of this shape has a place for each element of `shape` outside of `axis`. */
function isIndexOf(index: Shape, shape: Shape, axis: number): boolean {
  if (axis < 0 || axis >= shape.length || index.length !== shape.length) return false;
  return index.every((size, i) => i === axis || size === 1 || size === shape[i]);
}

function requireLoopInputs(inputs: readonly Node[], { body, carried, rows, length }: Loop): void {
  const fits = (input: Node, i: number): boolean => {
    const wanted = at(body.inputs, i);
    const isRow = i >= carried && i < carried + rows;
    return input.dtype === wanted.dtype && sameShape(input.shape, isRow ? [length, ...wanted.shape] : wanted.shape);
  };
  require(inputs.length === body.inputs.length && inputs.every(fits), "shape", () =>
    `loop: inputs ${inputs.map(({ shape }) => formatShape(shape)).join(", ")} don't fit its body.`);
}

function sameButAxis(a: Shape, b: Shape, axis: number): boolean {
  return a.length === b.length && a.every((size, i) => i === axis || size === b[i]);
}
