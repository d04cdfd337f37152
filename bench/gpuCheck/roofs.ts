/** What a GPU can do at most through WebGPU, by a few lines of WGSL: multiply-adds, copies, dispatches, readbacks. */
import { mapMode, usage } from "../../engine/devices/gpujs/bufferUsage.ts";
import { digits, tableOf } from "../markdown.ts";
import type { Finding } from "./report.ts";

/** Rates that kernels are compared with. */
export type Roofs = {
  /** 1e9 additions and multiplications a second, by chains of multiply-adds in float32. */
  readonly gflops: number;
  /** 1e9 bytes a second, read and written both counted. */
  readonly gbs: number;
};

export type RoofOptions = {
  /** Workgroups of the multiply-adds: far more than there are units. */
  readonly groups: number;
  /** Bytes of each of the copy's two arrays: far more than the caches hold. */
  readonly bytes: number;
  /** A run is made longer until it takes this. */
  readonly seconds: number;
  /** Dispatches and readbacks that are timed together. */
  readonly count: number;
};

const threads = 256;
const chains = 8;
const chainLength = 256;

const numbered = Array.from({ length: chains }, (_, i) => i);

/** Independent chains of vectors: enough to fill the pipelines, few enough for registers. */
const multiplyAdds = `@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(${threads}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let small = f32(id.x & 1023u) * 1e-6;
  let m = vec4f(0.999 + small);
  let c = vec4f(small);
  ${numbered.map((i) => `var v${i} = vec4f(${i}.0 + small);`).join("\n  ")}
  for (var k = 0u; k < ${chainLength}u; k++) {
    ${numbered.map((i) => `v${i} = fma(v${i}, m, c);`).join("\n    ")}
  }
  y[id.x & 4095u] = ${numbered.map((i) => `v${i}`).join(" + ")};
}`;

const copy = `@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(${threads}) fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = (group.x + group.y * groups.x) * ${threads}u + local;
  if (i < arrayLength(&y)) { y[i] = x[i]; }
}`;

const tiny = `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = x[id.x] + 1.0; }`;

type Bound = { readonly pipeline: GPUComputePipeline; readonly groups: readonly GPUBindGroup[] };

function bind(device: GPUDevice, code: string, ...sets: readonly (readonly GPUBuffer[])[]): Bound {
  const compute = { module: device.createShaderModule({ code }), entryPoint: "main" };
  const pipeline = device.createComputePipeline({ layout: "auto", compute });
  const layout = pipeline.getBindGroupLayout(0);
  const groups = sets.map((buffers) =>
    device.createBindGroup({ layout, entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })) }),
  );
  return { pipeline, groups };
}

/** Seconds of so many dispatches in one pass, over the bind groups in turn. */
async function secondsOf(
  device: GPUDevice,
  { pipeline, groups }: Bound,
  size: readonly [number, number],
  dispatches: number,
): Promise<number> {
  const start = performance.now();
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  for (let i = 0; i < dispatches; i++) {
    pass.setBindGroup(0, groups[i % groups.length] ?? null);
    pass.dispatchWorkgroups(...size);
  }
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
  return (performance.now() - start) / 1e3;
}

/** Dispatches a second, by runs of more and more of them until one takes long enough to be told from its start. */
async function rateOf(
  device: GPUDevice,
  bound: Bound,
  size: readonly [number, number],
  seconds: number,
): Promise<number> {
  await secondsOf(device, bound, size, 1);
  for (let dispatches = 1; ; dispatches *= 4) {
    const time = await secondsOf(device, bound, size, dispatches);
    if (time < seconds && dispatches < 4096) continue;
    const again = dispatches >= 4 ? await secondsOf(device, bound, size, dispatches) : time;
    return dispatches / Math.min(time, again);
  }
}

/** Milliseconds of a readback of a few bytes: copy, submit, map. */
async function readbackTime(device: GPUDevice, from: GPUBuffer, count: number): Promise<number> {
  const staging = device.createBuffer({ size: 16, usage: usage.mapRead | usage.copyDestination });
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, staging, 0, 16);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(mapMode.read);
    staging.unmap();
  }
  const time = (performance.now() - start) / count;
  staging.destroy();
  return time;
}

/** Measures the roofs and tells them. */
export async function measureRoofs(
  device: GPUDevice,
  { groups: chainGroups, bytes, seconds, count }: RoofOptions,
): Promise<Finding & { readonly roofs: Roofs }> {
  const size = Math.min(bytes, device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const make = (length: number): GPUBuffer =>
    device.createBuffer({ size: length, usage: usage.storage | usage.copySource | usage.copyDestination });
  const [from, to] = [make(size), make(size)] as const;
  const small = Array.from({ length: 9 }, () => make(65_536)) as [GPUBuffer, ...GPUBuffer[]];
  try {
    const flops = chainGroups * threads * chains * 4 * chainLength * 2;
    const gflops =
      ((await rateOf(device, bind(device, multiplyAdds, [small[0]]), [chainGroups, 1], seconds)) * flops) / 1e9;
    const groups = Math.ceil(size / 16 / threads);
    const rows = Math.ceil(groups / 65_535);
    const grid = [Math.ceil(groups / rows), rows] as const;
    const gbs = ((await rateOf(device, bind(device, copy, [from, to]), grid, seconds)) * 2 * size) / 1e9;
    const [first, second, ...others] = small;
    if (second === undefined) throw new Error("nine buffers were made");
    const chain = bind(device, tiny, [first, second], [second, first]);
    const independent = bind(device, tiny, ...others.map((other) => [first, other]));
    await secondsOf(device, chain, [1, 1], count);
    const dependent = ((await secondsOf(device, chain, [1, 1], count)) / count) * 1e6;
    const inTurns = ((await secondsOf(device, independent, [1, 1], count)) / count) * 1e6;
    const readback = await readbackTime(device, first, Math.ceil(count / 20));
    const data = {
      gflops,
      gbs,
      copiedBytes: size,
      dependentMicroseconds: dependent,
      inTurnsMicroseconds: inTurns,
      readbackMilliseconds: readback,
    };
    const text = tableOf(
      ["roof", ""],
      [
        ["multiply-adds in float32", `${digits(gflops)} GFLOP/s`],
        [`copy of ${(size / 2 ** 20).toFixed(0)} MiB, read and written`, `${digits(gbs)} GB/s`],
        ["a dispatch of one workgroup, each reading what the one before wrote", `${digits(dependent)} us`],
        ["... seven results in turns", `${digits(inTurns)} us`],
        ["a readback of 16 bytes", `${digits(readback)} ms`],
      ],
    );
    return { data, text, roofs: { gflops, gbs } };
  } finally {
    for (const buffer of [from, to, ...small]) buffer.destroy();
  }
}
