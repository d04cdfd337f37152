/**
 * Row-major arrays for expectations that are written as loops. They share no code with the engine, so that a mistake in
 * its index arithmetic is not repeated in what it is compared with.
 */
import assert from "node:assert/strict";
import { evaluateGraph } from "../../engine/devices/oracle/evaluate.ts";
import { type ErrorCode, EvenkeelError } from "../../engine/errors.ts";
import { allocateData, type DType } from "../../engine/graph/dtype.ts";
import { type Tensor, tensor } from "../../engine/graph/tensor.ts";

export type Plain = { readonly shape: readonly number[]; readonly values: readonly number[] };

/** Every place of a shape in row-major order. */
export function places(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, size) => all.flatMap((place) => Array.from({ length: size }, (_, i) => [...place, i])),
    [[]],
  );
}

/** The array whose element at each place is f(place). */
export function build(shape: readonly number[], f: (place: readonly number[]) => number): Plain {
  return { shape, values: places(shape).map(f) };
}

/** The element at a place. */
export function pick({ shape, values }: Plain, place: readonly number[]): number {
  assert.equal(place.length, shape.length);
  const index = place.reduce((sum, coordinate, axis) => {
    const size = shape[axis] ?? 0;
    assert.ok(coordinate >= 0 && coordinate < size, `place ${place.join(" ")} of [${shape.join(", ")}]`);
    return sum * size + coordinate;
  }, 0);
  return values[index] ?? NaN;
}

/** The elements at the places that agree with `place` outside of `axes`, with the axes' coordinates running in order. */
export function along(x: Plain, axes: readonly number[], place: readonly number[]): number[] {
  const free = axes.map((axis) => x.shape[axis] ?? 0);
  return places(free).map((inner) =>
    pick(
      x,
      place.map((coordinate, axis) => (axes.includes(axis) ? (inner[axes.indexOf(axis)] ?? 0) : coordinate)),
    ),
  );
}

/** The array reduced over axes, which keep size 1. */
export function reduceOver(x: Plain, axes: readonly number[], f: (elements: readonly number[]) => number): Plain {
  return build(
    x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
    (place) => f(along(x, axes, place)),
  );
}

/** The element that `place` of a broadcast result reads of x. */
export function pickBroadcast(x: Plain, place: readonly number[]): number {
  const own = place.slice(place.length - x.shape.length);
  return pick(
    x,
    own.map((coordinate, axis) => (x.shape[axis] === 1 ? 0 : coordinate)),
  );
}

/** A constant of the engine with these elements. */
export function toTensor({ shape, values }: Plain, dtype: DType = "f32"): Tensor {
  const data = allocateData(dtype, values.length);
  data.set(values);
  return tensor(data, { shape, dtype });
}

/** What the oracle computes for a tensor made of constants, in float64. */
export function valueOf(x: Tensor): Plain {
  const [values] = evaluateGraph({ inputs: [], outputs: [x.node] }, []);
  assert.ok(values);
  return { shape: x.shape, values: [...values] };
}

/** Asserts dtype, shape and every element; zeros of both signs are equal, NaN equals NaN. `tolerance` is relative. */
export function assertValue(x: Tensor, expected: Plain, dtype: DType = "f32", tolerance = 0): void {
  assert.equal(x.dtype, dtype);
  assert.deepEqual(x.shape, expected.shape);
  const { values } = valueOf(x);
  assert.equal(values.length, expected.values.length);
  values.forEach((value, i) => {
    const wanted = expected.values[i] ?? NaN;
    const isSame = value === wanted || (Number.isNaN(value) && Number.isNaN(wanted));
    const message = `element ${i}: got ${value}, wanted ${wanted} in [${expected.values.join(", ")}]`;
    assert.ok(isSame || Math.abs(value - wanted) <= tolerance * Math.abs(wanted), message);
  });
}

/** Asserts shape and every element within `tolerance` of the largest one, at least 1. */
export function assertNear(got: Plain, expected: Plain, tolerance: number): void {
  assert.deepEqual(got.shape, expected.shape);
  const largest = expected.values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  got.values.forEach((value, i) => {
    const wanted = expected.values[i] ?? NaN;
    assert.ok(Math.abs(value - wanted) <= tolerance * largest, `element ${i}: got ${value}, wanted ${wanted}`);
  });
}

/** Asserts that `action` throws an error of the engine with this code and message. */
export function refuses(action: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(action, (error: unknown) => {
    assert.ok(error instanceof EvenkeelError, String(error));
    assert.deepEqual([error.code, message.test(error.message)], [code, true], `${error.code}: ${error.message}`);
    return true;
  });
}
