/**
 * Operations that are composed of many others, on random shapes, options and small whole numbers, each with its result straight from the
 * definition, in loops that share nothing with the engine.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as ops from "../../engine/index.ts";
import type { Tensor } from "../../engine/index.ts";
import { build, pick, places, type Plain } from "../support/plain.ts";
import { arraysOf } from "../../testing/arbitraries/arrays.ts";

/** What is computed, of what, and what it should be. */
export type OperationCase = {
  readonly options: unknown;
  readonly inputs: readonly Plain[];
  readonly fn: (...inputs: Tensor[]) => Tensor;
  readonly expected: Plain;
  /** The same, where it has to be moved away from points without a derivative. */
  readonly smooth?: (...inputs: Tensor[]) => Tensor;
};

const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const range = (length: number): number[] => Array.from({ length }, (_, i) => i);
const get = <T>(list: readonly T[], i: number): T => {
  const value = list[i];
  assert.ok(value !== undefined);
  return value;
};

/** x with elements that stay 0.5 apart however x moves: the largest keep their places. */
function apart(x: Tensor): Tensor {
  const order = Float32Array.from({ length: x.size }, (_, i) => (i * 7) % Math.max(1, x.size));
  return ops.add(ops.multiply(ops.sin(x), 0.2), ops.tensor(order, { shape: x.shape }));
}

type Axis = {
  readonly input: number;
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
};

const axisOptions = (mostInput: number): fc.Arbitrary<Axis> =>
  fc
    .record({
      input: small(mostInput),
      size: small(3),
      stride: small(3),
      dilation: small(2),
      before: fc.nat(2),
      after: fc.nat(2),
    })
    .filter((a) => a.input + a.before + a.after >= a.dilation * (a.size - 1) + 1);

const windowsOf = (axes: readonly Axis[]) => ({
  size: axes.map(({ size }) => size),
  stride: axes.map(({ stride }) => stride),
  dilation: axes.map(({ dilation }) => dilation),
  padding: axes.map(({ before, after }): [number, number] => [before, after]),
});

function outputOf(a: Axis, ceilMode: boolean): number {
  const room = a.input + a.before + a.after - a.dilation * (a.size - 1) - 1;
  const output = (ceilMode ? Math.ceil(room / a.stride) : Math.floor(room / a.stride)) + 1;
  return ceilMode && (output - 1) * a.stride >= a.input + a.before ? output - 1 : output;
}

const placesRead = (axes: readonly Axis[], outer: readonly number[], taps: readonly number[]): number[] =>
  axes.map((a, i) => (outer[i] ?? 0) * a.stride + (taps[i] ?? 0) * a.dilation - a.before);
const inside = (axes: readonly Axis[], at: readonly number[]): boolean =>
  axes.every((a, i) => (at[i] ?? -1) >= 0 && (at[i] ?? -1) < a.input);

const pooled = fc
  .record({
    axes: fc.array(axisOptions(6), { minLength: 1, maxLength: 3 }),
    channels: small(2),
    images: small(2),
    ceilMode: fc.boolean(),
  })
  .filter(({ axes, ceilMode }) =>
    axes.every((a) =>
      range(outputOf(a, ceilMode)).every((window) =>
        range(a.size).some((tap) => inside([a], placesRead([a], [window], [tap]))),
      ),
    ),
  );

function poolCases(
  fn: (x: Tensor, options: ops.PoolOptions) => Tensor,
  value: (elements: readonly number[], counted: number, indices: readonly number[]) => number,
  smooth?: (x: Tensor, options: ops.PoolOptions) => Tensor,
): fc.Arbitrary<OperationCase> {
  return pooled.chain(({ axes, channels, images, ceilMode }) =>
    arraysOf([images, channels, ...axes.map(({ input }) => input)], fc.integer({ min: -3, max: 3 })).map((x) => {
      const options = { ...windowsOf(axes), ceilMode };
      const taps = places(axes.map(({ size }) => size));
      const shape = [images, channels, ...axes.map((a) => outputOf(a, ceilMode))];
      const expected = build(shape, ([n = 0, c = 0, ...outer]) => {
        const read = taps.map((tap) => placesRead(axes, outer, tap));
        const used = read.filter((at) => inside(axes, at));
        const counted = read.filter((at) => axes.every((a, i) => (at[i] ?? 0) < a.input + a.after)).length;
        const indices = used.map((at) => at.reduce((sum, place, i) => sum * get(axes, i).input + place, 0));
        return value(
          used.map((at) => pick(x, [n, c, ...at])),
          counted,
          indices,
        );
      });
      return {
        options,
        inputs: [x],
        fn: (input) => fn(input, options),
        expected,
        ...(smooth === undefined ? {} : { smooth: (input: Tensor) => smooth(input, options) }),
      };
    }),
  );
}

const sum = (list: readonly number[]): number => list.reduce((total, value) => total + value, 0);

const convolved = (rank: number) =>
  fc
    .record({
      axes: fc.array(axisOptions(rank === 3 ? 3 : 5), { minLength: rank, maxLength: rank }),
      images: small(2),
      groups: small(2),
      inPerGroup: small(2),
      outPerGroup: small(2),
    })
    .chain((g) =>
      fc.record({
        geometry: fc.constant(g),
        x: arraysOf([g.images, g.groups * g.inPerGroup, ...g.axes.map(({ input }) => input)]),
        w: arraysOf([g.groups * g.outPerGroup, g.inPerGroup, ...g.axes.map(({ size }) => size)]),
      }),
    );

function convCases(rank: 1 | 3): fc.Arbitrary<OperationCase> {
  return convolved(rank).map(({ geometry: { axes, images, groups, inPerGroup, outPerGroup }, x, w }) => {
    const { stride, dilation, padding } = windowsOf(axes);
    const shape = [images, groups * outPerGroup, ...axes.map((a) => outputOf(a, false))];
    const expected = build(shape, ([n = 0, o = 0, ...outer]) =>
      sum(
        places([inPerGroup, ...axes.map(({ size }) => size)]).map(([c = 0, ...taps]) => {
          const at = placesRead(axes, outer, taps);
          const channel = Math.floor(o / outPerGroup) * inPerGroup + c;
          return inside(axes, at) ? pick(x, [n, channel, ...at]) * pick(w, [o, c, ...taps]) : 0;
        }),
      ),
    );
    const options = { stride, dilation, padding, groups };
    const conv = rank === 1 ? ops.conv1d : ops.conv3d;
    return { options, inputs: [x, w], fn: (a, b) => conv(a, b, options), expected };
  });
}

function convTransposeCases(rank: 1 | 2 | 3): fc.Arbitrary<OperationCase> {
  const more = fc.array(fc.nat(2), { minLength: rank, maxLength: rank });
  return fc
    .tuple(convolved(rank), more)
    .map(([{ geometry, x }, outputPadding]) => ({ geometry, x, outputPadding }))
    .filter(({ geometry: { axes }, outputPadding }) => axes.every((a, i) => sizeBack(a, get(outputPadding, i)) > 0))
    .chain(({ geometry, x, outputPadding }) => {
      const { axes, groups, inPerGroup, outPerGroup } = geometry;
      return arraysOf([groups * inPerGroup, outPerGroup, ...axes.map(({ size }) => size)]).map((w) => {
        const { stride, dilation, padding } = windowsOf(axes);
        const options = { stride, dilation, padding, groups, outputPadding };
        const shape = [geometry.images, groups * outPerGroup, ...axes.map((a, i) => sizeBack(a, get(outputPadding, i)))];
        const values = new Map<string, number>();
        for (const [n = 0, i = 0, ...outer] of places(x.shape)) {
          for (const [o = 0, ...taps] of places(w.shape.slice(1))) {
            const at = placesRead(axes, outer, taps);
            const key = [n, Math.floor(i / inPerGroup) * outPerGroup + o, ...at].join();
            values.set(key, (values.get(key) ?? 0) + pick(x, [n, i, ...outer]) * pick(w, [i, o, ...taps]));
          }
        }
        const conv = get([ops.convTranspose1d, ops.convTranspose2d, ops.convTranspose3d], rank - 1);
        const expected = build(shape, (place) => values.get(place.join()) ?? 0);
        return { options, inputs: [x, w], fn: (a: Tensor, b: Tensor) => conv(a, b, options), expected };
      });
    });
}

const sizeBack = (a: Axis, more: number): number =>
  (a.input - 1) * a.stride + a.dilation * (a.size - 1) + 1 + more - a.before - a.after;

/** Where an element beyond an axis is taken from. */
const folded = {
  padEdge: (place: number, size: number) => Math.min(Math.max(place, 0), size - 1),
  padWrap: (place: number, size: number) => ((place % size) + size) % size,
  padReflect: (place: number, size: number) => {
    const period = Math.max(1, 2 * (size - 1));
    const within = ((place % period) + period) % period;
    return Math.min(within, period - within, size - 1);
  },
};

function borderCases(name: keyof typeof folded): fc.Arbitrary<OperationCase> {
  return fc
    .array(fc.record({ size: small(4), before: fc.nat(6), after: fc.nat(6) }), { minLength: 1, maxLength: 3 })
    .chain((axes) =>
      arraysOf(axes.map(({ size }) => size)).map((x) => {
        const widths = axes.map(({ before, after }): [number, number] => [before, after]);
        const shape = axes.map(({ size, before, after }) => before + size + after);
        return {
          options: widths,
          inputs: [x],
          fn: (input: Tensor) => ops[name](input, widths),
          expected: build(shape, (place) =>
            pick(
              x,
              place.map((at, axis) => folded[name](at - get(axes, axis).before, get(axes, axis).size)),
            ),
          ),
        };
      }),
    );
}

const cubic = (a: number, distance: number): number => {
  const d = Math.abs(distance);
  if (d < 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
};
const triangle = (d: number): number => Math.max(0, 1 - Math.abs(d));

/** The weights [output, input] of one axis, from PyTorch's and ONNX's formulas. */
function resizeWeights(input: number, output: number, scale: number, options: ops.ResizeOptions): number[][] {
  const { mode = "nearest", antialias = false } = options;
  const at = (i: number): number => {
    switch (options.coordinates ?? (mode === "nearest" ? "asymmetric" : "halfPixel")) {
      case "halfPixel":
        return (i + 0.5) / scale - 0.5;
      case "pytorchHalfPixel":
        return output > 1 ? (i + 0.5) / scale - 0.5 : 0;
      case "alignCorners":
        return output > 1 ? (i * (input - 1)) / (output - 1) : 0;
      case "halfPixelSymmetric": {
        const adjustment = output / (scale * input);
        return (input / 2) * (1 - adjustment) + (i + 0.5) / scale - 0.5;
      }
      default:
        return i / scale;
    }
  };
  const clamp = (place: number): number => Math.min(Math.max(place, 0), input - 1);
  return range(output).map((i) => {
    const row = new Array<number>(input).fill(0);
    const x = at(i);
    const give = (place: number, weight: number): void => {
      row[clamp(place)] = (row[clamp(place)] ?? 0) + weight;
    };
    if (mode === "nearest") {
      const near = x - Math.floor(x);
      const low = near < 1e-6 ? Math.floor(x) : near > 1 - 1e-6 ? Math.ceil(x) : undefined;
      const isHalf = Math.abs(near - 0.5) < 1e-6;
      const rounding = options.rounding ?? "floor";
      const rounded =
        low ??
        (rounding === "floor"
          ? Math.floor(x)
          : rounding === "ceil"
            ? Math.ceil(x)
            : isHalf
              ? rounding === "preferFloor"
                ? Math.floor(x)
                : Math.ceil(x)
              : Math.round(x));
      give(rounded, 1);
      return row;
    }
    const width = antialias && scale < 1 ? 1 / scale : 1;
    const weigh = (d: number): number =>
      mode === "linear" ? triangle(d / width) : cubic(antialias ? -0.5 : -0.75, d / width);
    const limits = options.excludeOutside ?? antialias;
    const reach = Math.ceil(2 * width) + 1;
    const taps = range(2 * reach + 1)
      .map((t) => Math.floor(x) - reach + t)
      .filter((place) => !limits || (place >= 0 && place < input));
    const total = limits || antialias ? sum(taps.map((place) => weigh(place - x))) : 1;
    for (const place of taps) give(place, weigh(place - x) / total);
    return row;
  });
}

const resizes: fc.Arbitrary<OperationCase> = fc
  .record({
    sizes: fc.array(small(5), { minLength: 1, maxLength: 2 }),
    by: fc.oneof(
      fc.record({ size: fc.array(small(9), { minLength: 2, maxLength: 2 }) }),
      fc.record({ scale: fc.constantFrom(0.5, 1, 1.5, 2, 3, 0.75, 2.3, 0.6) }),
    ),
    mode: fc.constantFrom("nearest" as const, "linear" as const, "cubic" as const),
    coordinates: fc.constantFrom(
      undefined,
      "halfPixel" as const,
      "alignCorners" as const,
      "asymmetric" as const,
      "pytorchHalfPixel" as const,
      "halfPixelSymmetric" as const,
    ),
    rounding: fc.constantFrom(undefined, "floor" as const, "ceil" as const, "preferFloor" as const, "preferCeil" as const),
    antialias: fc.boolean(),
    excludeOutside: fc.constantFrom(undefined, true, false),
  })
  .filter(({ sizes, by }) => "size" in by || sizes.every((size) => Math.floor(size * by.scale) >= 1))
  .chain(({ sizes, by, ...rest }) =>
    arraysOf([2, 1, ...sizes]).map((x) => {
      const options: ops.ResizeOptions = {
        ...rest,
        ...("size" in by ? { size: by.size.slice(0, sizes.length) } : { scale: by.scale }),
      };
      const expected = sizes.reduce<Plain>((value, input, axis) => {
        const output = "size" in by ? get(by.size, axis) : Math.floor(input * by.scale);
        const weights = resizeWeights(input, output, "size" in by ? output / input : by.scale, options);
        const shape = value.shape.map((size, a) => (a === axis + 2 ? output : size));
        return build(shape, (place) =>
          sum(
            get(weights, get(place, axis + 2)).map((weight, i) =>
              weight === 0
                ? 0
                : weight *
                  pick(
                    value,
                    place.map((at, a) => (a === axis + 2 ? i : at)),
                  ),
            ),
          ),
        );
      }, x);
      return { options, inputs: [x], fn: (input: Tensor) => ops.resize(input, options), expected };
    }),
  );

const gridSamples: fc.Arbitrary<OperationCase> = fc
  .record({
    sizes: fc.oneof(fc.tuple(small(4), small(4)), fc.tuple(small(3), small(3), small(3))),
    count: small(4),
    mode: fc.constantFrom("nearest" as const, "linear" as const, "cubic" as const),
    padding: fc.constantFrom("zeros" as const, "border" as const, "reflection" as const),
    alignCorners: fc.boolean(),
  })
  .map((g) => ({ ...g, mode: g.mode === "cubic" && g.sizes.length === 3 ? ("linear" as const) : g.mode }))
  .chain(({ sizes, count, ...options }) => {
    const rank = sizes.length;
    // Places are quotients by a power of two: the arithmetic of coordinates is exact.
    const place = fc.integer({ min: -24, max: 24 }).map((n) => n / 8);
    return fc.record({
      x: arraysOf([2, 2, ...sizes]),
      grid: arraysOf([2, ...range(rank - 1).map(() => 1), count, rank], place),
    }).map(({ x, grid }) => {
      const shape = [2, 2, ...grid.shape.slice(1, -1)];
      const expected = build(shape, ([n = 0, c = 0, ...at]) => {
        const axes = sizes.map((size, axis) => sampleAxis(pick(grid, [n, ...at, rank - 1 - axis]), size, options));
        return sum(
          places(axes.map((taps) => taps.length)).map((choice) => {
            const taps = choice.map((tap, axis) => get(get(axes, axis), tap));
            if (taps.some(({ place }) => place === undefined)) return 0;
            const weight = taps.reduce((product, tap) => product * tap.weight, 1);
            return weight === 0 ? 0 : weight * pick(x, [n, c, ...taps.map((tap) => tap.place ?? 0)]);
          }),
        );
      });
      return {
        options,
        inputs: [x, grid],
        fn: (a: Tensor, b: Tensor) => ops.gridSample(a, b, options),
        expected,
        smooth: (a: Tensor, b: Tensor) => ops.gridSample(a, betweenKinks(b, sizes, options.alignCorners), options),
      };
    });
  });

/** Places that stay a tenth of an element away from all that are whole or halfway between two. */
function betweenKinks(grid: Tensor, sizes: readonly number[], alignCorners: boolean): Tensor {
  const quarters = Float32Array.from({ length: grid.size }, (_, i) => ((i * 5) % 11) / 2 - 1.75);
  const coordinate = ops.add(ops.multiply(ops.sin(grid), 0.1), ops.tensor(quarters, { shape: grid.shape }));
  const size = ops.tensor(sizes.toReversed());
  const span = ops.maximum(ops.subtract(size, 1), 1);
  return alignCorners
    ? ops.subtract(ops.divide(ops.multiply(coordinate, 2), span), 1)
    : ops.subtract(ops.divide(ops.add(ops.multiply(coordinate, 2), 1), size), 1);
}

type Sample = { readonly place: number | undefined; readonly weight: number };

function sampleAxis(place: number, size: number, options: ops.GridSampleOptions): Sample[] {
  const { mode = "linear", padding = "zeros", alignCorners = false } = options;
  const raw = alignCorners ? ((place + 1) / 2) * (size - 1) : ((place + 1) * size - 1) / 2;
  const [low, high] = alignCorners ? [0, size - 1] : [-0.5, size - 0.5];
  const limit = (x: number): number => {
    if (padding === "zeros") return x;
    let within = x;
    if (padding === "reflection") {
      if (low === high) return low;
      while (within < low || within > high) within = within < low ? 2 * low - within : 2 * high - within;
    }
    return Math.min(Math.max(within, 0), size - 1);
  };
  const found = (at: number): number | undefined => (at >= 0 && at < size ? at : undefined);
  const halfToEven = (x: number): number => {
    const floor = Math.floor(x);
    if (x - floor !== 0.5) return Math.round(x);
    return floor % 2 === 0 ? floor : floor + 1;
  };
  if (mode === "nearest") return [{ place: found(halfToEven(limit(raw))), weight: 1 }];
  if (mode === "linear") {
    const x = limit(raw);
    return [0, 1].map((tap) => ({ place: found(Math.floor(x) + tap), weight: triangle(x - Math.floor(x) - tap) }));
  }
  return [-1, 0, 1, 2].map((tap) => ({
    place: found(limit(Math.floor(raw) + tap)),
    weight: cubic(-0.75, raw - Math.floor(raw) - tap),
  }));
}

type Numbers = { readonly re: number; readonly im: number };

/** The transform of one row, from the definition. */
function dft(row: readonly Numbers[], sign: 1 | -1): Numbers[] {
  const n = row.length;
  return range(n).map((k) => {
    const terms = row.map(({ re, im }, j) => {
      const angle = (sign * 2 * Math.PI * ((j * k) % n)) / n;
      return { re: re * Math.cos(angle) - im * Math.sin(angle), im: re * Math.sin(angle) + im * Math.cos(angle) };
    });
    return { re: sum(terms.map(({ re }) => re)), im: sum(terms.map(({ im }) => im)) };
  });
}

const both = ({ real, imaginary }: ops.Complex): Tensor => ops.stack([real, imaginary]);

/** Two rows of `count` numbers, and what becomes of each, with real parts before imaginary ones. */
function rowsOf(real: Plain, imaginary: Plain | undefined, f: (row: readonly Numbers[]) => readonly Numbers[]): Plain {
  const [rows = 0, count = 0] = real.shape;
  const results = range(rows).map((row) =>
    f(range(count).map((j) => ({ re: pick(real, [row, j]), im: imaginary === undefined ? 0 : pick(imaginary, [row, j]) }))),
  );
  const length = get(results, 0).length;
  return build([2, rows, length], ([part = 0, row = 0, k = 0]) => {
    const { re, im } = get(get(results, row), k);
    return part === 0 ? re : im;
  });
}

const lengths = fc.oneof(small(24), fc.constantFrom(30, 64, 66, 67, 74, 96, 127, 130, 134, 131, 180));

function fourierCases(name: "fft" | "inverseFft" | "realFft" | "inverseRealFft"): fc.Arbitrary<OperationCase> {
  return lengths.chain((n) => {
    const count = name === "inverseRealFft" ? Math.floor(n / 2) + 1 : n;
    return fc.record({ real: arraysOf([2, count]), imaginary: arraysOf([2, count]) }).map(({ real, imaginary }) => {
      const inverse = (row: readonly Numbers[]): Numbers[] => dft(row, 1).map(({ re, im }) => ({ re: re / n, im: im / n }));
      const spectrum = (row: readonly Numbers[]): Numbers[] =>
        range(n).map((k) => {
          const { re, im } = get(row, Math.min(k, n - k));
          const isReal = k === 0 || 2 * k === n;
          return { re, im: isReal ? 0 : 2 * k > n ? -im : im };
        });
      switch (name) {
        case "fft":
          return {
            options: n,
            inputs: [real, imaginary],
            fn: (a: Tensor, b: Tensor) => both(ops.fft({ real: a, imaginary: b })),
            expected: rowsOf(real, imaginary, (row) => dft(row, -1)),
          };
        case "inverseFft":
          return {
            options: n,
            inputs: [real, imaginary],
            fn: (a: Tensor, b: Tensor) => both(ops.inverseFft({ real: a, imaginary: b })),
            expected: rowsOf(real, imaginary, inverse),
          };
        case "realFft":
          return {
            options: n,
            inputs: [real],
            fn: (a: Tensor) => both(ops.realFft(a)),
            expected: rowsOf(real, undefined, (row) => dft(row, -1).slice(0, Math.floor(n / 2) + 1)),
          };
        case "inverseRealFft": {
          const values = rowsOf(real, imaginary, (row) => inverse(spectrum(row)));
          return {
            options: n,
            inputs: [real, imaginary],
            fn: (a: Tensor, b: Tensor) => ops.inverseRealFft({ real: a, imaginary: b }, n),
            expected: build([2, n], ([row = 0, j = 0]) => pick(values, [0, row, j])),
          };
        }
      }
    });
  });
}

/** The determinant along the first row. */
function laplace(m: readonly (readonly number[])[]): number {
  const [row = [], ...rest] = m;
  if (m.length === 0) return 1;
  return sum(
    row.map((value, j) =>
      value === 0 ? 0 : (j % 2 === 0 ? 1 : -1) * value * laplace(rest.map((others) => others.filter((_, i) => i !== j))),
    ),
  );
}

const matrixOf = (x: Plain, batch: number): number[][] => {
  const [, rows = 0, columns = 0] = x.shape;
  return range(rows).map((i) => range(columns).map((j) => pick(x, [batch, i, j])));
};

/** By Cramer's rule: each element a quotient of determinants. */
function cramer(a: readonly (readonly number[])[], column: readonly number[]): number[] {
  const whole = laplace(a);
  return range(a.length).map((j) => {
    const replaced = a.map((row, i) => row.map((value, k) => (k === j ? get(column, i) : value)));
    const part = laplace(replaced);
    return whole === 0 ? NaN : part / whole;
  });
}

const determinants: fc.Arbitrary<OperationCase> = small(5).chain((n) =>
  arraysOf([2, n, n], fc.integer({ min: -3, max: 3 })).map((a) => ({
    options: n,
    inputs: [a],
    fn: (x: Tensor) => ops.determinant(x),
    expected: build([2], ([batch = 0]) => laplace(matrixOf(a, batch))),
  })),
);

const solves: fc.Arbitrary<OperationCase> = fc.tuple(small(4), small(3)).chain(([n, m]) =>
  fc
    .record({ a: arraysOf([2, n, n], fc.integer({ min: -4, max: 4 })), b: arraysOf([2, n, m]) })
    .filter(({ a }) => [0, 1].every((batch) => laplace(matrixOf(a, batch)) !== 0))
    .map(({ a, b }) => ({
      options: [n, m],
      inputs: [a, b],
      fn: (x: Tensor, y: Tensor) => ops.solve(x, y),
      expected: build([2, n, m], ([batch = 0, i = 0, j = 0]) =>
        get(
          cramer(
            matrixOf(a, batch),
            matrixOf(b, batch).map((row) => get(row, j)),
          ),
          i,
        ),
      ),
      // Moved away from singular matrices.
      smooth: (x: Tensor, y: Tensor) => ops.solve(ops.add(x, ops.multiply(ops.eye(n), 6)), y),
    })),
);

const choleskys: fc.Arbitrary<OperationCase> = small(4).chain((n) =>
  arraysOf([2, n, n], fc.integer({ min: -2, max: 2 })).map((root) => {
    // L with a positive diagonal, and its square.
    const lower = build([2, n, n], ([batch = 0, i = 0, j = 0]) => {
      const value = pick(root, [batch, i, j]);
      return i === j ? Math.abs(value) + 1 : i > j ? value : 0;
    });
    const square = build([2, n, n], ([batch = 0, i = 0, j = 0]) =>
      sum(range(n).map((k) => pick(lower, [batch, i, k]) * pick(lower, [batch, j, k]))),
    );
    return {
      options: n,
      inputs: [square],
      fn: (x: Tensor) => ops.cholesky(x),
      expected: lower,
      smooth: (x: Tensor) => ops.cholesky(ops.add(x, ops.multiply(ops.eye(n), 8))),
    };
  }),
);

/** Every operation here, by name. */
export const operationCases: { readonly [name: string]: fc.Arbitrary<OperationCase> } = {
  maxPool: poolCases(
    ops.maxPool,
    (elements) => Math.max(...elements),
    (x, options) => ops.maxPool(apart(x), options),
  ),
  "maxPool, places": poolCases(
    (x, options) => ops.cast(ops.maxPoolWithIndices(x, options).indices, "f32"),
    (elements, _, indices) => get(indices, elements.indexOf(Math.max(...elements))),
  ),
  meanPool: poolCases(ops.meanPool, (elements, counted) => sum(elements) / counted),
  "meanPool without padding": poolCases(
    (x, options) => ops.meanPool(x, { ...options, countPadding: false }),
    (elements) => sum(elements) / elements.length,
  ),
  conv1d: convCases(1),
  conv3d: convCases(3),
  convTranspose1d: convTransposeCases(1),
  convTranspose2d: convTransposeCases(2),
  convTranspose3d: convTransposeCases(3),
  padEdge: borderCases("padEdge"),
  padReflect: borderCases("padReflect"),
  padWrap: borderCases("padWrap"),
  resize: resizes,
  gridSample: gridSamples,
  fft: fourierCases("fft"),
  inverseFft: fourierCases("inverseFft"),
  realFft: fourierCases("realFft"),
  inverseRealFft: fourierCases("inverseRealFft"),
  determinant: determinants,
  solve: solves,
  cholesky: choleskys,
};
