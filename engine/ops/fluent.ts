/** The most used operations as methods of Tensor: `x.add(y).silu()`. */
import type { DType } from "../graph/dtype.ts";
import type { Shape } from "../graph/shape.ts";
import { Tensor, type TensorLike } from "../graph/tensor.ts";
import { matmul } from "./contract.ts";
import {
  add,
  cast,
  divide,
  exp,
  log,
  multiply,
  negate,
  sigmoid,
  silu,
  sqrt,
  square,
  subtract,
  tanh,
} from "./elementwise.ts";
import { permute, reshape, slice, transpose, type SliceRange } from "./movement.ts";
import { power } from "./powers.ts";
import { mean, reduceMax, reduceSum, type ReduceOptions, softmax } from "./reduce.ts";

/** The methods; x is the tensor before the dot. Each is the function of its name (`sum` and `max` are `reduceSum` and `reduceMax`). */
export type FluentMethods = {
  /**
   * x + y; sizes of 1 broadcast, as in all operations of two tensors: [4, 1] and [3] give [4, 3]. Integers wrap modulo 2^32.
   * @throws EvenkeelError `shape` if the shapes don't broadcast, `dtype` if the dtypes differ; a number takes x's.
   */
  add(y: TensorLike): Tensor;
  /** x - y, broadcast. Integers wrap modulo 2^32. @throws EvenkeelError `shape` or `dtype`, as `add`. */
  subtract(y: TensorLike): Tensor;
  /** x * y, element by element, broadcast; `matmul` is the matrix product. @throws EvenkeelError `shape` or `dtype`, as `add`. */
  multiply(y: TensorLike): Tensor;
  /** x / y of f32, broadcast. @throws EvenkeelError `shape` or `dtype`, as `add`, and for integers. */
  divide(y: TensorLike): Tensor;
  /**
   * x to the power y, broadcast: of f32 as C's `pow`, where a negative x needs a whole y; of integers modulo 2^32.
   * @throws EvenkeelError as `add`, and `range` for an integer x and a negative number y.
   */
  power(y: TensorLike): Tensor;
  /** -x, of the shape of x. @throws EvenkeelError `dtype` for bool. */
  negate(): Tensor;
  /** e^x of each element. f32. @throws EvenkeelError `dtype` otherwise. */
  exp(): Tensor;
  /** Natural logarithm of each element; -infinity at 0, NaN below. f32. @throws EvenkeelError `dtype` otherwise. */
  log(): Tensor;
  /** Square root of each element; NaN below 0. f32. @throws EvenkeelError `dtype` otherwise. */
  sqrt(): Tensor;
  /** x * x, of the shape of x. @throws EvenkeelError `dtype` for bool. */
  square(): Tensor;
  /** Hyperbolic tangent of each element. f32. @throws EvenkeelError `dtype` otherwise. */
  tanh(): Tensor;
  /** 1 / (1 + e^-x) of each element. f32. @throws EvenkeelError `dtype` otherwise. */
  sigmoid(): Tensor;
  /** x * sigmoid(x), of the shape of x. f32. @throws EvenkeelError `dtype` otherwise. */
  silu(): Tensor;
  /** The values as another dtype, in the same shape. f32 to integer truncates towards zero and saturates; to bool: is it non-zero. */
  cast(dtype: DType): Tensor;
  /**
   * Matrix product over the last two axes: [.., M, K] with [.., K, N] gives [.., M, N]; axes in front broadcast, a vector is a row on
   * the left and a column on the right. f32.
   * @throws EvenkeelError `shape` if the inner sizes differ or the axes in front don't broadcast.
   */
  matmul(y: Tensor): Tensor;
  /**
   * The same elements in row-major order under another shape; one size may be -1 and is worked out.
   * @throws EvenkeelError `shape` if it has another number of elements.
   */
  reshape(shape: Shape): Tensor;
  /**
   * Axes in another order: axis i of the result is axis `order[i]` of x; default: reversed.
   * @throws EvenkeelError `axis` if the order doesn't name every axis once.
   */
  permute(order?: readonly number[]): Tensor;
  /**
   * Two axes exchanged; default: the last two (matrix transpose). Negative ones count from the end.
   * @throws EvenkeelError `axis` if x has no such axis.
   */
  transpose(first?: number, second?: number): Tensor;
  /**
   * Part of x: a range [begin, end, step] per axis from the first on, `null` or missing for a whole axis.
   * @throws EvenkeelError `range` for an index outside of its axis, `shape` for more ranges than axes.
   */
  slice(ranges: readonly (SliceRange | null)[]): Tensor;
  /**
   * Sum over `axes` (default: all); 0 where they are empty. With `keepAxes` they stay, with size 1. bool is counted as i32.
   * @throws EvenkeelError `axis` if x has no such axis.
   */
  sum(options?: ReduceOptions): Tensor;
  /**
   * Arithmetic mean over `axes` (default: all); NaN where they are empty. With `keepAxes` they stay, with size 1. f32.
   * @throws EvenkeelError `axis` if x has no such axis, `dtype` for other dtypes.
   */
  mean(options?: ReduceOptions): Tensor;
  /**
   * Largest element over `axes` (default: all); NaN wins. With `keepAxes` they stay, with size 1.
   * @throws EvenkeelError `axis` if x has no such axis, `shape` for an empty axis.
   */
  max(options?: ReduceOptions): Tensor;
  /**
   * exp(x) / sum(exp(x)) along one axis (default: the last), without overflow; the shape stays. f32.
   * @throws EvenkeelError `axis` if x has no such axis, `shape` if it is empty.
   */
  softmax(axis?: number): Tensor;
};

declare module "../graph/tensor.ts" {
  // Merging is the only way to add members to a class's type; the members themselves are defined once, below.
  interface Tensor extends FluentMethods {}
}

const methods: {
  readonly [K in keyof FluentMethods]: (this: Tensor, ...args: Parameters<FluentMethods[K]>) => Tensor;
} = {
  add(y) {
    return add(this, y);
  },
  subtract(y) {
    return subtract(this, y);
  },
  multiply(y) {
    return multiply(this, y);
  },
  divide(y) {
    return divide(this, y);
  },
  power(y) {
    return power(this, y);
  },
  negate() {
    return negate(this);
  },
  exp() {
    return exp(this);
  },
  log() {
    return log(this);
  },
  sqrt() {
    return sqrt(this);
  },
  square() {
    return square(this);
  },
  tanh() {
    return tanh(this);
  },
  sigmoid() {
    return sigmoid(this);
  },
  silu() {
    return silu(this);
  },
  cast(dtype) {
    return cast(this, dtype);
  },
  matmul(y) {
    return matmul(this, y);
  },
  reshape(shape) {
    return reshape(this, shape);
  },
  permute(order) {
    return permute(this, order);
  },
  transpose(first, second) {
    return transpose(this, first, second);
  },
  slice(ranges) {
    return slice(this, ranges);
  },
  sum(options) {
    return reduceSum(this, options);
  },
  mean(options) {
    return mean(this, options);
  },
  max(options) {
    return reduceMax(this, options);
  },
  softmax(axis) {
    return softmax(this, axis);
  },
};

for (const [name, method] of Object.entries(methods)) {
  Object.defineProperty(Tensor.prototype, name, { value: method, writable: true, configurable: true });
}
