/** Pooling and convolutions on random windows. */
import fc from "fast-check";
import * as ops from "../../../engine/index.ts";
import type { Tensor } from "../../../engine/index.ts";
import { build, pick, places } from "../../support/plain.ts";
import { arraysOf } from "../../../testing/arbitraries/arrays.ts";
import { get, type OperationCase, range, small, sum } from "./operationCase.ts";

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
        const shape = [
          geometry.images,
          groups * outPerGroup,
          ...axes.map((a, i) => sizeBack(a, get(outputPadding, i))),
        ];
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

/** Pooling and convolutions, by name. */
export const windowCases: { readonly [name: string]: fc.Arbitrary<OperationCase> } = {
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
};
