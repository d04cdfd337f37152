/** Borders, resizing and sampling. */
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import type { Tensor } from "../../../engine/index.ts";
import { build, pick, places, type Plain } from "../../support/plain.ts";
import { arraysOf } from "../../../testing/arbitraries/arrays.ts";
import { get, type OperationCase, range, small, sum } from "./operationCase.ts";

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
    rounding: fc.constantFrom(
      undefined,
      "floor" as const,
      "ceil" as const,
      "preferFloor" as const,
      "preferCeil" as const,
    ),
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
    return fc
      .record({
        x: arraysOf([2, 2, ...sizes]),
        grid: arraysOf([2, ...range(rank - 1).map(() => 1), count, rank], place),
      })
      .map(({ x, grid }) => {
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

/** Borders, resizing and sampling, by name. */
export const samplingCases: { readonly [name: string]: fc.Arbitrary<OperationCase> } = {
  padEdge: borderCases("padEdge"),
  padReflect: borderCases("padReflect"),
  padWrap: borderCases("padWrap"),
  resize: resizes,
  gridSample: gridSamples,
};
