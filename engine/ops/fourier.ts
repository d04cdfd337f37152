/**
 * Discrete Fourier transforms of any length, with NumPy's conventions: X[k] = sum over j of x[j] exp(-2 pi i j k / n), the inverse divides by
 * n. A length is taken apart into factors of up to 32 (Cooley and Tukey 1965), each of them a product with a small matrix; lengths with a
 * prime factor above 64 become a convolution with a chirp (Bluestein 1970), which is done with a power of two. Time is n log n.
 */
import { EvenkeelError } from "../errors.ts";
import { at, formatShape, normalizeAxis, sameShape, type Shape, sizeOf } from "../graph/shape.ts";
import { isTensor, type Tensor, tensor } from "../graph/tensor.ts";
import { matmul } from "./contract.ts";
import { zerosLike } from "./creation.ts";
import { add, divide, multiply, negate, requireDtype, subtract } from "./elementwise.ts";
import { concat, flip, pad, permute, reshape, slice, stack, transpose } from "./movement.ts";

/** Complex numbers: two f32 tensors of one shape. */
export type Complex = { readonly real: Tensor; readonly imaginary: Tensor };

/**
 * The Fourier transform along one axis: X[k] = sum over j of x[j] exp(-2 pi i j k / n). A tensor is real numbers. f32.
 * @throws EvenkeelError `shape` if the two parts differ or the axis is empty, `dtype`, `axis`
 * @example
 * ```ts
 * const { real, imaginary } = fft(tensor([0, 1, 0, -1]));
 * console.log(await real.array(), await imaginary.array()); // [ 0, 0, 0, 0 ] [ 0, -2, 0, 2 ]
 * ```
 */
export function fft(x: Complex | Tensor, axis = -1): Complex {
  const { value, along } = checked("fft", x, axis);
  return onLastAxis(value, along, transformed);
}

/**
 * The inverse of `fft`: x[j] = sum over k of X[k] exp(2 pi i j k / n) / n. f32.
 * @throws EvenkeelError as `fft`
 * @example
 * ```ts
 * const { real } = inverseFft(fft(tensor([1, 2, 3])));
 * console.log(await real.array()); // [ 1, 2, 3 ]
 * ```
 */
export function inverseFft(x: Complex | Tensor, axis = -1): Complex {
  const { value, along } = checked("inverseFft", x, axis);
  return onLastAxis(value, along, inverted);
}

/**
 * The first half of the transform of real numbers, floor(n / 2) + 1 of n: the others are their conjugates. f32.
 * @throws EvenkeelError as `fft`
 * @example
 * ```ts
 * const { real, imaginary } = realFft(tensor([0, 1, 0, -1]));
 * console.log(await real.array(), await imaginary.array()); // [ 0, 0, 0 ] [ 0, -2, 0 ]
 * ```
 */
export function realFft(x: Tensor, axis = -1): Complex {
  const { value, along } = checked("realFft", x, axis);
  return onLastAxis(value, along, ({ real }) => {
    const length = lengthOf(real);
    const half = Math.floor(length / 2);
    if (length % 2 === 1) return mapParts(transformed(realNumbers(real)), (part) => range(part, 0, half + 1));
    // Even and odd elements are real and imaginary parts of half as many numbers: Z = E + i O for their transforms E and O.
    const z = transformed({ real: range(real, 0, length, 2), imaginary: range(real, 1, length, 2) });
    const there = mapParts(z, (part) => concat([part, range(part, 0, 1)], -1));
    const back = conjugate(mapParts(there, (part) => flip(part, -1)));
    const even = scaled(sumOf(there, back), 0.5);
    const odd = scaled(timesI(differenceOf(there, back)), -0.5);
    return sumOf(
      even,
      product(
        odd,
        turns(half + 1, (k) => -k / length),
      ),
    );
  });
}

/**
 * The inverse of `realFft`: n real numbers of floor(n / 2) + 1 complex ones. Imaginary parts that real numbers don't have, of the first one
 * and for an even n of the last, are left out.
 * @param length n; default: the even one, 2 (m - 1) for m numbers
 * @throws EvenkeelError as `fft`; `range` for a length that doesn't have so many
 * @example console.log(await inverseRealFft(realFft(tensor([1, 2, 3])), 3).array()); // [ 1, 2, 3 ]
 */
export function inverseRealFft(x: Complex | Tensor, length?: number, axis = -1): Tensor {
  const { value, along } = checked("inverseRealFft", x, axis);
  const count = at(value.real.shape, along);
  const n = length ?? 2 * (count - 1);
  if (!Number.isInteger(n) || n < 1 || Math.floor(n / 2) + 1 !== count) {
    throw new EvenkeelError(
      "range",
      `inverseRealFft: ${n} real numbers have a transform of ${Number.isInteger(n) ? Math.floor(n / 2) + 1 : "?"} numbers, axis ${along} of ` +
        `${formatShape(value.real.shape)} has ${count}. Slice or pad it, or give another length.`,
    );
  }
  return onLastAxis(value, along, (spectrum) => {
    const half = Math.floor(n / 2);
    const inner = range(spectrum.imaginary, 1, n % 2 === 0 ? half : half + 1);
    const there: Complex = {
      real: spectrum.real,
      imaginary: pad(inner, [
        ...inner.shape.slice(0, -1).map((): [number, number] => [0, 0]),
        [1, count - 1 - lengthOf(inner)],
      ]),
    };
    const back = conjugate(mapParts(there, (part) => flip(part, -1)));
    if (n % 2 === 1) {
      const whole = joined(
        there,
        mapParts(back, (part) => range(part, 0, half)),
      );
      return realNumbers(inverted(whole).real);
    }
    const odd = product(
      scaled(differenceOf(there, back), 0.5),
      turns(half + 1, (k) => k / n),
    );
    const z = sumOf(scaled(sumOf(there, back), 0.5), timesI(odd));
    const { real, imaginary } = inverted(mapParts(z, (part) => range(part, 0, half)));
    const both = stack([real, imaginary], -1);
    return realNumbers(reshape(both, [...real.shape.slice(0, -1), n]));
  }).real;
}

function checked(
  operation: string,
  x: Complex | Tensor,
  axis: number,
): { readonly value: Complex; readonly along: number } {
  const value = isTensor(x) ? realNumbers(x) : x;
  requireDtype(operation, value.real.dtype, ["f32"]);
  requireDtype(operation, value.imaginary.dtype, ["f32"]);
  if (!sameShape(value.real.shape, value.imaginary.shape)) {
    throw new EvenkeelError(
      "shape",
      `${operation}: the real part is ${formatShape(value.real.shape)}, the imaginary part ${formatShape(value.imaginary.shape)}. Expected one shape.`,
    );
  }
  const along = normalizeAxis(operation, axis, value.real.rank);
  if (value.real.shape[along] === 0) {
    throw new EvenkeelError(
      "shape",
      `${operation}: axis ${along} of ${formatShape(value.real.shape)} is empty and has no transform.`,
    );
  }
  return { value, along };
}

/** f over [rows, n], for the axis `along` of x. */
function onLastAxis(x: Complex, along: number, f: (x: Complex) => Complex): Complex {
  const order = x.real.shape.map((_, axis) => axis).filter((axis) => axis !== along);
  const toLast = [...order, along];
  const outer = order.map((axis) => at(x.real.shape, axis));
  const rows = mapParts(x, (part) => reshape(permute(part, toLast), [sizeOf(outer), at(part.shape, along)]));
  return mapParts(f(rows), (part) =>
    permute(
      reshape(part, [...outer, lengthOf(part)]),
      toLast.map((_, axis) => toLast.indexOf(axis)),
    ),
  );
}

const realNumbers = (real: Tensor): Complex => ({ real, imaginary: zerosLike(real) });
const mapParts = (x: Complex, f: (part: Tensor) => Tensor): Complex => ({ real: f(x.real), imaginary: f(x.imaginary) });
const lengthOf = (x: Tensor): number => at(x.shape, x.rank - 1);
const range = (x: Tensor, start: number, stop: number, step = 1): Tensor =>
  slice(x, [...x.shape.slice(0, -1).map(() => null), [start, stop, step]]);

const sumOf = (x: Complex, y: Complex): Complex => ({
  real: add(x.real, y.real),
  imaginary: add(x.imaginary, y.imaginary),
});
const differenceOf = (x: Complex, y: Complex): Complex => ({
  real: subtract(x.real, y.real),
  imaginary: subtract(x.imaginary, y.imaginary),
});
const scaled = (x: Complex, factor: number): Complex => mapParts(x, (part) => multiply(part, factor));
const conjugate = ({ real, imaginary }: Complex): Complex => ({ real, imaginary: negate(imaginary) });
const timesI = ({ real, imaginary }: Complex): Complex => ({ real: negate(imaginary), imaginary: real });
const product = (x: Complex, y: Complex): Complex => ({
  real: subtract(multiply(x.real, y.real), multiply(x.imaginary, y.imaginary)),
  imaginary: add(multiply(x.real, y.imaginary), multiply(x.imaginary, y.real)),
});
const joined = (x: Complex, y: Complex): Complex => ({
  real: concat([x.real, y.real], -1),
  imaginary: concat([x.imaginary, y.imaginary], -1),
});

/** cos and sin of a whole turn times `turn`, exact where they are 0 or 1. */
function onCircle(turn: number): { readonly cos: number; readonly sin: number } {
  const quarters = Math.round(turn * 4);
  const angle = 2 * Math.PI * (turn - quarters / 4);
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const turned = ((quarters % 4) + 4) % 4;
  if (turned === 0) return { cos: c, sin: s };
  if (turned === 1) return { cos: -s, sin: c };
  return turned === 2 ? { cos: -c, sin: -s } : { cos: s, sin: -c };
}

/** Constants on the unit circle: `turnOf` says how many turns from 1 each is away. */
function turns(count: number, turnOf: (k: number) => number, shape: Shape = [count]): Complex {
  const points = Array.from({ length: count }, (_, k) => onCircle(turnOf(k) % 1));
  return {
    real: tensor(
      Float32Array.from(points, ({ cos }) => cos),
      { shape },
    ),
    imaginary: tensor(
      Float32Array.from(points, ({ sin }) => sin),
      { shape },
    ),
  };
}

/** Lengths up to this are products with one matrix, and so are prime lengths up to twice as much. */
const mostAtOnce = 64;
/** Factors that longer lengths are taken apart by. */
const largestFactor = 32;

/** Of [rows, n]. */
function transformed(x: Complex): Complex {
  const length = lengthOf(x.real);
  if (length === 1) return x;
  const factor = length <= mostAtOnce ? length : factorOf(length);
  if (factor === length) return halves(matmul(joinedParts(x), transpose(matrix(length))));
  if (factor === undefined) return length <= 2 * mostAtOnce ? dense(x) : chirped(x);
  // x[j1 * m + j2] to X[k1 + factor * k2]: first over j1, then turned, then over j2.
  const others = length / factor;
  const rows = at(x.real.shape, 0);
  const cut = concat(
    [x.real, x.imaginary].map((part) => reshape(part, [rows, factor, others])),
    1,
  );
  const first = matmul(matrix(factor), cut);
  const halvesOf = (from: number): Tensor => slice(first, [null, [from, from + factor]]);
  const turned = product(
    { real: halvesOf(0), imaginary: halvesOf(factor) },
    turns(length, (i) => -(((Math.floor(i / others) * (i % others)) % length) / length), [factor, others]),
  );
  const second = transformed(mapParts(turned, (part) => reshape(part, [rows * factor, others])));
  return mapParts(second, (part) => reshape(permute(reshape(part, [rows, factor, others]), [0, 2, 1]), [rows, length]));
}

function dense(x: Complex): Complex {
  return halves(matmul(joinedParts(x), transpose(matrix(lengthOf(x.real)))));
}

const joinedParts = (x: Complex): Tensor => concat([x.real, x.imaginary], -1);
const halves = (x: Tensor): Complex => {
  const length = lengthOf(x) / 2;
  return { real: range(x, 0, length), imaginary: range(x, length, 2 * length) };
};

/** The largest divisor that may be a factor, if there is any. */
function factorOf(length: number): number | undefined {
  for (let factor = largestFactor; factor > 1; factor--) if (length % factor === 0) return factor;
  for (let factor = largestFactor + 1; factor <= mostAtOnce; factor++) if (length % factor === 0) return factor;
  return undefined;
}

/** The transform as a matrix [2 n, 2 n] of real numbers, which takes real parts above imaginary ones. */
function matrix(length: number): Tensor {
  const data = new Float32Array(4 * length * length);
  for (let k = 0; k < length; k++) {
    for (let j = 0; j < length; j++) {
      const { cos, sin } = onCircle(-((j * k) % length) / length);
      data[k * 2 * length + j] = cos;
      data[k * 2 * length + length + j] = -sin;
      data[(length + k) * 2 * length + j] = sin;
      data[(length + k) * 2 * length + length + j] = cos;
    }
  }
  return tensor(data, { shape: [2 * length, 2 * length] });
}

/** The inverse: the transform with real and imaginary parts exchanged before and after. */
function inverted(x: Complex): Complex {
  const length = lengthOf(x.real);
  const { real, imaginary } = transformed({ real: x.imaginary, imaginary: x.real });
  return { real: divide(imaginary, length), imaginary: divide(real, length) };
}

/**
 * By j k = (j^2 + k^2 - (k - j)^2) / 2: X[k] = w[k] sum over j of (x[j] w[j]) conj(w[k - j]) with w[j] = exp(-pi i j^2 / n), a convolution.
 */
function chirped(x: Complex): Complex {
  const length = lengthOf(x.real);
  const size = 2 ** Math.ceil(Math.log2(2 * length - 1));
  // j^2 modulo 2 n, so that turns stay exact.
  const chirp = turns(length, (j) => -((j * j) % (2 * length)) / (2 * length));
  const padded = mapParts(product(x, chirp), (part) =>
    pad(part, [
      [0, 0],
      [0, size - length],
    ]),
  );
  const convolved = inverted(product(transformed(padded), chirpSpectrum(length, size)));
  return product(
    mapParts(convolved, (part) => range(part, 0, length)),
    chirp,
  );
}

/** The transform of conj(w), w[-j] = w[j], in float64. */
function chirpSpectrum(length: number, size: number): Complex {
  const [real, imaginary] = [new Float64Array(size), new Float64Array(size)];
  for (let j = 0; j < length; j++) {
    const { cos, sin } = onCircle(((j * j) % (2 * length)) / (2 * length));
    for (const place of [j, (size - j) % size]) [real[place], imaginary[place]] = [cos, sin];
  }
  const spectrum = powerOfTwoTransform(real, imaginary);
  return { real: tensor(Float32Array.from(spectrum.real)), imaginary: tensor(Float32Array.from(spectrum.imaginary)) };
}

type Numbers = { readonly real: Float64Array; readonly imaginary: Float64Array };

/** On the host: by halves. */
function powerOfTwoTransform(real: Float64Array, imaginary: Float64Array): Numbers {
  const size = real.length;
  if (size === 1) return { real, imaginary };
  const every = (values: Float64Array, first: number): Float64Array => values.filter((_, i) => i % 2 === first);
  const even = powerOfTwoTransform(every(real, 0), every(imaginary, 0));
  const odd = powerOfTwoTransform(every(real, 1), every(imaginary, 1));
  const half = size / 2;
  const result: Numbers = { real: new Float64Array(size), imaginary: new Float64Array(size) };
  for (let k = 0; k < half; k++) {
    const { cos, sin } = onCircle(-k / size);
    const [a, b] = [odd.real[k] ?? NaN, odd.imaginary[k] ?? NaN];
    const [c, d] = [a * cos - b * sin, a * sin + b * cos];
    const [e, f] = [even.real[k] ?? NaN, even.imaginary[k] ?? NaN];
    result.real[k] = e + c;
    result.imaginary[k] = f + d;
    result.real[k + half] = e - c;
    result.imaginary[k + half] = f - d;
  }
  return result;
}
