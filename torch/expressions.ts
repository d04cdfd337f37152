/** What each primitive of the graph is in PyTorch: one short translation each. */
import { neutralElement } from "../engine/graph/neutralElement.ts";
import type { BinaryOp, CompareOp, ConvGeometry, Node, NodeOf, PrimitiveKind, UnaryOp } from "../engine/graph/node.ts";
import { at } from "../engine/graph/shape.ts";
import { uniformValue } from "../engine/graph/uniform.ts";
import { constantText, numeral, torchDtypes, tuple } from "./numerals.ts";

/** The text of a value; one that isn't an atom has to be put in parentheses where an operator reads it. */
export type Expression = { readonly text: string; readonly isAtom: boolean };

/** Primitives that are expressions of their inputs. The others are the identity, statements or arguments. */
export type ExpressionKind = Exclude<PrimitiveKind, "input" | "stopGradient" | "check" | "barrier" | "ruled" | "loop">;

/** Gives the text of an input: as an operand of an operator, or as an argument between commas. */
export type Operands = {
  readonly operand: (node: Node) => string;
  readonly argument: (node: Node) => string;
};

type Translate<K extends PrimitiveKind> = (node: NodeOf<K>, operands: Operands) => Expression;

const call = (text: string): Expression => ({ text, isAtom: true });
const operation = (text: string): Expression => ({ text, isAtom: false });

const unary = (op: UnaryOp, x: string, argument: string, dtype: Node["dtype"]): Expression => {
  switch (op) {
    case "negate":
      return dtype === "u32" ? call(`u32(-${x})`) : operation(`-${x}`);
    case "absolute":
      return call(`${x}.abs()`);
    case "sign":
    case "log1p":
    case "erf":
      return call(`${op}(${argument})`);
    case "not":
      return dtype === "u32" ? operation(`${x} ^ MASK`) : operation(`~${x}`);
    case "floor":
    case "exp":
    case "expm1":
    case "log":
    case "sqrt":
    case "sin":
    case "cos":
    case "atan":
    case "tanh":
    case "sigmoid":
      return call(`${x}.${op}()`);
    case "roundToFloat16":
      return call(`round_to_float16(${argument})`);
    case "isFinite":
      return call(`${x}.isfinite()`);
    case "isNaN":
      return call(`${x}.isnan()`);
  }
};

const binary = (op: BinaryOp, node: NodeOf<"binary">, operands: Operands): Expression => {
  const [left, right] = elementwise(node.inputs, operands.operand);
  const [first, second] = elementwise(node.inputs, operands.argument);
  const infix = (sign: string): Expression =>
    node.dtype === "u32" ? call(`u32(${left} ${sign} ${right})`) : operation(`${left} ${sign} ${right}`);
  switch (op) {
    case "add":
      return infix("+");
    case "subtract":
      return infix("-");
    case "multiply":
      return infix("*");
    case "divide":
      // PyTorch divides a number by a tensor by multiplying with the reciprocal, which rounds twice.
      return uniformValue(node.inputs[0]) === undefined ? infix("/") : call(`divide(${first}, ${second})`);
    case "truncateDivide":
      return call(`truncate_divide(${first}, ${second})`);
    case "fmod":
    case "power":
    case "maximum":
    case "minimum":
      return call(`${op}(${first}, ${second})`);
    case "and":
      return operation(`${left} & ${right}`);
    case "or":
      return operation(`${left} | ${right}`);
    case "xor":
      return operation(`${left} ^ ${right}`);
  }
};

const compareSigns: { readonly [op in CompareOp]: string } = {
  less: "<",
  lessEqual: "<=",
  equal: "==",
  notEqual: "!=",
};

/**
 * Texts of the inputs of an element-wise operation. PyTorch repeats numbers and axes of size 1 by itself, as long as one of the inputs has
 * the whole shape.
 */
function elementwise<Inputs extends readonly Node[]>(
  inputs: Inputs,
  text: (node: Node) => string,
): { readonly [K in keyof Inputs]: string };
function elementwise(inputs: readonly Node[], text: (node: Node) => string): readonly string[] {
  const isWhole = (node: Node): boolean => uniformValue(node) === undefined && node.kind !== "expand";
  const whole = inputs.find(isWhole) ?? inputs.find((node) => uniformValue(node) === undefined) ?? inputs[0];
  return inputs.map((node) => {
    if (node === whole) return text(node);
    const value = uniformValue(node);
    if (value !== undefined) return numeral(value, node.dtype);
    return text(node.kind === "expand" ? node.inputs[0] : node);
  });
}

const castText = (node: NodeOf<"cast">, x: string, argument: string): Expression => {
  const [from, to] = [node.inputs[0].dtype, node.dtype];
  if (from === to) return { text: x, isAtom: true };
  if (to === "bool") return operation(`${x} != 0`);
  if (from === "f32" && to !== "f32") return call(`float_to_${to}(${argument})`);
  if (to === "u32" && from === "i32") return call(`u32(${x}.long())`);
  return call(`${x}.to(${torchDtypes[to]})`);
};

const full = (node: Node, value: number): Expression =>
  call(
    `torch.full(${tuple(node.shape)}, ${numeral(value, node.dtype)}, dtype=${torchDtypes[node.dtype]}, device=device)`,
  );

/** `[:, 2:5]`: empty for the whole. Axes that are walked backwards are turned round behind it. */
function sliceText({ attributes: { start, size, step }, inputs: [x] }: NodeOf<"slice">): string {
  const turned: number[] = [];
  const axes = size.map((count, axis) => {
    const [first, by] = [at(start, axis), at(step, axis)];
    if (count === 0) return "0:0";
    const last = first + (count - 1) * by;
    if (by < 0) turned.push(axis);
    const [from, to, stride] = by < 0 ? [last, first + 1, -by] : [first, last + 1, by];
    if (from === 0 && to === at(x.shape, axis) && stride === 1) return ":";
    return `${from}:${to}${stride === 1 ? "" : `:${stride}`}`;
  });
  const used = axes.slice(0, axes.findLastIndex((axis) => axis !== ":") + 1);
  return `${used.length === 0 ? "" : `[${used.join(", ")}]`}${turned.length === 0 ? "" : `.flip(${tuple(turned)})`}`;
}

/** What isn't 1, 0 or one group. Padding is that of all four sides, which together with the stride gives the output's size. */
function geometryText({ inputSize, kernelSize, outputSize, stride, padding, dilation, groups }: ConvGeometry): string {
  const after = ([0, 1] as const).map((axis) => {
    const span = dilation[axis] * (kernelSize[axis] - 1) + 1;
    const symmetric = Math.floor((inputSize[axis] + 2 * padding[axis] - span) / stride[axis]) + 1;
    return symmetric === outputSize[axis]
      ? padding[axis]
      : (outputSize[axis] - 1) * stride[axis] + span - inputSize[axis] - padding[axis];
  });
  const sides = [padding[0], at(after, 0), padding[1], at(after, 1)];
  return [
    ...(stride.every((each) => each === 1) ? [] : [`, stride=${tuple(stride)}`]),
    ...(sides.every((each) => each === 0) ? [] : [`, padding=${tuple(sides)}`]),
    ...(dilation.every((each) => each === 1) ? [] : [`, dilation=${tuple(dilation)}`]),
    ...(groups === 1 ? [] : [`, groups=${groups}`]),
  ].join("");
}

const convolution = (node: NodeOf<"conv">, { argument }: Operands): Expression => {
  const { role, geometry } = node.attributes;
  const [a, b] = node.inputs.map(argument);
  const options = geometryText(geometry);
  switch (role) {
    case "forward":
      return call(`conv2d(${a}, ${b}${options})`);
    case "inputGradient":
      return call(`conv2d_input(${a}, ${b}, ${tuple(geometry.inputSize)}${options})`);
    case "filterGradient":
      return call(`conv2d_filter(${a}, ${b}, ${tuple(geometry.kernelSize)}${options})`);
  }
};

const reduction = (node: NodeOf<"reduce">, { operand }: Operands): Expression => {
  const [x] = node.inputs;
  const { op, axes } = node.attributes;
  // Of no axes PyTorch takes all, and it has no largest of nothing.
  if (axes.length === 0) return { text: operand(x), isAtom: true };
  if (axes.some((axis) => x.shape[axis] === 0)) return full(node, neutralElement(op, node.dtype));
  if (op === "max") return call(`${operand(x)}.amax(${tuple(axes)}, keepdim=True)`);
  const sum = `${operand(x)}.sum(${tuple(axes)}, keepdim=True${node.dtype === "i32" ? ", dtype=torch.int32" : ""})`;
  return call(node.dtype === "u32" ? `u32(${sum})` : sum);
};

const scatterText = (node: NodeOf<"scatter">, { argument }: Operands): Expression => {
  const { op, axis, size } = node.attributes;
  const shared = `${node.inputs.map(argument).join(", ")}, ${axis}, ${size}`;
  if (op === "max") return call(`scatter_max(${shared}, ${numeral(neutralElement(op, node.dtype), node.dtype)})`);
  return call(node.dtype === "u32" ? `u32(scatter_sum(${shared}))` : `scatter_sum(${shared})`);
};

/** Each primitive in PyTorch. Views are views there, too. */
export const expressions: { readonly [K in ExpressionKind]: Translate<K> } = {
  constant: ({ attributes: { data, shape, dtype } }) => call(constantText(data, shape, dtype)),
  literal: (node) => full(node, node.attributes.value),
  iota: ({ shape, dtype, attributes }) =>
    call(`iota(${tuple(shape)}, ${attributes.axis}, ${torchDtypes[dtype]}, device)`),
  unary: (node, { operand, argument }) => {
    const [x] = node.inputs;
    return unary(node.attributes.op, operand(x), argument(x), node.dtype);
  },
  binary: (node, operands) => binary(node.attributes.op, node, operands),
  compare: ({ attributes, inputs }, { operand }) =>
    operation(elementwise(inputs, operand).join(` ${compareSigns[attributes.op]} `)),
  select: ({ inputs: [condition, x, y] }, { argument }) =>
    // The condition alone may have the whole shape.
    call(`where(${argument(condition)}, ${[...elementwise([x, y], argument)].join(", ")})`),
  cast: (node, { operand, argument }) => castText(node, operand(node.inputs[0]), argument(node.inputs[0])),
  shift: ({ dtype, attributes: { direction, amount }, inputs: [x] }, { operand }) => {
    const shifted = `${operand(x)} ${direction === "left" ? "<<" : ">>"} ${amount}`;
    return dtype === "u32" && direction === "left" ? call(`u32(${shifted})`) : operation(shifted);
  },
  threefry: ({ attributes, inputs }, { argument }) =>
    call(`threefry(${attributes.word}, ${elementwise(inputs, argument).join(", ")})`),
  reduce: reduction,
  reshape: ({ shape, inputs: [x] }, { operand }) => call(`${operand(x)}.reshape(${tuple(shape)})`),
  permute: ({ attributes, inputs: [x] }, { operand }) => call(`${operand(x)}.permute(${tuple(attributes.order)})`),
  expand: ({ shape, inputs: [x] }, { operand }) => call(`${operand(x)}.expand(${tuple(shape)})`),
  slice: (node, { operand }) => call(`${operand(node.inputs[0])}${sliceText(node)}`),
  pad: ({ attributes: { low, high, value }, dtype, inputs: [x] }, { argument }) =>
    call(`pad(${argument(x)}, ${tuple(low)}, ${tuple(high)}, ${numeral(value, dtype)})`),
  concat: ({ inputs, attributes: { axis } }, { argument }) =>
    call(`torch.cat(${tuple(inputs.map(argument))}, ${axis})`),
  gather: ({ inputs, attributes: { axis } }, { argument }) => call(`take(${inputs.map(argument).join(", ")}, ${axis})`),
  scatter: scatterText,
  matmul: ({ inputs }, { argument }) => call(`matmul(${inputs.map(argument).join(", ")})`),
  conv: convolution,
};
