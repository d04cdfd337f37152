/** Proves at start-up that gpu.js's compiler, its internals and this adapter agree: one small kernel, run and read back. */
import { EvenkeelError } from "../../errors.ts";
import { mapMode, usage } from "./bufferUsage.ts";
import type { CompiledKernel, KernelSource } from "./kernelSource.ts";

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

/** A GPU device with a compiler for it. */
type Tested = {
  readonly device: GPUDevice;
  /** The adapter in a line. */
  readonly description: string;
  readonly compile: (source: KernelSource) => Promise<CompiledKernel>;
};

/** @throws EvenkeelError `device` saying what differs. */
export async function selfTest(context: Tested): Promise<void> {
  const kernel = await context.compile(source);
  const operands = [
    Float32Array.from({ length: count }, (_, i) => i),
    Float32Array.from({ length: size[1] }, (_, y) => 100 * y),
  ];
  const got = await runOnce(context.device, kernel, operands);
  for (let i = 0; i < count; i++) {
    const wanted = 1.5 * i - 100 * Math.floor(i / size[0]);
    if (got[i] !== wanted) {
      throw new EvenkeelError(
        "device",
        `webgpu: the self-test of ${context.description} gave ${got[i]} for element ${i}, expected ${wanted}. ` +
          `The driver or gpu.js's way to bind kernels isn't as expected; use device wasm. WGSL:\n${kernel.wgsl}`,
      );
    }
  }
}

async function runOnce(
  device: GPUDevice,
  kernel: CompiledKernel,
  operands: readonly Float32Array<ArrayBuffer>[],
): Promise<Float32Array> {
  const bytes = 4 * kernel.source.resultWords;
  const filled = (content: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>, purpose: number): GPUBuffer => {
    const buffer = device.createBuffer({ size: content.byteLength, usage: purpose | usage.copyDestination });
    device.queue.writeBuffer(buffer, 0, content);
    return buffer;
  };
  const params = filled(kernel.params, usage.uniform);
  const inputs = operands.map((operand) => filled(operand, usage.storage));
  const result = device.createBuffer({ size: bytes, usage: usage.storage | usage.copySource });
  const staging = device.createBuffer({ size: bytes, usage: usage.mapRead | usage.copyDestination });
  const buffers = [params, ...inputs, result];
  try {
    const bindings = device.createBindGroup({
      layout: kernel.layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
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
    for (const buffer of [...buffers, staging]) buffer.destroy();
  }
}
