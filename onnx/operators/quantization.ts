/** Numbers of 8 bits that stand for floats: value = (number - zero point) * scale. Sums of their products are exact. */
import {
  add,
  cast,
  clamp,
  divide,
  matmul,
  maximum,
  minimum,
  multiply,
  reduceMax,
  reduceMin,
  reshape,
  round,
  slice,
  subtract,
  type Tensor,
} from "../../engine/index.ts";
import { flag, integer } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { type ElementType, rangeOf } from "../format/elementTypes.ts";
import { axisOf, entry, upTo } from "./axes.ts";
import { type ConvolutionAttributes, convolve } from "./convolutions.ts";
import { convolutionAttributes } from "./windowGeometry.ts";

/** A scale or zero point: one, or one for each place along an axis of x. */
function alongAxis(call: NodeCall, value: Tensor, rank: number, axis: number): Tensor {
  if (value.size === 1) return reshape(value, []);
  const behind = rank - 1 - axisOf(call, axis, rank);
  return reshape(value, [value.size, ...new Array<number>(behind).fill(1)]);
}

const asFloats = (x: Tensor): Tensor => cast(x, "f32");

/** Floats as numbers of a type, rounded to even and saturated. */
function quantized(call: NodeCall, x: Tensor, scale: Tensor, zero: Tensor | undefined, type: ElementType): Result {
  const rounded = round(divide(x, scale));
  const [low, high] = rangeOf(type);
  const shifted = clamp(zero === undefined ? rounded : add(rounded, asFloats(zero)), low, high);
  return call.typed(type, cast(shifted, type.startsWith("u") ? "u32" : "i32"));
}

function quantize(call: NodeCall, axis: number): Result {
  const x = call.tensor(0);
  const type = call.has(2) ? call.value(2).type : "u8";
  const along = (i: number): Tensor => alongAxis(call, call.tensor(i), x.rank, axis);
  return quantized(call, asFloats(x), along(1), call.has(2) ? along(2) : undefined, type);
}

function dequantize(call: NodeCall, axis: number): Result {
  const x = call.tensor(0);
  const along = (i: number): Tensor => alongAxis(call, call.tensor(i), x.rank, axis);
  const centred = call.has(2) ? subtract(asFloats(x), asFloats(along(2))) : asFloats(x);
  return call.typed(call.value(1).type, multiply(centred, along(1)));
}

/** The whole range of x, 0 included, on 8 bits. */
function quantizeByRange(call: NodeCall): readonly Result[] {
  const x = call.tensor(0);
  const [low, high] = [minimum(reduceMin(x), 0), maximum(reduceMax(x), 0)];
  const scale = divide(subtract(high, low), 255);
  const zero = cast(clamp(round(divide(subtract(0, low), scale)), 0, 255), "u32");
  return [quantized(call, x, scale, zero, "u8"), scale, call.typed("u8", zero)];
}

/** Input `i` less the zero point that is input `zero`, as floats. */
function centred(call: NodeCall, i: number, zero: number, axis: number): Tensor {
  const x = asFloats(call.tensor(i));
  if (!call.has(zero)) return x;
  return subtract(x, alongAxis(call, asFloats(call.tensor(zero)), x.rank, axis));
}

/** So many products of numbers of 8 bits, less a zero point each, have a sum that is exact as f32. */
const exactProducts = Math.floor(2 ** 24 / 255 ** 2);

/** Sums in parts that are exact as floats each, added up as integers. @param size how many places of an axis are summed over */
function exactSum(size: number, part: number, sumOf: (range: readonly [number, number]) => Tensor): Tensor {
  const parts = upTo(Math.max(1, Math.ceil(size / part))).map(
    (i) => [i * part, Math.min(size, (i + 1) * part)] as const,
  );
  return parts.map((range) => cast(round(sumOf(range)), "i32")).reduce(add);
}

/** a [.., M, K] times b [.., K, N]. */
function exactProduct(a: Tensor, b: Tensor): Tensor {
  return exactSum(a.shape.at(-1) ?? 0, exactProducts, (range) => {
    const columns = slice(a, [...a.shape.slice(1).map(() => null), range]);
    const rows = b.rank === 1 ? slice(b, [range]) : slice(b, [...b.shape.slice(2).map(() => null), range]);
    return matmul(columns, rows);
  });
}

function exactConvolution(call: NodeCall, x: Tensor, w: Tensor, attributes: ConvolutionAttributes): Tensor {
  const channels = entry(call, w.shape, 1);
  const products = w.size / entry(call, w.shape, 0);
  if (products <= exactProducts) return cast(round(convolve(call, x, w, attributes)), "i32");
  const part = Math.floor((exactProducts * channels) / products);
  if (part === 0 || attributes.group !== 1) {
    throw call.error(
      "value",
      `sums of ${products} products of 8-bit numbers in a group are larger than what is exact here.`,
    );
  }
  return exactSum(channels, part, (range) =>
    convolve(call, slice(x, [null, range]), slice(w, [null, range]), attributes),
  );
}

export const quantizations: OperatorTable = {
  QuantizeLinear: [
    operator({ since: 10, build: (call) => quantize(call, 1) }),
    operator({ since: 13, attributes: { axis: integer.or(1) }, build: (call, { axis }) => quantize(call, axis) }),
    operator({
      since: 19,
      attributes: { axis: integer.or(1), saturate: flag(true) },
      build: (call, { axis }) => quantize(call, axis),
    }),
  ],
  DequantizeLinear: [
    operator({ since: 10, build: (call) => dequantize(call, 1) }),
    operator({ since: 13, attributes: { axis: integer.or(1) }, build: (call, { axis }) => dequantize(call, axis) }),
  ],
  DynamicQuantizeLinear: operator({ since: 11, build: quantizeByRange }),
  MatMulInteger: operator({
    since: 10,
    build: (call) => {
      const [a, b] = [centred(call, 0, 2, -2), centred(call, 1, 3, -1)];
      return call.typed("i32", exactProduct(a, b));
    },
  }),
  ConvInteger: operator({
    since: 10,
    attributes: convolutionAttributes,
    build: (call, attributes) => {
      const [x, w] = [centred(call, 0, 2, 1), centred(call, 1, 3, 0)];
      return call.typed("i32", exactConvolution(call, x, w, attributes));
    },
  }),
  QLinearMatMul: operator({
    since: 10,
    build: (call) => {
      const sum = asFloats(exactProduct(centred(call, 0, 2, -2), centred(call, 3, 5, -1)));
      const a = alongAxis(call, call.tensor(1), sum.rank, -2);
      const b = alongAxis(call, call.tensor(4), sum.rank, -1);
      return quantized(call, multiply(sum, multiply(a, b)), call.tensor(6), call.tensor(7), call.value(7).type);
    },
  }),
  QLinearConv: operator({
    since: 10,
    attributes: convolutionAttributes,
    build: (call, attributes) => {
      const sum = exactConvolution(call, centred(call, 0, 2, 1), centred(call, 3, 5, 0), attributes);
      const scaleOfFilters = alongAxis(call, call.tensor(4), sum.rank, 1);
      const total = asFloats(call.has(8) ? add(sum, alongAxis(call, call.tensor(8), sum.rank, 1)) : sum);
      const value = multiply(total, multiply(reshape(call.tensor(1), []), scaleOfFilters));
      return quantized(call, value, call.tensor(6), call.tensor(7), call.value(7).type);
    },
  }),
};
