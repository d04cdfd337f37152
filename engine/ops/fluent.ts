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
  power,
  sigmoid,
  silu,
  sqrt,
  square,
  subtract,
  tanh,
} from "./elementwise.ts";
import { permute, reshape, slice, transpose, type Range } from "./movement.ts";
import { mean, reduceMax, reduceSum, type ReduceOptions, softmax } from "./reduce.ts";

export type FluentMethods = {
  add(y: TensorLike): Tensor;
  subtract(y: TensorLike): Tensor;
  multiply(y: TensorLike): Tensor;
  divide(y: TensorLike): Tensor;
  power(y: TensorLike): Tensor;
  negate(): Tensor;
  exp(): Tensor;
  log(): Tensor;
  sqrt(): Tensor;
  square(): Tensor;
  tanh(): Tensor;
  sigmoid(): Tensor;
  silu(): Tensor;
  cast(dtype: DType): Tensor;
  matmul(y: Tensor): Tensor;
  reshape(shape: Shape): Tensor;
  permute(order?: readonly number[]): Tensor;
  transpose(first?: number, second?: number): Tensor;
  slice(ranges: readonly (Range | null)[]): Tensor;
  sum(options?: ReduceOptions): Tensor;
  mean(options?: ReduceOptions): Tensor;
  max(options?: ReduceOptions): Tensor;
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
