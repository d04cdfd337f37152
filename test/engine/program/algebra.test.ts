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
import { buildProgram, inputData, type ProgramSpec, programSpecs } from "../../arbitraries/programs.ts";
import { accuracies } from "../../support/accuracies.ts";
import { graphBounds } from "../../support/graphBounds.ts";
import { compareProgram } from "../../support/programLaw.ts";

const seed = 77;
const wasm = await createDevice("wasm");
// Every kernel is shared among threads, however small.
const oneThread = await createWasmDevice({ threads: 1, sharedCost: 0 });
const twoThreads = await createWasmDevice({ threads: 2, sharedCost: 0 });
after(() => {
  for (const device of [wasm, oneThread, twoThreads]) device.dispose();
});

/** The same device, whose programs are made for other limits. */
function withLimits(device: Device, limits: DeviceLimits): Device {
  return {
    name: device.name,
    description: device.description,
    limits,
    usable: true,
    allocate: (dtype, length) => device.allocate(dtype, length),
    upload: (buffer, data) => device.upload(buffer, data),
    download: (buffer) => device.download(buffer),
    free: (buffer) => device.free(buffer),
    compile: (program) => device.compile(program),
    memory: () => device.memory(),
    dispose: () => undefined,
  };
}

const argumentsOf = (spec: ProgramSpec): Tensor[] =>
  spec.inputs.map((input) => tensor(inputData(input), { shape: input.shape, dtype: input.dtype }));

async function run(spec: ProgramSpec, device: Device): Promise<Uint8Array[]> {
  const compiled = compile((...given: Tensor[]) => buildProgram(spec, given), { device });
  const results = await compiled(...argumentsOf(spec));
  compiled.dispose();
  return Promise.all(
    results.map(async (result) => {
      const data = await result.data();
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }),
  );
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
  it("a compiled function equals the function evaluated piece by piece", async () => {
    await fc.assert(
      fc.asyncProperty(programSpecs, async (spec) => {
        const together = await run(spec, wasm);
        const pieces = await Promise.all(buildProgram(spec, argumentsOf(spec)).map((x) => evaluate(x, wasm)));
        assert.equal(together.length, pieces.length);
        // Fusion and simplification may round differently; both must hold the oracle's bounds.
        await compareProgram(wasm, spec, accuracies.wasm);
        pieces.forEach((piece, i) => assert.equal(piece.byteLength, at(together, i).length));
      }),
      { numRuns: 200, seed },
    );
  });

  it("one thread and two threads give equal bits, and so does a second run", async () => {
    await fc.assert(
      fc.asyncProperty(programSpecs, async (spec) => {
        const once = await run(spec, oneThread);
        assert.deepEqual(canonical(await run(spec, twoThreads)), canonical(once));
        assert.deepEqual(await run(spec, oneThread), once);
      }),
      { numRuns: 500, seed },
    );
  });

  it("fused and unfused kernels give equal bits, or sums in another order", async () => {
    const unfused = withLimits(wasm, { ...wasm.limits, scalars: 1 });
    let [fusedKernels, unfusedKernels] = [0, 0];
    await fc.assert(
      fc.asyncProperty(programSpecs, async (spec) => {
        const { graph } = trace((...given: Tensor[]) => buildProgram(spec, given), argumentsOf(spec));
        // A border fused into a sum cuts its loop, which changes the order of addition: both must hold the oracle's bounds.
        if (topologicalOrder(graph.outputs).some(addsFloats)) {
          for (const device of [unfused, wasm]) await compareProgram(device, spec, accuracies.wasm);
        } else assert.deepEqual(canonical(await run(spec, unfused)), canonical(await run(spec, wasm)));
        fusedKernels += makePlan(optimize(graph, wasm.limits), wasm.limits).steps.length;
        unfusedKernels += makePlan(optimize(graph, unfused.limits), unfused.limits).steps.length;
      }),
      { numRuns: 300, seed },
    );
    assert.ok(unfusedKernels > 1.3 * fusedKernels, `${unfusedKernels} kernels unfused, ${fusedKernels} fused`);
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
  const limits: DeviceLimits = { operands: 7, elements: 2 ** 28, temporaries: "slots", inPlace: false, scalars: 60 };

  const traced = (spec: ProgramSpec): { graph: Graph; inputs: Float64Array[] } => {
    const { graph } = trace((...given: Tensor[]) => buildProgram(spec, given), argumentsOf(spec));
    return { graph, inputs: spec.inputs.map((input) => Float64Array.from(inputData(input))) };
  };

  for (const { name } of passes) {
    it(`${name} keeps every result`, () => {
      fc.assert(
        fc.property(programSpecs, (spec) => {
          const { graph, inputs } = traced(spec);
          const before = graphBounds(graph, inputs, accuracies.oracle);
          let reached: Graph | undefined;
          optimize(graph, limits, (pass, result) => {
            if (pass === name) reached = result;
          });
          assert.ok(reached);
          evaluateGraph(reached, inputs).forEach((values, output) => {
            const { values: wanted, errors } = at(before, output);
            values.forEach((value, i) => {
              const [expected, error] = [at([...wanted], i), errors[i] ?? 0];
              // In float64 only the order of sums may differ: far below the float32 bound.
              const close = Object.is(value, expected) || Math.abs(value - expected) <= error * 1e-6 + 1e-300;
              assert.ok(
                error === Infinity || close || Math.abs(value - expected) <= 1e-12 * Math.abs(expected),
                `${value} for ${expected}`,
              );
            });
          });
        }),
        { numRuns: 150, seed },
      );
    });
  }
});
