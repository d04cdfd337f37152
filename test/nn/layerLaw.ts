/** What every layer has to keep: values and gradients of devices within float32's error, derivatives as differences say. */
import assert from "node:assert/strict";
import { createDevice, type Device, tensor, Tensor, vjp } from "../../engine/index.ts";
import { at, type Shape, sizeOf } from "../../engine/graph/shape.ts";
import { trace } from "../../engine/program/trace.ts";
import { accuracies } from "../../testing/bounds/accuracies.ts";
import { checkDerivative, gradientOf, randomNumbers } from "../../testing/laws/derivatives.ts";
import { graphBounds } from "../../testing/bounds/graphBounds.ts";
import { checkAgainst } from "../../testing/laws/programLaw.ts";

/** A function of f32 tensors, of which everything is to be right. */
export type Subject = { readonly fn: (...inputs: Tensor[]) => Tensor; readonly shapes: readonly Shape[] };

let devices: Promise<readonly Device[]> | undefined;

/**
 * Values and gradients on wasm and cpu are the oracle's within the error that float32 allows. Behind a mask's -Infinity that isn't known:
 * there they are within 2^-16 of the largest, some thousand roundings.
 */
export async function checkOnDevices({ fn, shapes }: Subject, seed: number): Promise<void> {
  const random = randomNumbers(seed);
  const data = shapes.map((shape) => Float32Array.from({ length: sizeOf(shape) }, () => 3 * random() - 1.5));
  const given = data.map((values, i) => tensor(values, { shape: at(shapes, i) }));
  const { graph } = trace((...inputs: Tensor[]) => {
    const { value, pullback } = vjp((xs: readonly Tensor[]) => fn(...xs), inputs as readonly Tensor[]);
    return [value, ...pullback(value)];
  }, given);
  devices ??= Promise.all([createDevice("wasm"), createDevice("cpu")]);
  for (const device of await devices) {
    const exact = graphBounds(
      graph,
      data.map((values) => Float64Array.from(values)),
      accuracies[device.name],
    );
    const bounds = exact.map(({ values, errors }) => {
      const coarse = 2 ** -16 * Math.max(...values.map(Math.abs));
      assert.ok(coarse < Infinity, "a result is without a bound");
      return { values, errors: errors.map((error) => (error === Infinity ? coarse : error)) };
    });
    await checkAgainst(device, { graph, inputs: data }, bounds);
  }
}

/** All of it, second derivatives too. */
export async function checkLayer(subject: Subject, seed: number): Promise<void> {
  checkDerivative(subject, seed);
  checkDerivative(gradientOf(subject), seed + 1);
  await checkOnDevices(subject, seed + 2);
}

/** Whether numbers are within 2^-22 of the largest of what is wanted, and those that are to be NaN or infinite are. */
export function assertNear(got: ArrayLike<number>, wanted: ArrayLike<number>, relative = 2 ** -22): void {
  assert.equal(got.length, wanted.length);
  const largest = Math.max(1e-3, ...Array.from(wanted, Math.abs).filter(Number.isFinite));
  for (let i = 0; i < wanted.length; i++) {
    const [value, other] = [got[i] ?? NaN, wanted[i] ?? NaN];
    const isNear = Object.is(value, other) || value === other || Math.abs(value - other) <= relative * largest;
    assert.ok(isNear, `element ${i}: ${value}, wanted ${other}`);
  }
}

/** Numbers of a seed in -2 to 2, as float32 has them. */
export function drawNumbers(seed: number, count: number): number[] {
  const random = randomNumbers(seed);
  return Array.from({ length: count }, () => Math.fround(4 * random() - 2));
}
