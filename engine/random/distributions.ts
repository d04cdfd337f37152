/**
 * Random tensors of a key, computed in the graph: integers are equal bit for bit on every device, other numbers up to the
 * device's rounding. A batch of keys [.., 2] gives one tensor each: [.., ...shape].
 */
import { EvenkeelError } from "../errors.ts";
import {
  at,
  broadcastShapes,
  checkShape,
  formatShape,
  rowMajorStrides,
  sameShape,
  type Shape,
  sizeOf,
} from "../graph/shape.ts";
import { Tensor, type TensorLike } from "../graph/tensor.ts";
import { iota, scalar } from "../ops/creation.ts";
import {
  add,
  absolute,
  and,
  cast,
  divide,
  equal,
  less,
  lessEqual,
  log,
  multiply,
  negate,
  requireDtype,
  sqrt,
  subtract,
  where,
} from "../ops/elementwise.ts";
import { argsort } from "../ops/order.ts";
import { argmax } from "../ops/reduce.ts";
import { shiftRight } from "../ops/shifts.ts";
import { streams } from "./key.ts";
import { keyWords, threefry, withTrailingAxes } from "./threefry.ts";

/**
 * 32 random bits an element: u32 of `shape`. Element i depends on the key and i alone.
 * @example console.log(await randomBits(randomKey(0), [2]).array()); // [ 1797259609, 1351547692 ]
 */
export function randomBits(key: Tensor, shape: Shape): Tensor {
  return bitsFor("randomBits", key, shape);
}

/** `randomBits`, with errors in the words of the operation that was called. */
function bitsFor(operation: string, key: Tensor, shape: Shape): Tensor {
  const checked = checkShape(operation, shape);
  if (sizeOf(checked) > 2 ** 32)
    throw new EvenkeelError(
      "shape",
      `${operation}: ${formatShape(checked)} has more than 2^32 elements, the most of one key.`,
    );
  const [key0, key1] = keyWords(operation, key);
  return threefry(
    0,
    [withTrailingAxes(key0, checked.length), withTrailingAxes(key1, checked.length)],
    [elementNumbers(checked), scalar(streams.bits, "u32")],
  );
}

/** Each element's place in row-major order, u32. */
function elementNumbers(shape: Shape): Tensor {
  const strides = rowMajorStrides(shape);
  return shape.reduce<Tensor>(
    (sum, _, axis) => add(sum, multiply(iota(shape, axis, "u32"), at(strides, axis))),
    scalar(0, "u32"),
  );
}

/** @internal Multiples of 2^-24 in [0, 1). */
export function unitUniform(operation: string, key: Tensor, shape: Shape): Tensor {
  return multiply(cast(shiftRight(bitsFor(operation, key, shape), 8), "f32"), 2 ** -24);
}

/**
 * Uniform in [low, high): multiples of 2^-24 of the range. Where `low` isn't 0, float32 may round the topmost to `high`
 * itself.
 * @example console.log(await randomUniform(randomKey(0), [3], -1, 1).array()); // [ -0.16309, -0.37064, -0.21368 ]
 */
export function randomUniform(key: Tensor, shape: Shape, low: TensorLike = 0, high: TensorLike = 1): Tensor {
  const unit = unitUniform("randomUniform", key, shape);
  if (low === 0 && high === 1) return unit;
  return add(multiply(unit, subtract(high, low)), low);
}

/**
 * True with probability p, up to 2^-24. @throws EvenkeelError `value` for a number outside of 0 to 1.
 * @example console.log(await randomBernoulli(randomKey(0), [4], 0.5).array()); // [ true, true, true, false ]
 */
export function randomBernoulli(key: Tensor, shape: Shape, p: TensorLike): Tensor {
  if (typeof p === "number" && !(p >= 0 && p <= 1)) {
    throw new EvenkeelError("value", `randomBernoulli: p ${p} is not a probability from 0 to 1.`);
  }
  return less(unitUniform("randomBernoulli", key, shape), p);
}

/**
 * Standard normals, by the inverse of the distribution function: 23 bits choose the quantile, one the sign. The largest
 * magnitude is 5.4. Within 1e-6 of the exact quantile on devices that round as IEEE 754 has it.
 * @example console.log(await randomNormal(randomKey(0), [3]).array()); // [ -0.8091, 1.0054, 0.8539 ]
 */
export function randomNormal(key: Tensor, shape: Shape): Tensor {
  const bits = bitsFor("randomNormal", key, shape);
  // p in (0, 1/2), exact in f32.
  const p = multiply(add(cast(shiftRight(bits, 9), "f32"), 0.5), 2 ** -24);
  const magnitude = negate(lowerNormalQuantile(p));
  return where(equal(and(bits, 1), 0), magnitude, negate(magnitude));
}

function polynomial(x: Tensor, coefficients: readonly number[]): Tensor {
  return coefficients
    .slice(0, -1)
    .reduceRight<Tensor>((sum, c) => add(multiply(sum, x), c), scalar(at(coefficients, coefficients.length - 1)));
}

/**
 * @internal The z <= 0 that a standard normal stays below with probability p, 2^-25 <= p <= 1/2. The body is the single-precision
 * approximation PPND7 of Wichura (Applied Statistics 37, 1988, algorithm AS 241; relative accuracy 1e-7). In the tail
 * -z = s - g(s) with s = sqrt(-2 ln p): g stays below 0.85, so that the rounding of its quotient weighs little beside z's
 * own. g is our minimax fit over p from 2^-25 to 0.0755 (error 4.3e-9).
 */
export function lowerNormalQuantile(p: Tensor): Tensor {
  const q = subtract(p, 0.5);
  const central = subtract(0.180625, multiply(q, q));
  const body = multiply(
    q,
    divide(
      polynomial(central, [3.3871327179, 50.434271938, 159.29113202, 59.10937472]),
      polynomial(central, [1, 17.895169469, 78.757757664, 67.1875636]),
    ),
  );
  const s = sqrt(multiply(log(p), -2));
  const tail = subtract(s, 2.25);
  const g = divide(
    polynomial(tail, [0.841959286, 0.383605163, 0.0341248075, 0.000140477574]),
    polynomial(tail, [1, 0.704004704, 0.141416147, 0.0070577174]),
  );
  return where(lessEqual(absolute(q), 0.425), body, subtract(g, s));
}

/**
 * Categories i32 with probabilities softmax(logits), each the index of the largest sum of a logit and Gumbel noise (Gumbel, 1954). A logit
 * of -infinity is never chosen beside others; rows with NaN give the first NaN. The noise goes from -2.8 to 16.6, so that categories with a
 * probability below about 1e-8 come up too seldom.
 * @param logits f32 [.., categories]
 * @param shape of the result; it ends in what broadcasts with the axes of logits in front of the categories. Default: these.
 * @throws EvenkeelError `dtype` or `shape` if logits are no f32 or have no categories, or don't broadcast.
 * @example
 * ```ts
 * const logits = log(tensor([0.25, 0.75]));
 * const draws = randomCategorical(randomKey(0), logits, [10000]);
 * console.log(Math.abs((await mean(draws.cast("f32")).item()) - 0.75) < 0.02); // true
 * ```
 */
export function randomCategorical(key: Tensor, logits: Tensor, shape?: Shape): Tensor {
  requireDtype("randomCategorical", logits.dtype, ["f32"]);
  const [categories = 0] = logits.shape.slice(-1);
  const rows = logits.shape.slice(0, -1);
  const result = checkShape("randomCategorical", shape ?? rows);
  if (categories === 0 || !sameShape(broadcastShapes("randomCategorical", rows, result), result)) {
    throw new EvenkeelError(
      "shape",
      `randomCategorical: logits ${formatShape(logits.shape)} give no ${formatShape(result)}: expected [.., categories] with axes in front that broadcast to it.`,
    );
  }
  const bits = bitsFor("randomCategorical", key, [...result, categories]);
  // In (0, 1), exact in f32.
  const unit = multiply(add(cast(shiftRight(bits, 9), "f32"), 0.5), 2 ** -23);
  return argmax(subtract(logits, log(negate(log(unit)))), -1);
}

/**
 * The numbers 0 to length - 1 in random order, i32 [.., length]: those that sort random bits (`argsort`).
 * @example console.log(await randomPermutation(randomKey(0), 5).array()); // [ 1, 2, 0, 4, 3 ]
 */
export function randomPermutation(key: Tensor, length: number): Tensor {
  return argsort(bitsFor("randomPermutation", key, [length]));
}
