/**
 * Derivatives of the primitives, side by side. A rule gives, for each input, the derivative of <output, cotangent> with
 * respect to it, or null where there is none. Rules are written in the operations themselves, so that they can be
 * differentiated again.
 */
import type { ConvGeometry, Node, NodeOf, PrimitiveKind, Primitives } from "../graph/node.ts";
import { at, sameShape } from "../graph/shape.ts";
import type { Tensor } from "../graph/tensor.ts";
import { matmul } from "../ops/contract.ts";
import { convOfRole } from "../ops/conv.ts";
import { zerosLike } from "../ops/creation.ts";
import {
  absolute,
  add,
  and,
  cast,
  cos,
  divide,
  equal,
  exp,
  isFinite,
  isNaN,
  less,
  lessEqual,
  log,
  multiply,
  negate,
  not,
  roundToFloat16,
  sign,
  sin,
  stopGradient,
  subtract,
  where,
} from "../ops/elementwise.ts";
import { power } from "../ops/powers.ts";
import { gatherAlong, scatterAlong, sliceAlong } from "../ops/alongAxis.ts";
import { broadcastTo, flip, pad, permute, reshape, slice, transpose } from "../ops/movement.ts";
import { reduceSum } from "../ops/reduce.ts";

export type VjpArguments<K extends PrimitiveKind> = {
  readonly inputs: readonly Tensor[];
  readonly attributes: Primitives[K]["attributes"];
  readonly output: Tensor;
  readonly cotangent: Tensor;
};

export type VjpRule<K extends PrimitiveKind> = (args: VjpArguments<K>) => readonly (Tensor | null)[];

const pair = (inputs: readonly Tensor[]): readonly [Tensor, Tensor] => [at(inputs, 0), at(inputs, 1)];
const noDerivative = ({ inputs }: { readonly inputs: readonly Tensor[] }): null[] => inputs.map(() => null);

export const vjpRules: { readonly [K in PrimitiveKind]: VjpRule<K> } = {
  constant: noDerivative,
  literal: noDerivative,
  input: noDerivative,
  iota: noDerivative,
  unary: (args) => [unaryVjp(args)],
  binary: binaryVjp,
  compare: noDerivative,
  select: ({ inputs, cotangent: g }) => [null, where(at(inputs, 0), g, 0), where(at(inputs, 0), 0, g)],
  // To an integer it is constant between jumps. From f32 to f32 it is the identity.
  cast: ({ inputs, attributes, cotangent: g }) => [
    at(inputs, 0).dtype === "f32" && attributes.dtype === "f32" ? g : null,
  ],
  shift: noDerivative,
  threefry: noDerivative,
  reduce: ({ inputs, attributes, output, cotangent: g }) => {
    const x = at(inputs, 0);
    if (attributes.op === "sum") return [broadcastTo(g, x.shape)];
    // Elements that share the maximum share the derivative. Where a NaN won, nobody knows who would have.
    const loses = less(x, broadcastTo(output, x.shape));
    const winners = reduceSum(cast(not(loses), "f32"), { axes: attributes.axes, keepAxes: true });
    return [where(loses, 0, divide(g, where(isNaN(output), NaN, winners)))];
  },
  reshape: ({ inputs, cotangent: g }) => [reshape(g, at(inputs, 0).shape)],
  permute: ({ attributes, cotangent: g }) => [
    permute(
      g,
      attributes.order.map((_, axis) => attributes.order.indexOf(axis)),
    ),
  ],
  expand: ({ inputs, cotangent: g }) => {
    const x = at(inputs, 0);
    const repeated = x.shape.flatMap((size, axis) => (size === g.shape[axis] ? [] : [axis]));
    return [reduceSum(g, { axes: repeated, keepAxes: true })];
  },
  slice: ({ inputs, attributes, cotangent: g }) => [unslice(g, at(inputs, 0), attributes)],
  pad: ({ inputs, attributes, cotangent: g }) => [
    slice(
      g,
      at(inputs, 0).shape.map((size, axis) => [at(attributes.low, axis), at(attributes.low, axis) + size]),
    ),
  ],
  concat: ({ inputs, attributes: { axis }, cotangent: g }) => {
    let start = 0;
    return inputs.map((input) => {
      const stop = start + at(input.shape, axis);
      const part = sliceAlong(g, axis, start, stop);
      start = stop;
      return part;
    });
  },
  gather: ({ inputs, attributes: { axis }, cotangent: g }) => {
    const [x, index] = pair(inputs);
    return [scatterAlong("sum", g, index, axis, at(x.shape, axis)), null];
  },
  scatter: ({ inputs, attributes: { op, axis, size }, output, cotangent: g }) => {
    const [values, index] = pair(inputs);
    const share = gatherAlong(g, index, axis);
    if (op === "sum") return [share, null];
    // As of reduce: those that share the maximum share the derivative, and where a NaN won nobody knows who would have.
    const largest = gatherAlong(output, index, axis);
    const winners = scatterAlong("sum", cast(equal(values, largest), "f32"), index, axis, size);
    const count = where(isNaN(largest), NaN, gatherAlong(winners, index, axis));
    return [where(less(values, largest), 0, divide(share, count)), null];
  },
  matmul: ({ inputs, cotangent: g }) => {
    const [a, b] = pair(inputs);
    return [matmul(g, transpose(b)), matmul(transpose(a), g)];
  },
  conv: ({ inputs, attributes: { role, geometry }, cotangent: v }) => convVjp(role, geometry, pair(inputs), v),
  stopGradient: noDerivative,
  check: ({ cotangent: g }) => [g, null],
  barrier: ({ cotangent: g }) => [g, null],
  // The walk asks loops and custom rules itself: they may have several results.
  loop: noDerivative,
  ruled: ({ inputs, attributes: { rule }, cotangent: g }) => {
    switch (rule.kind) {
      case "surrogate":
        return [null, g];
      case "recompute":
        return [g];
      case "custom":
        return inputs.map(() => null);
    }
  },
};

function unaryVjp({ inputs, attributes, output: y, cotangent: g }: VjpArguments<"unary">): Tensor | null {
  const x = at(inputs, 0);
  switch (attributes.op) {
    case "negate":
      return negate(g);
    case "absolute":
      return where(equal(x, 0), 0, multiply(g, sign(x)));
    case "exp":
      return multiply(g, y);
    case "expm1":
      return multiply(g, add(y, 1));
    case "log":
      return divide(g, x);
    case "log1p":
      return divide(g, add(x, 1));
    case "sqrt":
      return divide(multiply(g, 0.5), y);
    case "sin":
      return multiply(g, cos(x));
    case "cos":
      return negate(multiply(g, sin(x)));
    case "atan":
      return divide(g, add(1, multiply(x, x)));
    case "tanh":
      return multiply(g, subtract(1, multiply(y, y)));
    case "sigmoid":
      return multiply(g, multiply(y, subtract(1, y)));
    case "erf":
      return multiply(g, multiply(2 / Math.sqrt(Math.PI), exp(negate(multiply(x, x)))));
    case "roundToFloat16":
      // What flows back is kept in as few bits as the value is.
      return roundToFloat16(g);
    case "sign":
    case "floor":
    case "not":
    case "isFinite":
    case "isNaN":
      return null;
  }
}

function binaryVjp({ inputs, attributes, output, cotangent: g }: VjpArguments<"binary">): readonly (Tensor | null)[] {
  const [x, y] = pair(inputs);
  switch (attributes.op) {
    case "add":
      return [g, g];
    case "subtract":
      return [g, negate(g)];
    case "multiply":
      return [multiply(g, y), multiply(g, x)];
    case "divide":
      return [divide(g, y), negate(multiply(g, divide(output, y)))];
    case "fmod":
      // x less a whole multiple of y, which is constant between jumps.
      return [g, negate(multiply(g, stopGradient(divide(subtract(x, output), y))))];
    case "power":
      return [powerByBase(x, y, g), powerByExponent(x, y, output, g)];
    case "maximum":
      return [unlessLost(less(x, y), x, y, g), unlessLost(less(y, x), x, y, g)];
    case "minimum":
      return [unlessLost(less(y, x), x, y, g), unlessLost(less(x, y), x, y, g)];
    case "truncateDivide":
    case "and":
    case "or":
    case "xor":
      return [null, null];
  }
}

/**
 * g where this side doesn't lose, half of it where both are equal. The losing side's share is left out, not multiplied by 0: g may
 * be infinite or NaN there.
 */
function unlessLost(loses: Tensor, x: Tensor, y: Tensor, g: Tensor): Tensor {
  return where(loses, 0, where(equal(x, y), multiply(g, 0.5), g));
}

/** g * y * x^(y-1). x^0 is 1 everywhere, and its derivative is 0 whatever g is and however large x^-1 is. */
function powerByBase(x: Tensor, y: Tensor, g: Tensor): Tensor | null {
  const exponent = writtenNumber(y.node);
  if (exponent === 0) return null;
  if (exponent !== undefined) return multiply(g, multiply(exponent, power(x, exponent - 1)));
  const isConstant = equal(y, 0);
  // The derivative by y of all this isn't 0 there: g and the base are replaced only where a product with them wouldn't be 0.
  const cotangent = where(and(isConstant, not(isFinite(g))), 0, g);
  const base = where(and(isConstant, not(lessEqual(2 ** -126, absolute(x)))), 1, x);
  return multiply(cotangent, multiply(y, power(base, subtract(y, 1))));
}

/**
 * The number that stands in the program for this operand, which has no derivative by it; undefined for any other, also for arguments
 * that happen to be numbers: those are marked by a reshape to their own shape.
 */
function writtenNumber(node: Node): number | undefined {
  if (node.kind === "literal") return node.attributes.value;
  if (node.kind !== "expand" && node.kind !== "reshape") return undefined;
  const [x] = node.inputs;
  return sameShape(x.shape, node.shape) ? undefined : writtenNumber(x);
}

/** g * x^y * ln x: NaN for a negative x, which has powers at whole y only. At 0 it is the limit from the right. */
function powerByExponent(x: Tensor, y: Tensor, output: Tensor, g: Tensor): Tensor {
  const isFlat = and(equal(x, 0), lessEqual(0, y));
  return multiply(where(isFlat, 0, g), multiply(output, log(where(isFlat, 1, x))));
}

/** Puts a slice's elements back where they came from, zeros elsewhere. */
function unslice(g: Tensor, x: Tensor, { start, size, step }: NodeOf<"slice">["attributes"]): Tensor {
  if (g.size === 0) return zerosLike(x);
  const reversed = step.flatMap((stride, axis) => (stride < 0 ? [axis] : []));
  let result = flip(g, reversed);
  size.forEach((count, axis) => {
    const stride = Math.abs(at(step, axis));
    if (stride === 1) return;
    // [.., n, ..] to [.., n, stride, ..] filled with zeros to [.., (n - 1) * stride + 1, ..]
    const { shape } = result;
    const [before, after] = [shape.slice(0, axis), shape.slice(axis + 1)];
    const apart = pad(reshape(result, [...before, count, 1, ...after]), [
      ...before.map(() => [0, 0] as const),
      [0, 0],
      [0, stride - 1],
      ...after.map(() => [0, 0] as const),
    ]);
    const spread = [...before, (count - 1) * stride + 1, ...after];
    result = slice(
      reshape(apart, [...before, count * stride, ...after]),
      spread.map((extent) => [0, extent]),
    );
  });
  return pad(
    result,
    x.shape.map((extent, axis) => {
      const first = at(start, axis);
      const low = Math.min(first, first + (at(size, axis) - 1) * at(step, axis));
      return [low, extent - low - at(result.shape, axis)];
    }),
  );
}

/**
 * With T = <conv(x, w), y>, the output, the input gradient and the filter gradient are the partial derivatives of T by y, x
 * and w. Each is linear in the other two, so the three roles are closed under differentiation.
 */
function convVjp(
  role: NodeOf<"conv">["attributes"]["role"],
  geometry: ConvGeometry,
  [a, b]: readonly [Tensor, Tensor],
  v: Tensor,
): readonly Tensor[] {
  const forward = (x: Tensor, w: Tensor): Tensor => convOfRole("forward", geometry, x, w);
  const inputGradient = (y: Tensor, w: Tensor): Tensor => convOfRole("inputGradient", geometry, y, w);
  const filterGradient = (x: Tensor, y: Tensor): Tensor => convOfRole("filterGradient", geometry, x, y);
  switch (role) {
    case "forward": // (x, w) to y
      return [inputGradient(v, b), filterGradient(a, v)];
    case "inputGradient": // (y, w) to x
      return [forward(v, b), filterGradient(v, a)];
    case "filterGradient": // (x, y) to w
      return [inputGradient(b, v), forward(a, v)];
  }
}
