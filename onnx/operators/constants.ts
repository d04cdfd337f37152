/** Operators that make values of nothing, or of sizes. */
import {
  add,
  and,
  cast,
  cos,
  divide,
  type DType,
  equal,
  exp,
  floor,
  full,
  greaterEqual,
  iota,
  keepLowerTriangle,
  keepUpperTriangle,
  less,
  lessEqual,
  multiply,
  slice,
  subtract,
  type Tensor,
  where,
} from "../../engine/index.ts";
import { constant, flag, float, floats, integer, integers, text, texts } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { dtypeFor, TensorValue } from "../build/value.ts";
import { type ElementType, elementTypeOf, foreignTypeName, isFloatType } from "../format/elementTypes.ts";
import { entry } from "./axes.ts";

/** The type that an attribute names by its code. */
export function typeOfCode(call: NodeCall, code: number): ElementType {
  const type = elementTypeOf(code);
  if (type === undefined)
    throw call.error("dtype", `asks for type ${foreignTypeName(code)}, which can't be computed with.`);
  return type;
}

/** The dtype that stands for a type. @throws EvenkeelError `dtype` for texts. */
export function dtypeOf(call: NodeCall, type: ElementType): DType {
  const dtype = dtypeFor(type);
  if (dtype === undefined) throw call.error("dtype", "makes texts, which can't be computed with.");
  return dtype;
}

/** A window of the cosine series of ONNX's signal operators: a0 - a1 cos(x) + a2 cos(2 x). */
const windowOf = (a0: number, a1: number, a2: number) =>
  operator({
    since: 17,
    numbers: [0],
    attributes: { periodic: flag(true), output_datatype: integer.or(1) },
    build: (call, { periodic, output_datatype: code }) => {
      const size = call.number(0);
      const x = multiply(iota([size], 0, "f32"), (2 * Math.PI) / (periodic ? size : size - 1));
      const waves = subtract(a0, multiply(cos(x), a1));
      const type = typeOfCode(call, code);
      return call.typed(
        type,
        cast(a2 === 0 ? waves : add(waves, multiply(cos(multiply(x, 2)), a2)), dtypeOf(call, type)),
      );
    },
  });

/** Triangles on the mel scale: [bins of the spectrum, bins of mel]. */
function melWeights(call: NodeCall, type: ElementType): Result {
  const [bins, length, rate, low, high] = [0, 1, 2, 3, 4].map((i) => call.number(i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const spectrum = Math.floor(length / 2) + 1;
  const mel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
  const step = (mel(high) - mel(low)) / (bins + 2);
  // Edges are rounded to bins of the spectrum: they are computed as any other values, for the same rounding on a device.
  const mels = add(multiply(iota([bins + 2], 0, "f32"), step), mel(low));
  const hertz = multiply(subtract(exp(multiply(mels, Math.LN10 / 2595)), 1), 700);
  const edges = floor(multiply(hertz, (length + 1) / rate));
  const [left, middle, right] = [0, 1, 2].map((i) => slice(edges, [[i, i + bins]])) as [Tensor, Tensor, Tensor];
  const bin = iota([spectrum, bins], 0, "f32");
  const rise = divide(subtract(bin, left), subtract(middle, left));
  const fall = divide(subtract(right, bin), subtract(right, middle));
  const isRising = and(greaterEqual(bin, left), lessEqual(bin, middle));
  const rising = where(equal(left, middle), where(equal(bin, middle), 1, 0), where(isRising, rise, 0));
  const isFalling = and(greaterEqual(bin, middle), less(bin, right));
  const atMiddle = where(equal(right, middle), rising, fall);
  return call.typed(type, where(isFalling, where(equal(bin, middle), atMiddle, fall), rising));
}

export const constants: OperatorTable = {
  Constant: [
    operator({
      attributes: { value: constant },
      build: (call, { value }) => {
        if (value === undefined) throw call.error("value", "has no value that can be read.");
        return TensorValue.ofFile(value);
      },
    }),
    operator({
      since: 12,
      attributes: {
        value: constant,
        value_float: float,
        value_floats: floats,
        value_int: integer,
        value_ints: integers,
        value_string: text,
        value_strings: texts,
      },
      build: (call, given) => {
        if (given.value !== undefined) return TensorValue.ofFile(given.value);
        if (given.value_float !== undefined) return call.known("f32", [], Float32Array.of(given.value_float));
        if (given.value_floats !== undefined) {
          return call.known("f32", [given.value_floats.length], Float32Array.from(given.value_floats));
        }
        if (given.value_int !== undefined) return call.known("i64", [], Float64Array.of(given.value_int));
        if (given.value_ints !== undefined) {
          return call.known("i64", [given.value_ints.length], Float64Array.from(given.value_ints));
        }
        if (given.value_string !== undefined) return call.known("string", [], [given.value_string]);
        if (given.value_strings !== undefined) {
          return call.known("string", [given.value_strings.length], given.value_strings);
        }
        throw call.error("value", "has no value that can be read.");
      },
    }),
  ],
  ConstantOfShape: operator({
    since: 9,
    numbers: [0],
    attributes: { value: constant },
    build: (call, { value }) => {
      const type = value?.type ?? "f32";
      const element = value?.data[0] ?? 0;
      if (typeof element === "string") throw call.error("dtype", "makes texts, which can't be computed with.");
      return call.typed(type, full(call.numbers(0), element, dtypeOf(call, type)));
    },
  }),
  Range: operator({
    since: 11,
    numbers: [0, 1, 2],
    build: (call) => {
      const [start, limit, step] = [call.number(0), call.number(1), call.number(2)];
      const { type } = call.value(0);
      const length = Math.max(0, Math.ceil((limit - start) / step));
      const elements = Float64Array.from({ length }, (_, i) => start + i * step);
      return call.known(type, [length], isFloatType(type) ? Float32Array.from(elements) : elements);
    },
  }),
  EyeLike: operator({
    since: 9,
    readsShapes: true,
    attributes: { dtype: integer, k: integer.or(0) },
    build: (call, { dtype: code, k }) => {
      const { shape, type: own } = call.value(0);
      const [rows, columns] = [entry(call, shape, 0), entry(call, shape, 1)];
      const type = code === undefined ? own : typeOfCode(call, code);
      const isOn = equal(add(iota([rows, columns], 0), k), iota([rows, columns], 1));
      return call.typed(type, cast(isOn, dtypeOf(call, type)));
    },
  }),
  Trilu: operator({
    since: 14,
    numbers: [1],
    attributes: { upper: flag(true) },
    build: (call, { upper }) => {
      const diagonal = call.optionalNumbers(1)?.[0] ?? 0;
      return upper ? keepUpperTriangle(call.tensor(0), diagonal) : keepLowerTriangle(call.tensor(0), diagonal);
    },
  }),
  HannWindow: windowOf(0.5, 0.5, 0),
  HammingWindow: windowOf(25 / 46, 1 - 25 / 46, 0),
  BlackmanWindow: windowOf(0.42, 0.5, 0.08),
  MelWeightMatrix: operator({
    since: 17,
    numbers: [0, 1, 2, 3, 4],
    attributes: { output_datatype: integer.or(1) },
    build: (call, { output_datatype: code }) => melWeights(call, typeOfCode(call, code)),
  }),
};
