/** Proves at start-up that gpu.js's compiler, its internals and this adapter agree: one small kernel, run and read back. */
import { EvenkeelError } from "../../errors.ts";
import { mapMode, usage } from "./bufferUsage.ts";
import { at } from "../../graph/shape.ts";
import type { Binding, CompiledKernel, KernelSource } from "./kernelSource.ts";
import type { WgslKernel } from "./wgsl/index.ts";

/** More threads than one workgroup has, in two dimensions, with a helper function and a loop. */
const size = [9, 10] as const;
const count = size[0] * size[1];

const source: KernelSource = {
  name: "selfTest",
  source: `function selfTest(a0, a1) {
  let sum = 0;
  for (let i = 0; i < 3; i++) { sum = sum + half(a0[this.thread.x + ${size[0]} * this.thread.y]); }
  return sum - a1[this.thread.y];
}`,
  functions: [
    { name: "half", source: "function half(x) { return x * 0.5; }", argumentTypes: ["Number"], returnType: "Number" },
  ],
  operandWords: [count, size[1]],
  resultWords: count,
  output: size,
};

/** In WGSL of our own: more points than one workgroup has threads, written where they were read. */
const own: WgslKernel = {
  name: "selfTest",
  schedule: "one point a thread",
  text: `@group(0) @binding(0) var<storage, read> a0: array<u32>;
@group(0) @binding(1) var<storage, read_write> r0: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let thread = group.x * 64u + local;
  if (thread < ${count}u) {
    r0[thread] = r0[thread] * 1.5f - f32(a0[thread / ${size[0]}u]);
  }
}`,
  bindings: [
    { kind: "operand", index: 0, access: "read" },
    { kind: "result", index: 0, access: "read_write" },
  ],
  groups: [Math.ceil(count / 64), 1, 1],
};

/** A GPU device with a compiler for it. */
type Tested = {
  readonly device: GPUDevice;
  /** The adapter in a line. */
  readonly description: string;
  readonly compile: (source: KernelSource) => Promise<CompiledKernel>;
  readonly compileOwn: (own: WgslKernel) => Promise<CompiledKernel>;
};

type Content = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** @throws EvenkeelError `device` saying what differs. */
export async function selfTest(context: Tested): Promise<void> {
  const [ramp, rows] = [count, size[1]].map((length) => Float32Array.from({ length }, (_, i) => i));
  if (ramp === undefined || rows === undefined) throw new Error("two arrays were made");
  const hundreds = rows.map((y) => 100 * y);
  await check(context, await context.compile(source), [ramp, hundreds], new Float32Array(count));
  await check(context, await context.compileOwn(own), [Uint32Array.from(hundreds)], ramp);
}

async function check(
  { device, description }: Tested,
  kernel: CompiledKernel,
  operands: readonly Content[],
  before: Float32Array<ArrayBuffer>,
): Promise<void> {
  const got = await runOnce(device, kernel, operands, before);
  for (let i = 0; i < count; i++) {
    const wanted = 1.5 * i - 100 * Math.floor(i / size[0]);
    if (got[i] !== wanted) {
      throw new EvenkeelError(
        "device",
        `webgpu: the self-test of ${description} gave ${got[i]} for element ${i}, expected ${wanted}. ` +
          `The driver or gpu.js's way to bind kernels isn't as expected; use device wasm. WGSL:\n${kernel.wgsl}`,
      );
    }
  }
}

/** What a kernel's result holds after a run, if it held `before`. */
async function runOnce(
  device: GPUDevice,
  kernel: CompiledKernel,
  operands: readonly Content[],
  before: Float32Array<ArrayBuffer>,
): Promise<Float32Array> {
  const bytes = before.byteLength;
  const filled = (content: Content, purpose: number): GPUBuffer => {
    const buffer = device.createBuffer({ size: content.byteLength, usage: purpose | usage.copyDestination });
    device.queue.writeBuffer(buffer, 0, content);
    return buffer;
  };
  const result = filled(before, usage.storage | usage.copySource);
  const inputs = operands.map((operand) => filled(operand, usage.storage));
  const params = kernel.params === null ? [] : [filled(kernel.params, usage.uniform)];
  const staging = device.createBuffer({ size: bytes, usage: usage.mapRead | usage.copyDestination });
  const bufferAt = (binding: Binding): GPUBuffer => {
    switch (binding.kind) {
      case "params":
        return at(params, 0);
      case "operand":
        return at(inputs, binding.index);
      case "result":
        return result;
    }
  };
  try {
    const bindings = device.createBindGroup({
      layout: kernel.layout,
      entries: kernel.bindings.map((bound, binding) => ({ binding, resource: { buffer: bufferAt(bound) } })),
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, bindings);
    pass.dispatchWorkgroups(...kernel.groups);
    pass.end();
    encoder.copyBufferToBuffer(result, 0, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(mapMode.read);
    return new Float32Array(staging.getMappedRange().slice(0));
  } finally {
    for (const buffer of [...params, ...inputs, result, staging]) buffer.destroy();
  }
}
