/** Fourier transforms. Complex values are pairs along the last axis. */
import {
  type Complex,
  expandDims,
  fft,
  gather,
  inverseFft,
  multiply,
  pad,
  realFft,
  slice,
  split,
  squeeze,
  stack,
  tensor,
  type Tensor,
  transpose,
} from "../../engine/index.ts";
import { flag, integer } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { axisOf, entry, upTo } from "./axes.ts";

/** The first `length` elements of the last axis, with zeros behind where there are fewer. */
function fitted(x: Tensor, length: number): Tensor {
  const size = x.shape.at(-1) ?? 0;
  if (size < length) return pad(x, [...x.shape.slice(1).map(() => [0, 0] as const), [0, length - size]]);
  return slice(x, [...x.shape.slice(1).map(() => null), [0, length]]);
}

/** Of a transform of real values the second half is known by the first. */
const halfOf = (length: number): number => Math.floor(length / 2) + 1;

/** Complex values as pairs along a new last axis. */
const paired = ({ real, imaginary }: Complex): Tensor => stack([real, imaginary], -1);

/** x [..., 1 or 2] along one of the axes before the last. */
function fourier(call: NodeCall, axis: number, isInverse: boolean, isHalf: boolean): Tensor {
  const x = call.tensor(0);
  const along = axisOf(call, axis, x.rank);
  const length = call.optionalNumbers(1)?.[0] ?? entry(call, x.shape, along);
  const parts = split(x, new Array<number>(entry(call, x.shape, x.rank - 1)).fill(1), -1).map((part) =>
    fitted(transpose(squeeze(part, -1), along, -1), length),
  );
  const [real = x, imaginary] = parts;
  const value = imaginary === undefined ? real : { real, imaginary };
  const y = isInverse ? inverseFft(value) : imaginary === undefined && isHalf ? realFft(real) : fft(value);
  const pairs = transpose(paired(y), along, x.rank - 2);
  const bins = isHalf ? halfOf(length) : length;
  return slice(pairs, [...upTo(along).map(() => null), [0, bins]]);
}

/** Transforms of windows of a signal [N, length] or [N, length, 1]: [N, windows, bins, 2]. */
function shortTimeFourier(call: NodeCall, isHalf: boolean): Tensor {
  const given = call.tensor(0);
  const signal = given.rank === 3 ? given : expandDims(given, -1);
  if (entry(call, signal.shape, 2) !== 1) throw call.error("shape", "transforms of complex signals are not known.");
  const step = call.number(1);
  const length = call.optionalNumbers(3)?.[0] ?? entry(call, call.value(2).shape, 0);
  const windows = Math.floor((entry(call, signal.shape, 1) - length) / step) + 1;
  const places = upTo(windows).flatMap((i) => upTo(length).map((k) => i * step + k));
  const parts = gather(squeeze(signal, -1), tensor(Int32Array.from(places), { shape: [windows, length] }), 1);
  const weighted = call.has(2) ? multiply(parts, call.tensor(2)) : parts;
  return paired(isHalf ? realFft(weighted) : fft(weighted));
}

export const fouriers: OperatorTable = {
  DFT: [
    operator({
      since: 17,
      numbers: [1],
      attributes: { axis: integer.or(1), inverse: flag(false), onesided: flag(false) },
      build: (call, { axis, inverse, onesided }) => fourier(call, axis, inverse, onesided),
    }),
    operator({
      since: 20,
      numbers: [1, 2],
      attributes: { inverse: flag(false), onesided: flag(false) },
      build: (call, { inverse, onesided }) => fourier(call, call.optionalNumbers(2)?.[0] ?? -2, inverse, onesided),
    }),
  ],
  STFT: operator({
    since: 17,
    numbers: [1, 3],
    attributes: { onesided: flag(true) },
    build: (call, { onesided }) => shortTimeFourier(call, onesided),
  }),
};
