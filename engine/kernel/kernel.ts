/**
 * The kernel language: what a device compiles.
 *
 * A kernel is a nest of numbered axes. At every point of its parallel axes it stores one element of each of its results; with a
 * `reduction` it folds an expression over the reduce axes first, and what it stores may use the folded value. Every address is
 * affine in the axes, so that a device can vectorise, tile and split loops without divisions; the only data-dependent address is
 * `gather`.
 *
 * Matrix products and convolutions are ordinary kernels here (what is folded is a multiply of two loads, by sum): a fast
 * micro-kernel is another schedule of the same description.
 */
import type { DType } from "../graph/dtype.ts";
import type { BinaryOp, CompareOp, ReduceOp, UnaryOp } from "../graph/node.ts";

export type AxisRole = "parallel" | "reduce";

/** A loop axis. Axes are ordered outermost first; all parallel axes come before all reduce axes. */
export type Axis = { readonly role: AxisRole; readonly size: number };

/** `offset + sum(coefficients[a] * axis[a])`, in elements. One integer coefficient per kernel axis; may be negative. */
export type Affine = { readonly offset: number; readonly coefficients: readonly number[] };

/**
 * How elements lie in memory, where it isn't as their dtype says: `float16` has two f32 in a word, each of which is a number that
 * `roundToFloat16` gives.
 */
export type Storage = "float16";

/** A buffer that the kernel reads: its dtype and its length in elements. Operands never alias results unless the plan says so. */
export type Operand = { readonly dtype: DType; readonly length: number; readonly storage?: Storage };

/**
 * Scalar expressions. A kernel's expression is a DAG: the same object met twice is the same value (emit it once).
 * Operand dtypes of every operation are equal unless said otherwise.
 */
export type Scalar =
  /** Element `at` of operand number `operand`. Always in bounds where it is evaluated. */
  | { readonly kind: "load"; readonly dtype: DType; readonly operand: number; readonly at: Affine }
  /** Element `at + stride * clamp(index, 0, size - 1)` of an operand; `index` has dtype i32. */
  | {
      readonly kind: "gather";
      readonly dtype: DType;
      readonly operand: number;
      readonly at: Affine;
      readonly index: Scalar;
      readonly stride: number;
      readonly size: number;
    }
  | { readonly kind: "literal"; readonly dtype: DType; readonly value: number }
  /** The value of an affine expression of the axes, converted to `dtype` (iota). */
  | { readonly kind: "index"; readonly dtype: DType; readonly at: Affine }
  | { readonly kind: "unary"; readonly dtype: DType; readonly op: UnaryOp; readonly x: Scalar }
  | { readonly kind: "binary"; readonly dtype: DType; readonly op: BinaryOp; readonly x: Scalar; readonly y: Scalar }
  | { readonly kind: "compare"; readonly dtype: "bool"; readonly op: CompareOp; readonly x: Scalar; readonly y: Scalar }
  | {
      readonly kind: "select";
      readonly dtype: DType;
      readonly condition: Scalar;
      readonly x: Scalar;
      readonly y: Scalar;
    }
  | { readonly kind: "cast"; readonly dtype: DType; readonly x: Scalar }
  /** Shift of an i32 or u32 by a constant 0..31; to the right, an i32 keeps its sign. */
  | {
      readonly kind: "shift";
      readonly dtype: DType;
      readonly direction: "left" | "right";
      readonly amount: number;
      readonly x: Scalar;
    }
  /** Word `word` of Threefry-2x32-20 with key (key0, key1) and counter (counter0, counter1); all u32. */
  | {
      readonly kind: "threefry";
      readonly dtype: "u32";
      readonly word: 0 | 1;
      readonly key0: Scalar;
      readonly key1: Scalar;
      readonly counter0: Scalar;
      readonly counter1: Scalar;
    }
  /**
   * `inside` where `start <= axis < stop`, else `outside`. Loads of a branch are in bounds only in that branch:
   * split the loop, or guard the loads.
   */
  | {
      readonly kind: "region";
      readonly dtype: DType;
      readonly axis: number;
      readonly start: number;
      readonly stop: number;
      readonly inside: Scalar;
      readonly outside: Scalar;
    }
  /**
   * `inside` where `start <= at < stop`, else `outside`; loads as in a region. Only in the factors of products, for devices that copy
   * these closer first (`DeviceLimits.factors`): what goes through an axis element by element has regions.
   */
  | {
      readonly kind: "within";
      readonly dtype: DType;
      readonly at: Affine;
      readonly start: number;
      readonly stop: number;
      readonly inside: Scalar;
      readonly outside: Scalar;
    }
  /** The folded value of the reduction. Only in what is stored. */
  | { readonly kind: "accumulator"; readonly dtype: DType };

export type { ReduceOp };

/** `body`, which may use every axis, folded over the reduce axes. */
export type Reduction = { readonly op: ReduceOp; readonly body: Scalar };

/** What a kernel writes into one of its results. */
export type Store = {
  /** Uses parallel axes only; `accumulator` is what was folded. */
  readonly value: Scalar;
  readonly dtype: DType;
  /** Elements of the result. */
  readonly length: number;
  readonly storage?: Storage;
  /** Row-major over the parallel axes and covering the whole result: parallel point p writes element p. */
  readonly at: Affine;
};

export type Stores = readonly [Store, ...Store[]];

/** A nest of loops that writes one or several arrays. */
export type Kernel = {
  /** Readable and unique within a plan, e.g. `sum_exp_subtract_12`. */
  readonly name: string;
  readonly axes: readonly Axis[];
  readonly operands: readonly Operand[];
  /** Null exactly if there are no reduce axes. */
  readonly reduction: Reduction | null;
  /** What is written at a parallel point: all of it is read and computed before any of it is written. */
  readonly stores: Stores;
  /** Arithmetic operations of a run, counting a multiply-add as two. */
  readonly flops: number;
  /** Bytes of operands and results touched once each. */
  readonly bytes: number;
};
