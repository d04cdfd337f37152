/** Element-wise operations with NumPy broadcasting. Two tensors must have one dtype; a number takes the other's. */
import { EvenkeelError } from "../errors.ts";
import type { DType } from "../graph/dtype.ts";
import { makeNode } from "../graph/graph.ts";
import type { BinaryOp, CompareOp, Node, UnaryOp } from "../graph/node.ts";
import { broadcastShapes, formatShape, sameShape, type Shape } from "../graph/shape.ts";
import { literal, Tensor, type TensorLike } from "../graph/tensor.ts";
import { broadcastTo } from "./movement.ts";

/** @internal Both operands as nodes of one dtype and one shape. */
export function align(operation: string, x: TensorLike, y: TensorLike): [Node, Node] {
  if (typeof x === "number" && typeof y === "number") {
    return [literal(operation, x, "f32").node, literal(operation, y, "f32").node];
  }
  const left = operandOf(operation, x, () => operandOf(operation, y, () => "f32").dtype);
  const right = operandOf(operation, y, () => left.dtype);
  if (left.dtype !== right.dtype) {
    throw new EvenkeelError(
      "dtype",
      `${operation}: dtypes differ: ${left.dtype} ${formatShape(left.shape)} and ${right.dtype} ${formatShape(right.shape)}. ` +
        `Cast one: cast(x, "${left.dtype}").`,
    );
  }
  const shape = broadcastShapes(operation, left.shape, right.shape);
  return [broadcastTo(left, shape).node, broadcastTo(right, shape).node];
}

/** What stands for an operand; a number has the dtype of the other one. */
function operandOf(operation: string, x: TensorLike, dtypeOfNumber: () => DType): Tensor {
  if (x instanceof Tensor) return x;
  if (typeof x === "number") return literal(operation, x, dtypeOfNumber());
  throw new EvenkeelError("value", `${operation}: ${String(x)} is neither a tensor nor a number.`);
}

/** @internal One of the dtypes that an operation knows, or an error in the caller's words. */
export function requireDtype(operation: string, dtype: DType, allowed: readonly DType[]): void {
  if (!allowed.includes(dtype)) {
    throw new EvenkeelError(
      "dtype",
      `${operation}: dtype ${dtype} is not supported, expected ${allowed.join(" or ")}. Cast the operand first.`,
    );
  }
}

function unary(op: UnaryOp, x: TensorLike): Tensor {
  return new Tensor(makeNode("unary", [operandOf(op, x, () => "f32").node], { op }));
}

/** @internal The primitive `op`, of operands that broadcast. */
export function binary(op: BinaryOp, x: TensorLike, y: TensorLike): Tensor {
  return new Tensor(makeNode("binary", align(op, x, y), { op }));
}

function compare(op: CompareOp, x: TensorLike, y: TensorLike): Tensor {
  return new Tensor(makeNode("compare", align(op, x, y), { op }));
}

/** `op` with its sides exchanged, under the name that the caller used. */
function compareExchanged(operation: string, op: "less" | "lessEqual", x: TensorLike, y: TensorLike): Tensor {
  const [left, right] = align(operation, x, y);
  requireDtype(operation, left.dtype, ["f32", "i32", "u32"]);
  return new Tensor(makeNode("compare", [right, left], { op }));
}

/**
 * x + y; wraps modulo 2^32 on integers. @throws EvenkeelError `shape` or `dtype`, as all operations of two tensors.
 * @example console.log(await add(tensor([1, 2]), tensor([10, 20])).array()); // [ 11, 22 ]
 */
export const add = (x: TensorLike, y: TensorLike): Tensor => binary("add", x, y);
/**
 * x - y; wraps modulo 2^32 on integers.
 * @example console.log(await subtract(tensor([5, 7]), 2).array()); // [ 3, 5 ]
 */
export const subtract = (x: TensorLike, y: TensorLike): Tensor => binary("subtract", x, y);
/**
 * x * y; wraps modulo 2^32 on integers.
 * @example console.log(await multiply(tensor([[1], [2]]), tensor([3, 4])).array()); // [ [ 3, 4 ], [ 6, 8 ] ]
 */
export const multiply = (x: TensorLike, y: TensorLike): Tensor => binary("multiply", x, y);
/**
 * x / y of f32.
 * @example console.log(await divide(1, tensor([2, -4])).array()); // [ 0.5, -0.25 ]
 */
export const divide = (x: TensorLike, y: TensorLike): Tensor => binary("divide", x, y);
/**
 * The larger of x and y; NaN if either is. The smaller one has no derivative, equal ones have half of it each, and beside a NaN both
 * have all of it.
 * @example console.log(await maximum(tensor([-1, 2, NaN]), 0).array()); // [ 0, 2, NaN ]
 */
export const maximum = (x: TensorLike, y: TensorLike): Tensor => binary("maximum", x, y);
/**
 * The smaller of x and y; NaN if either is. Its derivative is shared as `maximum`'s.
 * @example console.log(await minimum(tensor([-1, 2]), tensor([0, 0])).array()); // [ -1, 0 ]
 */
export const minimum = (x: TensorLike, y: TensorLike): Tensor => binary("minimum", x, y);
/**
 * Bitwise and of integers, logical and of bools.
 * @example console.log(await and(tensor([6, 3], { dtype: "i32" }), tensor([3, 5], { dtype: "i32" })).array()); // [ 2, 1 ]
 */
export const and = (x: TensorLike, y: TensorLike): Tensor => binary("and", x, y);
/**
 * Bitwise or of integers, logical or of bools.
 * @example console.log(await or(tensor([true, false]), tensor([false, false])).array()); // [ true, false ]
 */
export const or = (x: TensorLike, y: TensorLike): Tensor => binary("or", x, y);
/**
 * Bitwise exclusive or of integers, logical of bools.
 * @example console.log(await xor(tensor([true, true]), tensor([false, true])).array()); // [ true, false ]
 */
export const xor = (x: TensorLike, y: TensorLike): Tensor => binary("xor", x, y);

/**
 * x < y, as bool; comparisons with NaN are false.
 * @example console.log(await less(tensor([1, 2, 3]), 2).array()); // [ true, false, false ]
 */
export const less = (x: TensorLike, y: TensorLike): Tensor => compare("less", x, y);
/**
 * x <= y, as bool.
 * @example console.log(await lessEqual(tensor([1, 2, 3]), 2).array()); // [ true, true, false ]
 */
export const lessEqual = (x: TensorLike, y: TensorLike): Tensor => compare("lessEqual", x, y);
/**
 * x > y, as bool.
 * @example console.log(await greater(tensor([1, 2, 3]), 2).array()); // [ false, false, true ]
 */
export const greater = (x: TensorLike, y: TensorLike): Tensor => compareExchanged("greater", "less", x, y);
/**
 * x >= y, as bool.
 * @example console.log(await greaterEqual(tensor([1, 2, 3]), 2).array()); // [ false, true, true ]
 */
export const greaterEqual = (x: TensorLike, y: TensorLike): Tensor =>
  compareExchanged("greaterEqual", "lessEqual", x, y);
/**
 * x == y, as bool.
 * @example console.log(await equal(tensor([1, NaN]), tensor([1, NaN])).array()); // [ true, false ]
 */
export const equal = (x: TensorLike, y: TensorLike): Tensor => compare("equal", x, y);
/**
 * x != y, as bool; true if either is NaN.
 * @example console.log(await notEqual(tensor([1, NaN]), tensor([1, NaN])).array()); // [ false, true ]
 */
export const notEqual = (x: TensorLike, y: TensorLike): Tensor => compare("notEqual", x, y);

/**
 * -x.
 * @example console.log(await negate(tensor([1, -2])).array()); // [ -1, 2 ]
 */
export const negate = (x: TensorLike): Tensor => unary("negate", x);
/**
 * |x|. Its derivative at 0 is 0.
 * @example console.log(await absolute(tensor([1, -2])).array()); // [ 1, 2 ]
 */
export const absolute = (x: TensorLike): Tensor => unary("absolute", x);
/**
 * -1, 0 or 1; NaN stays. It has no derivative.
 * @example console.log(await sign(tensor([3, 0, -2])).array()); // [ 1, 0, -1 ]
 */
export const sign = (x: TensorLike): Tensor => unary("sign", x);
/**
 * The largest whole number not above x. It has no derivative.
 * @example console.log(await floor(tensor([1.5, -1.5])).array()); // [ 1, -2 ]
 */
export const floor = (x: TensorLike): Tensor => unary("floor", x);
/**
 * e^x.
 * @example console.log(await exp(tensor([0, 1])).array()); // [ 1, 2.7183 ]
 */
export const exp = (x: TensorLike): Tensor => unary("exp", x);
/**
 * e^x - 1, accurate near 0.
 * @example console.log(await expm1(tensor([0, 1e-8])).array()); // [ 0, 1e-8 ]
 */
export const expm1 = (x: TensorLike): Tensor => unary("expm1", x);
/**
 * Natural logarithm; -infinity at 0, where the derivative is infinite; NaN below.
 * @example console.log(await log(tensor([1, 0])).array()); // [ 0, -Infinity ]
 */
export const log = (x: TensorLike): Tensor => unary("log", x);
/**
 * ln(1 + x), accurate near 0.
 * @example console.log(await log1p(tensor([0, 1e-8])).array()); // [ 0, 1e-8 ]
 */
export const log1p = (x: TensorLike): Tensor => unary("log1p", x);
/**
 * Square root; NaN below 0. Its derivative at 0 is infinite.
 * @example console.log(await sqrt(tensor([4, 2])).array()); // [ 2, 1.4142 ]
 */
export const sqrt = (x: TensorLike): Tensor => unary("sqrt", x);
/**
 * Sine of x in radians.
 * @example console.log(await sin(tensor([0, Math.PI / 2])).array()); // [ 0, 1 ]
 */
export const sin = (x: TensorLike): Tensor => unary("sin", x);
/**
 * Cosine of x in radians.
 * @example console.log(await cos(tensor([0, Math.PI])).array()); // [ 1, -1 ]
 */
export const cos = (x: TensorLike): Tensor => unary("cos", x);
/**
 * Inverse tangent, from -pi/2 to pi/2. `atan2` knows the quadrant.
 * @example console.log(await atan(tensor([0, 1, Infinity])).array()); // [ 0, 0.7854, 1.5708 ]
 */
export const atan = (x: TensorLike): Tensor => unary("atan", x);
/**
 * Hyperbolic tangent.
 * @example console.log(await tanh(tensor([0, 1])).array()); // [ 0, 0.76159 ]
 */
export const tanh = (x: TensorLike): Tensor => unary("tanh", x);
/**
 * 1 / (1 + e^-x).
 * @example console.log(await sigmoid(tensor([0, 2])).array()); // [ 0.5, 0.8808 ]
 */
export const sigmoid = (x: TensorLike): Tensor => unary("sigmoid", x);
/**
 * The error function 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x. Its derivative is 2 / sqrt(pi) e^(-x^2).
 * @example console.log(await erf(tensor([0, 1, -5])).array()); // [ 0, 0.8427, -1 ]
 */
export const erf = (x: TensorLike): Tensor => unary("erf", x);
/**
 * The nearest number that a 16-bit float holds (IEEE 754 binary16, ties to even), still as f32; what JAX calls `reduce_precision` with 5 and
 * 10 bits. What would be subnormal there, below 2^-14, is 0 of the same sign; from 65520 on magnitudes are infinite; NaN stays. What flows
 * back is rounded the same way, and otherwise passes as if nothing had been done. A device may keep such values in 16 bits.
 * @example console.log(await roundToFloat16(tensor([0.1, 70000])).array()); // [ 0.099976, Infinity ]
 */
export const roundToFloat16 = (x: TensorLike): Tensor => unary("roundToFloat16", x);
/**
 * Bitwise complement of integers, logical not of bools.
 * @example console.log(await not(tensor([true, false])).array()); // [ false, true ]
 */
export const not = (x: Tensor): Tensor => unary("not", x);
/**
 * Neither infinite nor NaN, as bool.
 * @example console.log(await isFinite(tensor([1, Infinity, NaN])).array()); // [ true, false, false ]
 */
export const isFinite = (x: TensorLike): Tensor => unary("isFinite", x);
/**
 * Not a number, as bool.
 * @example console.log(await isNaN(tensor([1, Infinity, NaN])).array()); // [ false, false, true ]
 */
export const isNaN = (x: TensorLike): Tensor => unary("isNaN", x);

/**
 * x where `condition` (bool) holds, else y; all three broadcast. What isn't chosen has the derivative 0, whatever flows back; but if its
 * own derivative is infinite at that point, as that of sqrt at 0, then 0 times infinity is NaN further on: replace its argument too.
 * @example console.log(await where(tensor([true, false]), tensor([1, 2]), 0).array()); // [ 1, 0 ]
 */
export function where(condition: Tensor, x: TensorLike, y: TensorLike): Tensor {
  requireDtype("where (condition)", condition.dtype, ["bool"]);
  const [left, right] = align("where", x, y);
  const shape = broadcastShapes("where", condition.shape, left.shape);
  const fit = (node: Node): Node => broadcastTo(new Tensor(node), shape).node;
  return new Tensor(makeNode("select", [fit(condition.node), fit(left), fit(right)], {}));
}

/**
 * The values as another dtype. f32 to integer truncates towards zero and saturates; a NaN or an infinity there is an
 * error when the program runs. To bool: non-zero. Between i32 and u32: the same bits.
 * @example console.log(await cast(tensor([1.7, -1.7]), "i32").array()); // [ 1, -1 ]
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : new Tensor(makeNode("cast", [x.node], { dtype }));
}

/** @internal `cast` of an f32 that holds no NaN and no infinity whatever is given: it isn't looked at when the program runs. */
export function castFinite(x: Tensor, dtype: "i32" | "u32"): Tensor {
  return new Tensor(makeNode("cast", [x.node], { dtype, isFinite: true }));
}

/**
 * The value, with no derivative through it.
 * @example
 * ```ts
 * const slope = grad((x: Tensor) => x.multiply(stopGradient(x)));
 * console.log(await slope(scalar(3)).item()); // 3
 * ```
 */
export function stopGradient(x: Tensor): Tensor {
  return new Tensor(makeNode("stopGradient", [x.node], {}));
}

/**
 * The value of `value` with the derivative of `surrogate`, which is computed only where its derivative needs it; but mistakes in it, such as
 * an index out of range, are errors in any case. Both have one shape and dtype. So rounding passes on what flows back
 * (`withDerivativeOf(floor(x), x)`), what others call a straight-through estimator.
 * @throws EvenkeelError `shape` or `dtype` if the two differ.
 * @example
 * ```ts
 * const rounded = (x: Tensor) => withDerivativeOf(floor(x), x);
 * console.log(await rounded(tensor([1.5])).array()); // [ 1 ]
 * console.log(await grad((x: Tensor) => rounded(x).sum())(tensor([1.5])).array()); // [ 1 ]
 * ```
 */
export function withDerivativeOf(value: Tensor, surrogate: Tensor): Tensor {
  requireShape("withDerivativeOf", "the surrogate", surrogate, value.shape);
  requireDtype("withDerivativeOf (surrogate)", surrogate.dtype, [value.dtype]);
  return new Tensor(makeNode("ruled", [value.node, surrogate.node], { rule: { kind: "surrogate" } }));
}

/**
 * x limited to [low, high]; the result is `high` where low > high. NaN stays. Within the bounds and at them the derivative is x's
 * alone; outside it is that of the bound which holds, and where both hold and are equal, each has half. Beside a NaN x has none.
 * @example console.log(await clamp(tensor([-2, 0.5, 2]), -1, 1).array()); // [ -1, 0.5, 1 ]
 */
export function clamp(x: Tensor, low: TensorLike, high: TensorLike): Tensor {
  requireDtype("clamp", x.dtype, ["f32", "i32", "u32"]);
  const raised = new Tensor(makeNode("binary", align("clamp", stopGradient(x), low), { op: "maximum" }));
  const limited = new Tensor(makeNode("binary", align("clamp", raised, high), { op: "minimum" }));
  if (x.dtype !== "f32") return limited;
  return where(lessEqual(low, x), where(lessEqual(x, high), x, limited), limited);
}

/**
 * x * x.
 * @example console.log(await square(tensor([2, -3])).array()); // [ 4, 9 ]
 */
export function square(x: Tensor): Tensor {
  requireDtype("square", x.dtype, ["f32", "i32", "u32"]);
  return multiply(x, x);
}

/**
 * 1 / x. f32.
 * @example console.log(await reciprocal(tensor([2, -4])).array()); // [ 0.5, -0.25 ]
 */
export function reciprocal(x: Tensor): Tensor {
  requireDtype("reciprocal", x.dtype, ["f32"]);
  return divide(1, x);
}

/**
 * x^-1/2. f32.
 * @example console.log(await rsqrt(tensor([4, 16])).array()); // [ 0.5, 0.25 ]
 */
export function rsqrt(x: Tensor): Tensor {
  requireDtype("rsqrt", x.dtype, ["f32"]);
  return divide(1, sqrt(x));
}

/**
 * x * sigmoid(x). f32.
 * @example console.log(await silu(tensor([0, 2])).array()); // [ 0, 1.7616 ]
 */
export function silu(x: Tensor): Tensor {
  requireDtype("silu", x.dtype, ["f32"]);
  return multiply(x, sigmoid(x));
}

/**
 * max(x, 0); NaN stays. Its derivative is 0 up to and at 0, and 1 above.
 * @example console.log(await relu(tensor([-1, 2])).array()); // [ 0, 2 ]
 */
export function relu(x: Tensor): Tensor {
  requireDtype("relu", x.dtype, ["f32", "i32", "u32"]);
  return where(lessEqual(x, 0), 0, x);
}

/** @internal The same shape or an error in the caller's words. */
export function requireShape(operation: string, argument: string, x: Tensor, shape: Shape): void {
  if (!sameShape(x.shape, shape)) {
    throw new EvenkeelError(
      "shape",
      `${operation}: ${argument} is ${formatShape(x.shape)}, expected ${formatShape(shape)}.`,
    );
  }
}
