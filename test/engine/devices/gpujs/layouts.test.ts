/** Networks of images on WebGPU, whose temporaries have channels last: what the oracle says, and the same bits from every tile. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import { createWebgpuDevice } from "../../../../engine/devices/gpujs/webgpuDevice.ts";
import { registerTile, sharedTiles } from "../../../../engine/devices/gpujs/wgsl/product/index.ts";
import type { TensorData } from "../../../../engine/graph/dtype.ts";
import { type Graph, topologicalOrder } from "../../../../engine/graph/graph.ts";
import type { NodeOf } from "../../../../engine/graph/node.ts";
import { at, sizeOf } from "../../../../engine/graph/shape.ts";
import { compile, conv2d, exp, explain, relu, type Tensor, tensor } from "../../../../engine/index.ts";
import { Program } from "../../../../engine/program/program.ts";
import { buildImageNet, type ImageNet, imageNets } from "../../../arbitraries/imageNets.ts";
import { accuracies } from "../../../../testing/bounds/accuracies.ts";
import { graphBounds } from "../../../../testing/bounds/graphBounds.ts";
import { firstViolation } from "../../../../testing/bounds/bounded.ts";
import { webgpuSkip } from "../../../support/webgpuSkip.ts";
import { input } from "../../passes/plannedFor.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20261130);

function graphOf(net: ImageNet): Graph {
  const outputs = buildImageNet(net, (shape) => input(...shape)).map(({ node }) => node);
  const inputs = topologicalOrder(outputs).filter((node): node is NodeOf<"input"> => node.kind === "input");
  return { inputs, outputs };
}

const dataOf = ({ inputs }: Graph): readonly Float32Array[] =>
  inputs.map(({ shape }, index) =>
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.7 + index * 5) * 0.4),
  );

async function run(graph: Graph, device: KernelDevice): Promise<readonly TensorData[]> {
  const program = await Program.compile(graph, device);
  const start = program.bind(
    dataOf(graph).map((data) => ({ kind: "host", data })),
    [],
  );
  await start();
  const results = await program.read();
  program.dispose();
  return results;
}

describe("networks of images on WebGPU", { skip: webgpuSkip }, () => {
  if (webgpuSkip !== false) return;
  const tiles = [registerTile, at(sharedTiles, 0), at(sharedTiles, sharedTiles.length - 1)];
  const devices: KernelDevice[] = [];
  before(async () => {
    for (const product of tiles) devices.push(await createWebgpuDevice({}, { product }));
  });
  after(() => devices.forEach((device) => device.dispose()));

  it("give what the oracle gives", async () => {
    await fc.assert(
      fc.asyncProperty(imageNets, async (net) => {
        const graph = graphOf(net);
        const given = dataOf(graph).map((data) => Float64Array.from(data));
        const expected = graphBounds(graph, given, accuracies.webgpu);
        const results = await run(graph, at(devices, 0));
        expected.forEach((bounded, output) => {
          const place = firstViolation(at(results, output), bounded);
          const [got, wanted] = [results[output]?.[place ?? 0], bounded.values[place ?? 0]];
          assert.equal(place, undefined, `output ${output}, element ${place}: ${got}, wanted ${wanted}`);
        });
      }),
      { numRuns: 6, seed },
    );
  });

  it("give the same bits whatever the tiles", async () => {
    const net: ImageNet = {
      batch: 2,
      size: [8, 8],
      channels: [4, 16],
      layers: ["clip", "conv3", "residual", "gain", "conv3"],
      gradients: true,
    };
    const results: (readonly TensorData[])[] = [];
    for (const device of devices) results.push(await run(graphOf(net), device));
    for (const each of results) assert.deepEqual(each, results[0]);
  });

  it("are explained with the order of what they keep", async () => {
    const device = at(devices, 0);
    const given = [tensorOf([8, 16, 8, 8]), tensorOf([16, 16, 3, 3]), tensorOf([16, 16, 3, 3])] as const;
    const twice = compile(
      (x: Tensor, v: Tensor, w: Tensor) => conv2d(relu(conv2d(exp(x), v, { padding: 1 })), w, { padding: 1 }),
      { device },
    );
    const { buffers, text } = await explain(twice, given);
    twice.dispose();
    assert.ok(
      buffers.some(({ layout }) => layout?.channels === 16 && layout.pixels === 64),
      "an image has channels last",
    );
    assert.match(text, /temporary slot \d+ offset \d+, channels last: 16 of each of 64 pixels/);
  });
});

const tensorOf = (shape: readonly number[]): Tensor =>
  tensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i)),
    { shape },
  );
