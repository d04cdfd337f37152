/** Composed operations: values against their definitions, on every device, and derivatives. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { createDevice, evaluate, type Tensor, vjp } from "../../../engine/index.ts";
import { trace } from "../../../engine/program/trace.ts";
import { operationCases } from "../../arbitraries/operationCases.ts";
import type { OperationCase } from "../../arbitraries/operations/operationCase.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { checkDerivative, gradientOf } from "../../../testing/laws/derivatives.ts";
import { assertNear, toTensor, valueOf } from "../../support/plain.ts";
import { checkGraph } from "../../../testing/laws/programLaw.ts";

const seed = 7;

/** Constants, of transforms for instance, are float32 on the oracle, too: relative to the largest element. */
const oracleTolerance = 2e-6;

const described = (cases: fc.Arbitrary<OperationCase>) =>
  cases.map((one) => ({ one, options: JSON.stringify(one.options), inputs: one.inputs }));

describe("composed operations have the values of their definitions", () => {
  for (const [name, cases] of Object.entries(operationCases)) {
    it(name, () => {
      fc.assert(
        fc.property(described(cases), ({ one: { inputs, fn, expected } }) => {
          assertNear(valueOf(fn(...inputs.map((input) => toTensor(input)))), expected, oracleTolerance);
        }),
        { seed, numRuns: 40 },
      );
    });
  }
});

for (const device of ["wasm", "cpu"] as const) {
  describe(`composed operations on ${device}, with gradients, are within float32's error`, () => {
    const made = createDevice(device);
    after(async () => (await made).dispose());
    for (const [name, cases] of Object.entries(operationCases)) {
      it(name, async () => {
        let compared = 0;
        await fc.assert(
          fc.asyncProperty(described(cases), async ({ one: { inputs, fn, expected, tolerance } }) => {
            const primals = inputs.map((input) => toTensor(input));
            const { graph } = trace((...given: Tensor[]) => {
              const { value, pullback } = vjp((xs: readonly Tensor[]) => fn(...xs), given as readonly Tensor[]);
              return [value, ...pullback(value)];
            }, primals);
            const data = inputs.map(({ values }) => Float32Array.from(values));
            compared += (await checkGraph(await made, { graph, inputs: data }, accuracies[device])).compared;
            if (tolerance === undefined) return;
            const value = fn(...primals);
            const values = await evaluate(value, await made);
            assertNear({ shape: value.shape, values: [...values] }, expected, tolerance);
            compared += value.size;
          }),
          { seed, numRuns: device === "wasm" ? 4 : 2 },
        );
        assert.ok(compared > 0, "nothing was compared");
      });
    }
  });
}

/** Names of operations without a derivative of their own. */
const withoutDerivative = ["maxPool, places"];

describe("composed operations have the derivatives of their values", () => {
  for (const [name, cases] of Object.entries(operationCases)) {
    if (withoutDerivative.includes(name)) continue;
    it(name, () => {
      fc.assert(
        fc.property(described(cases), fc.nat(2 ** 20), ({ one: { inputs, fn, smooth } }, point) => {
          const subject = { fn: smooth ?? fn, shapes: inputs.map(({ shape }) => shape) };
          checkDerivative(subject, point);
          checkDerivative(gradientOf(subject), point);
        }),
        { seed, numRuns: 5 },
      );
    });
  }
});
