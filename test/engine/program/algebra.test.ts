/** What compiling must not change. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import type { Device, DeviceLimits } from "../../../engine/devices/device.ts";
import { evaluateGraph } from "../../../engine/devices/oracle/evaluate.ts";
import { createWasmDevice } from "../../../engine/devices/wasm/device.ts";
import { type Graph, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { Node } from "../../../engine/graph/node.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  compile,
  createDevice,
  evaluate,
  foldIn,
  randomKey,
  randomNormal,
  reduceSum,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";
import { makePlan } from "../../../engine/passes/makePlan.ts";
import { optimize, passes } from "../../../engine/passes/optimize.ts";
import { trace } from "../../../engine/program/trace.ts";
import { buildProgram, inputData, type ProgramSpec, loopFreePrograms } from "../../../testing/arbitraries/programs.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { graphBounds } from "../../../testing/bounds/graphBounds.ts";
import { limitedDevice } from "../../support/limitedDevice.ts";
import { compareProgram } from "../../../testing/laws/programLaw.ts";
import { firstViolation } from "../../../testing/bounds/bounded.ts";

const seed = 77;
const wasm = await createDevice("wasm");
// Every kernel is shared among threads, however small.
const oneThread = await createWasmDevice({ threads: 1, sharedCost: 0 });
const twoThreads = await createWasmDevice({ threads: 2, sharedCost: 0 });
after(() => {
  for (const device of [wasm, oneThread, twoThreads]) device.dispose();
});

const argumentsOf = (spec: ProgramSpec): Tensor[] =>
  spec.inputs.map((input) => tensor(inputData(input), { shape: input.shape, dtype: input.dtype }));

function traced(spec: ProgramSpec): { graph: Graph; inputs: Float64Array[] } {
  const { graph } = trace((...given: Tensor[]) => buildProgram(spec, given), argumentsOf(spec));
  return { graph, inputs: spec.inputs.map((input) => Float64Array.from(inputData(input))) };
}

async function run(spec: ProgramSpec, device: Device): Promise<Uint8Array[]> {
  const [results] = await runTimes(1, spec, device);
  assert.ok(results !== undefined);
  return results;
}

/** The bytes of each result, of so many runs of one compiled program. */
async function runTimes(count: number, spec: ProgramSpec, device: Device): Promise<Uint8Array[][]> {
  const compiled = compile((...given: Tensor[]) => buildProgram(spec, given), { device });
  const runs: Uint8Array[][] = [];
  for (let i = 0; i < count; i++) {
    const results = await compiled(...argumentsOf(spec));
    const data = await Promise.all(results.map((result) => result.data()));
    runs.push(data.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)));
  }
  compiled.dispose();
  return runs;
}

/** NaNs of different payloads are one value. */
const canonical = (bytes: readonly Uint8Array[]): number[][] =>
  bytes.map((part) =>
    [...new Uint32Array(part.slice().buffer, 0, Math.floor(part.length / 4))].map((bits) =>
      (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits,
    ),
  );

const addsFloats = ({ kind, dtype }: Node): boolean =>
  dtype === "f32" && (kind === "reduce" || kind === "matmul" || kind === "conv");

describe("programs", () => {
  it("evaluated piece by piece are within the bounds that compiled ones are within", async () => {
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        const { graph, inputs } = traced(spec);
        const expected = graphBounds(graph, inputs, accuracies.wasm);
        const pieces = buildProgram(spec, argumentsOf(spec));
        assert.equal(pieces.length, expected.length);
        for (const [i, piece] of pieces.entries()) {
          const place = firstViolation(await evaluate(piece, wasm), at(expected, i));
          assert.equal(place, undefined, `element ${place} of result ${i}`);
        }
      }),
      { numRuns: 200, seed },
    );
  });

  it("one thread and two threads give equal bits, and so does a second run", async () => {
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        const [once = [], again] = await runTimes(2, spec, oneThread);
        assert.deepEqual(again, once);
        assert.deepEqual(canonical(await run(spec, twoThreads)), canonical(once));
      }),
      { numRuns: 300, seed },
    );
  });

  it("fused and unfused kernels give equal bits, or sums in another order", async () => {
    const unfused = limitedDevice(wasm, { scalars: 1 });
    let [fusedKernels, unfusedKernels] = [0, 0];
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        const { graph } = traced(spec);
        // A border fused into a sum cuts its loop, which changes the order of addition: both must hold the oracle's bounds,
        // and the law of random programs is that the fused ones do.
        if (topologicalOrder(graph.outputs).some(addsFloats)) {
          await compareProgram(unfused, spec, accuracies.wasm);
        } else assert.deepEqual(canonical(await run(spec, unfused)), canonical(await run(spec, wasm)));
        fusedKernels += makePlan(optimize(graph, wasm.limits), wasm.limits).steps.length;
        unfusedKernels += makePlan(optimize(graph, unfused.limits), unfused.limits).steps.length;
      }),
      { numRuns: 200, seed },
    );
    assert.ok(unfusedKernels > 1.3 * fusedKernels, `${unfusedKernels} kernels unfused, ${fusedKernels} fused`);
  });

  it("those that compute values twice rather than keep them give equal bits, in less memory", async () => {
    const scarce = limitedDevice(wasm, { memory: 0 });
    const total = (limits: DeviceLimits, graph: Graph): { steps: number; bytes: number } => {
      const { steps, slots } = makePlan(optimize(graph, limits), limits);
      return { steps: steps.length, bytes: slots[0] ?? 0 };
    };
    const [plenty, little] = [
      { steps: 0, bytes: 0 },
      { steps: 0, bytes: 0 },
    ];
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        assert.deepEqual(canonical(await run(spec, scarce)), canonical(await run(spec, wasm)));
        const { graph } = traced(spec);
        for (const [sum, limits] of [
          [plenty, wasm.limits],
          [little, scarce.limits],
        ] as const) {
          const { steps, bytes } = total(limits, graph);
          sum.steps += steps;
          sum.bytes += bytes;
        }
      }),
      { numRuns: 60, seed },
    );
    assert.ok(little.steps > plenty.steps && little.bytes < plenty.bytes, JSON.stringify({ plenty, little }));
  });

  it("those that are ordered as if they could overlap give equal bits", async () => {
    const overlapping = limitedDevice(wasm, { overlap: true });
    let moved = 0;
    await fc.assert(
      fc.asyncProperty(loopFreePrograms, async (spec) => {
        assert.deepEqual(canonical(await run(spec, overlapping)), canonical(await run(spec, wasm)));
        const { graph } = traced(spec);
        const [some, others] = [wasm.limits, overlapping.limits].map((limits) =>
          makePlan(optimize(graph, limits), limits).steps.map(({ kernel }) => kernel.name),
        );
        moved += Number(some?.join() !== others?.join());
      }),
      { numRuns: 60, seed },
    );
    assert.ok(moved >= 5, `${moved} in another order`);
  });

  it("large reductions and products too", async () => {
    const fn = (key: Tensor): Tensor[] => {
      const [a, b] = [0, 1].map((stream) => randomNormal(foldIn(key, stream), [130, 257])) as [Tensor, Tensor];
      return [reduceSum(a), reduceSum(a.multiply(b), { axes: 0 }), a.matmul(b.transpose()), a.softmax()];
    };
    const results = await Promise.all(
      [oneThread, twoThreads, twoThreads].map(async (device) => {
        const compiled = compile(fn, { device });
        const values = await Promise.all((await compiled(randomKey(3))).map((x) => x.data()));
        compiled.dispose();
        return values;
      }),
    );
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  });
});

describe("passes", () => {
  const limits: DeviceLimits = {
    operands: 7,
    results: 1,
    arrays: Infinity,
    joins: "rows",
    elements: 2 ** 28,
    temporaries: "slots",
    overlap: false,
    batches: false,
    chains: false,
    inPlace: false,
    concurrency: 1,
    writtenInFours: null,
    factors: "stored",
    arithmetic: "scarce",
    layouts: "inOrder",
    scalars: 60,
    memory: Infinity,
  };

  it("each keeps every result", () => {
    fc.assert(
      fc.property(loopFreePrograms, (spec) => {
        const { graph, inputs } = traced(spec);
        const before = graphBounds(graph, inputs, accuracies.oracle);
        const reached: string[] = [];
        optimize(graph, limits, (pass, result) => {
          reached.push(pass);
          evaluateGraph(result, inputs).forEach((values, output) => {
            const { values: wanted, errors } = at(before, output);
            assert.equal(values.length, wanted.length);
            values.forEach((value, i) => {
              const [expected, error] = [wanted[i] ?? NaN, errors[i] ?? 0];
              // In float64 only the order of sums may differ: far below the float32 bound.
              const close = Object.is(value, expected) || Math.abs(value - expected) <= error * 1e-6 + 1e-300;
              if (error === Infinity || close || Math.abs(value - expected) <= 1e-12 * Math.abs(expected)) return;
              assert.fail(`after ${pass}: ${value} for ${expected}`);
            });
          });
        });
        assert.deepEqual(
          reached,
          passes.map(({ name }) => name),
        );
      }),
      { numRuns: 150, seed },
    );
  });
});
