/** Steps write new state over the old one where they can. That must not be seen. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Device } from "../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { compile, compileStep, createDevice, createState, type TensorData } from "../../../engine/index.ts";
import { treeLeaves } from "../../../engine/tree.ts";
import {
  firstLeaves,
  type Leaves,
  updateLeaves,
  type UpdateSpec,
  updateSpecs,
} from "../../arbitraries/stateUpdates.ts";
import { limitedDevice } from "../../support/limitedDevice.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const valuesOf = (tree: unknown): Promise<TensorData[]> =>
  Promise.all(treeLeaves(tree).map(({ tensor }) => tensor.data()));

/** State and result of some steps, by a compiled step and by a compiled function of plain tensors. */
async function bothWays(device: Device, spec: UpdateSpec): Promise<{ step: TensorData[][]; plain: TensorData[][] }> {
  const update = (old: Leaves): { state: Leaves; result: Leaves } => updateLeaves(spec, old);
  const [step, plain] = [compileStep(update, { device }), compile(update, { device })];
  const state = await createState(firstLeaves(spec), device);
  const seen: { step: TensorData[][]; plain: TensorData[][] } = { step: [], plain: [] };
  try {
    let leaves = firstLeaves(spec);
    for (let count = 0; count < 2; count++) {
      const result = await step(state);
      seen.step.push(await valuesOf(result), await valuesOf(await state.read()));
      const next = await plain(leaves);
      seen.plain.push(await valuesOf(next.result), await valuesOf(next.state));
      leaves = next.state;
    }
  } finally {
    state.dispose();
    step.dispose();
    plain.dispose();
  }
  return seen;
}

const devices: readonly { name: string; runs: number; skip?: string | false; create: () => Promise<Device> }[] = [
  { name: "wasm with one thread", runs: 100, create: () => createWasmDevice({ threads: 1 }) },
  // Even small kernels are shared.
  { name: "wasm with two threads", runs: 50, create: () => createWasmDevice({ threads: 2, sharedCost: 1000 }) },
  { name: "cpu", runs: 10, create: () => createDevice("cpu") },
  { name: "webgpu", runs: 10, skip: webgpuSkip, create: () => createDevice("webgpu") },
];

describe("a step of a state gives the bits of the same function of plain tensors", () => {
  for (const { name, runs, skip = false, create } of devices) {
    it(`${runs} updates with products and convolutions on ${name}`, { skip }, async () => {
      const device = await create();
      try {
        await fc.assert(
          fc.asyncProperty(updateSpecs, async (spec) => {
            const { step, plain } = await bothWays(device, spec);
            assert.deepEqual(step, plain);
          }),
          { numRuns: runs },
        );
      } finally {
        device.dispose();
      }
    });
  }

  for (const [what, limits] of [
    ["that need not save memory, on one that must", { memory: 0 }],
    ["whose kernels follow each other, on one whose kernels may overlap", { overlap: true }],
  ] as const) {
    it(`and the bits of a device ${what}`, async () => {
      const device = await createWasmDevice({ threads: 1 });
      const limited = limitedDevice(device, limits);
      try {
        await fc.assert(
          fc.asyncProperty(updateSpecs, async (spec) => {
            const [as, otherwise] = [await bothWays(device, spec), await bothWays(limited, spec)];
            assert.deepEqual(otherwise, as);
          }),
          { numRuns: 25 },
        );
      } finally {
        device.dispose();
      }
    });
  }
});
