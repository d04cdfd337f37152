/** Windows of which the largest or the mean is kept. */
import {
  absolute,
  add,
  cast,
  gather,
  iota,
  maxPool,
  maxPoolWithIndices,
  mean,
  meanPool,
  multiply,
  pad,
  power,
  reduceMax,
  reduceSum,
  reshape,
  scatterAlongAxis,
  type Tensor,
  tensor,
  zeros,
} from "../../engine/index.ts";
import { flag, float, integer, integers } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { entry, sizeOf, upTo } from "./axes.ts";
import { sidesOf, type WindowAttributes, windowAttributes, windowOf } from "./windowGeometry.ts";

type PoolAttributes = WindowAttributes & { readonly kernel_shape: readonly number[] };

const poolAttributes = { ...windowAttributes, kernel_shape: integers.required };

/** Windows as the engine's pools take them. */
function windowsOf(call: NodeCall, x: Tensor, attributes: PoolAttributes, ceilMode: boolean) {
  const window = windowOf(attributes.kernel_shape, attributes);
  const padding = sidesOf(call, x.shape.slice(2), window, attributes);
  return { size: window.size, stride: window.stride, dilation: window.dilation, padding, ceilMode };
}

/** Means of windows: over what lies in the image, or over the padding that the model asks for, too. */
function averagePool(call: NodeCall, attributes: PoolAttributes, isCeil: boolean, countPadding: boolean): Tensor {
  const x = call.tensor(0);
  return meanPool(x, { ...windowsOf(call, x, attributes, isCeil), countPadding });
}

/** Indices count all elements of x, in row-major order or, within an image, column by column. */
function largestOf(
  call: NodeCall,
  attributes: PoolAttributes,
  isCeil: boolean,
  isColumnMajor: boolean,
): readonly Result[] {
  const x = call.tensor(0);
  const windows = windowsOf(call, x, attributes, isCeil);
  if (!call.wants(1)) return [maxPool(x, windows)];
  const { values, indices } = maxPoolWithIndices(x, windows);
  const input = x.shape.slice(2);
  const { shape } = indices;
  const image = add(multiply(iota(shape, 0), entry(call, x.shape, 1)), iota(shape, 1));
  const within = isColumnMajor ? columnMajor(indices, input) : indices;
  return [values, call.typed("i64", add(multiply(image, sizeOf(input)), within))];
}

/** Places of an image, counted along its last axis first, as counted along its first axis first. */
function columnMajor(indices: Tensor, input: readonly number[]): Tensor {
  const table = new Int32Array(sizeOf(input));
  for (let place = 0; place < table.length; place++) {
    let [rest, index] = [place, 0];
    for (let axis = input.length - 1; axis >= 0; axis--) {
      const extent = input[axis] ?? 1;
      index += (rest % extent) * sizeOf(input.slice(0, axis));
      rest = Math.floor(rest / extent);
    }
    table[place] = index;
  }
  return gather(tensor(table), indices);
}

/** The elements of a pool at the places of which they were, zeros elsewhere. */
function unpooled(call: NodeCall, { kernel_shape: kernel, pads, strides }: PoolAttributes): Tensor {
  const [x, index] = [call.tensor(0), cast(call.tensor(1), "i32")];
  const n = kernel.length;
  const inferred = kernel.map((size, i) => {
    const sides = (pads?.[i] ?? 0) + (pads?.[i + n] ?? 0);
    return (entry(call, x.shape, i + 2) - 1) * (strides?.[i] ?? 1) + size - sides;
  });
  const full = [...x.shape.slice(0, 2), ...inferred];
  const flat = scatterAlongAxis(zeros([sizeOf(full)]), reshape(index, [index.size]), reshape(x, [x.size]), 0, "set");
  const wanted = call.optionalNumbers(2) ?? full;
  return pad(
    reshape(flat, full),
    full.map((size, axis) => [0, entry(call, wanted, axis) - size] as const),
  );
}

/** Axes behind [N, C], kept with size 1. */
const overImage = (x: Tensor) => ({ axes: upTo(x.rank).slice(2), keepAxes: true });

/** The p-norm of windows, of which zeros lie around the image. */
function normPool(call: NodeCall, attributes: PoolAttributes, p: number, isCeil: boolean): Tensor {
  const x = call.tensor(0);
  const windows = windowsOf(call, x, attributes, isCeil);
  // Means over whole windows, whatever of them lies in the image.
  return power(multiply(meanPool(power(absolute(x), p), windows), sizeOf(windows.size)), 1 / p);
}

export const pools: OperatorTable = {
  MaxPool: [
    operator({
      attributes: poolAttributes,
      build: (call, attributes) => largestOf(call, attributes, false, false),
    }),
    operator({
      since: 8,
      attributes: { ...poolAttributes, storage_order: flag(false) },
      build: (call, attributes) => largestOf(call, attributes, false, attributes.storage_order),
    }),
    operator({
      since: 10,
      attributes: { ...poolAttributes, storage_order: flag(false), dilations: integers, ceil_mode: flag(false) },
      build: (call, attributes) => largestOf(call, attributes, attributes.ceil_mode, attributes.storage_order),
    }),
  ],
  AveragePool: [
    operator({
      attributes: poolAttributes,
      build: (call, attributes) => averagePool(call, attributes, false, false),
    }),
    operator({
      since: 7,
      attributes: { ...poolAttributes, count_include_pad: flag(false) },
      build: (call, attributes) => averagePool(call, attributes, false, attributes.count_include_pad),
    }),
    operator({
      since: 10,
      attributes: { ...poolAttributes, count_include_pad: flag(false), ceil_mode: flag(false) },
      build: (call, attributes) => averagePool(call, attributes, attributes.ceil_mode, attributes.count_include_pad),
    }),
    operator({
      since: 19,
      attributes: { ...poolAttributes, count_include_pad: flag(false), ceil_mode: flag(false), dilations: integers },
      build: (call, attributes) => averagePool(call, attributes, attributes.ceil_mode, attributes.count_include_pad),
    }),
  ],
  LpPool: [
    operator({
      attributes: { ...poolAttributes, p: float.or(2) },
      build: (call, attributes) => normPool(call, attributes, attributes.p, false),
    }),
    operator({
      since: 2,
      attributes: { ...poolAttributes, p: integer.or(2) },
      build: (call, attributes) => normPool(call, attributes, attributes.p, false),
    }),
    operator({
      since: 18,
      attributes: { ...poolAttributes, p: integer.or(2), ceil_mode: flag(false), dilations: integers },
      build: (call, attributes) => normPool(call, attributes, attributes.p, attributes.ceil_mode),
    }),
  ],
  GlobalAveragePool: operator({ build: (call) => mean(call.tensor(0), overImage(call.tensor(0))) }),
  GlobalMaxPool: operator({ build: (call) => reduceMax(call.tensor(0), overImage(call.tensor(0))) }),
  GlobalLpPool: operator({
    attributes: { p: integer.or(2) },
    build: (call, { p }) => power(reduceSum(power(absolute(call.tensor(0)), p), overImage(call.tensor(0))), 1 / p),
  }),
  MaxUnpool: operator({
    since: 9,
    numbers: [2],
    attributes: { kernel_shape: integers.required, pads: integers, strides: integers },
    build: (call, attributes) => unpooled(call, { ...attributes, auto_pad: "NOTSET" }),
  }),
};
