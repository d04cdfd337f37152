import {
  add,
  conv2d,
  divide,
  expandDims,
  gather,
  greater,
  iota,
  matmul,
  maximum,
  multiply,
  pad,
  permute,
  reshape,
  scalar,
  slice,
  squeeze,
  stack,
  subtract,
  type Tensor,
  tensor,
  transpose,
  vjp,
  where,
  zeros,
} from "../../engine/index.ts";

type Sides = readonly (readonly [number, number])[];
export type WindowOptions = {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly padding: Sides;
  readonly dilation: readonly number[];
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const get = (list: readonly number[], i: number): number => list[i] ?? 0;

function geometry(x: Tensor, { size, stride, padding, dilation }: WindowOptions) {
  const input = x.shape.slice(2);
  const out = size.map((k, i) => {
    const [low, high] = padding[i] ?? [0, 0];
    return Math.floor((get(input, i) + low + high - get(dilation, i) * (k - 1) - 1) / get(stride, i)) + 1;
  });
  const along = (i: number, tap: number) => {
    const start = tap * get(dilation, i);
    return [start, start + (get(out, i) - 1) * get(stride, i) + 1, get(stride, i)] as const;
  };
  return { input, out, along };
}

function pooled(x: Tensor, options: WindowOptions, outside: number, join: (a: Tensor, b: Tensor) => Tensor): Tensor {
  const { along } = geometry(x, options);
  let y = pad(x, [[0, 0], [0, 0], ...options.padding], outside);
  options.size.forEach((k, i) => {
    const whole = y.shape.slice(0, i + 2).map(() => null);
    y = Array.from({ length: k }, (_, tap) => slice(y, [...whole, along(i, tap)])).reduce(join);
  });
  return y;
}

const lowestOf = (x: Tensor): number => (x.dtype === "f32" ? -Infinity : x.dtype === "i32" ? -(2 ** 31) : 0);

export const maxPool = (x: Tensor, options: WindowOptions): Tensor => pooled(x, options, lowestOf(x), maximum);

/** Zeros outside count. */
export const meanPool = (x: Tensor, options: WindowOptions): Tensor =>
  divide(pooled(x, options, 0, add), sizeOf(options.size));

/** Indices count the elements of an image in its own order. */
export function maxPoolWithIndices(
  x: Tensor,
  options: WindowOptions,
): { readonly values: Tensor; readonly indices: Tensor } {
  const { input, out, along } = geometry(x, options);
  const { size, stride, dilation, padding } = options;
  const padded = pad(x, [[0, 0], [0, 0], ...padding], lowestOf(x));
  const shape = [...x.shape.slice(0, 2), ...out];
  let [values, indices]: [Tensor | undefined, Tensor] = [undefined, scalar(0, "i32")];
  for (let tap = 0; tap < sizeOf(size); tap++) {
    const at = size.map((k, i) => Math.floor(tap / sizeOf(size.slice(i + 1))) % k);
    const part = slice(padded, [null, null, ...at.map((k, i) => along(i, k))]);
    const here = at.reduce<Tensor>(
      (sum, k, i) => {
        const place = add(multiply(iota(shape, i + 2), get(stride, i)), k * get(dilation, i) - (padding[i]?.[0] ?? 0));
        return add(sum, multiply(place, sizeOf(input.slice(i + 1))));
      },
      zeros(shape, "i32"),
    );
    if (values === undefined) [values, indices] = [part, here];
    else {
      const better = greater(part, values);
      [values, indices] = [where(better, part, values), where(better, here, indices)];
    }
  }
  return { values: values ?? x, indices };
}

export type ConvolutionOptions = {
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: Sides;
  readonly groups: number;
};

const pair = (list: readonly number[]): [number, number] => [get(list, 0), get(list, 1)];

export function conv1d(x: Tensor, w: Tensor, { stride, dilation, padding, groups }: ConvolutionOptions): Tensor {
  const y = conv2d(expandDims(x, 2), expandDims(w, 2), {
    stride: [1, get(stride, 0)],
    dilation: [1, get(dilation, 0)],
    padding: [[0, 0], padding[0] ?? [0, 0]],
    groups,
  });
  return squeeze(y, 2);
}

export function conv3d(x: Tensor, w: Tensor, { stride, dilation, padding, groups }: ConvolutionOptions): Tensor {
  const [[low, high], s, d] = [padding[0] ?? [0, 0], get(stride, 0), get(dilation, 0)];
  const padded = pad(x, [
    [0, 0],
    [0, 0],
    [low, high],
    [0, 0],
    [0, 0],
  ]);
  const [n, channels, depth] = [get(padded.shape, 0), get(padded.shape, 1), get(padded.shape, 2)];
  const taps = get(w.shape, 2);
  const out = Math.floor((depth - d * (taps - 1) - 1) / s) + 1;
  const parts = Array.from({ length: taps }, (_, k) => {
    const planes = slice(padded, [null, null, [k * d, k * d + (out - 1) * s + 1, s]]);
    const flat = reshape(permute(planes, [0, 2, 1, 3, 4]), [n * out, channels, ...planes.shape.slice(3)]);
    const y = conv2d(flat, squeeze(slice(w, [null, null, [k, k + 1]]), 2), {
      stride: pair(stride.slice(1)),
      dilation: pair(dilation.slice(1)),
      padding: [padding[1] ?? [0, 0], padding[2] ?? [0, 0]],
      groups,
    });
    return permute(reshape(y, [n, out, ...y.shape.slice(1)]), [0, 2, 1, 3, 4]);
  });
  return parts.reduce((a, b) => add(a, b));
}

/** A convolution over one, two or three axes. */
export function convolution(x: Tensor, w: Tensor, options: ConvolutionOptions): Tensor {
  if (x.rank === 3) return conv1d(x, w, options);
  if (x.rank === 5) return conv3d(x, w, options);
  const { stride, dilation, padding, groups } = options;
  return conv2d(x, w, {
    stride: pair(stride),
    dilation: pair(dilation),
    padding: [padding[0] ?? [0, 0], padding[1] ?? [0, 0]],
    groups,
  });
}

/** The input's derivative of a convolution whose input has the shape `shape`. */
export function transposedConvolution(
  x: Tensor,
  w: Tensor,
  shape: readonly number[],
  options: ConvolutionOptions,
): Tensor {
  return vjp((y: Tensor) => convolution(y, w, options), zeros(shape)).pullback(x);
}

export function padBy(x: Tensor, widths: Sides, mode: "reflect" | "edge" | "wrap"): Tensor {
  return widths.reduce<Tensor>((y, [low, high], axis) => {
    const size = y.shape[axis] ?? 1;
    if (low === 0 && high === 0) return y;
    const source = Array.from({ length: size + low + high }, (_, i) => {
      const place = i - low;
      if (mode === "edge") return Math.min(size - 1, Math.max(0, place));
      if (mode === "wrap") return ((place % size) + size) % size;
      const period = Math.max(1, 2 * (size - 1));
      const around = ((place % period) + period) % period;
      return around < size ? around : period - around;
    });
    return gather(y, tensor(Int32Array.from(source)), axis);
  }, x);
}

/** The discrete Fourier transform of the last axis of [.., n]. */
export function fft(
  { real, imaginary }: { readonly real: Tensor; readonly imaginary: Tensor },
  inverse: boolean,
): { readonly real: Tensor; readonly imaginary: Tensor } {
  const n = real.shape.at(-1) ?? 1;
  const angle = (f: (x: number) => number): Tensor =>
    tensor(
      Float32Array.from({ length: n * n }, (_, i) => {
        const turns = ((Math.floor(i / n) * (i % n)) % n) / n;
        return f((inverse ? 2 : -2) * Math.PI * turns);
      }),
      { shape: [n, n] },
    );
  const [c, s] = [angle(Math.cos), angle(Math.sin)];
  const y = {
    real: subtract(matmul(real, c), matmul(imaginary, s)),
    imaginary: add(matmul(real, s), matmul(imaginary, c)),
  };
  return inverse ? { real: divide(y.real, n), imaginary: divide(y.imaginary, n) } : y;
}

export { stack, transpose };
