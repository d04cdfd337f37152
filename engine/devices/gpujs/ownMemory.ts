/** Memory that an executable has of its own: temporaries, constants and the numbers that kernels take from a uniform buffer. */
import { EvenkeelError } from "../../errors.ts";
import { at } from "../../graph/shape.ts";
import type { Plan } from "../../kernel/plan.ts";
import { storedBytes } from "../../kernel/storage.ts";
import type { Dispatch } from "./bindGroups.ts";
import type { Draft } from "./drafts.ts";
import type { CompiledKernel } from "./kernelSource.ts";
import type { GpuRange, WebgpuMemory } from "./webgpuMemory.ts";
import type { WordFormat } from "./words.ts";

export type OwnMemory = {
  /** By number of the plan's buffer: the memory of constants and temporaries. */
  readonly byBuffer: readonly (GpuRange | undefined)[];
  readonly buffers: readonly GPUBuffer[];
  /** Uniforms of the kernels that have some. */
  readonly params: GPUBuffer | null;
};

/** Lays the params of the distinct kernels that have some out in one uniform buffer. */
export function placeParams(
  drafts: readonly Draft[],
  kernels: readonly CompiledKernel[],
  alignment: number,
): { readonly dispatches: Dispatch[]; readonly params: Uint32Array<ArrayBuffer> } {
  const offsets = new Map<CompiledKernel, number>();
  let bytes = 0;
  for (const kernel of kernels) {
    if (kernel.params === null || offsets.has(kernel)) continue;
    offsets.set(kernel, bytes);
    bytes += Math.ceil(kernel.params.byteLength / alignment) * alignment;
  }
  const params = new Uint32Array(bytes / 4);
  for (const [kernel, offset] of offsets) if (kernel.params !== null) params.set(kernel.params, offset / 4);
  const dispatches = drafts.map(({ step, part, whole, starts }, i): Dispatch => {
    const kernel = at(kernels, i);
    return { step, part, wholeFrom: whole && starts, kernel, paramsOffset: offsets.get(kernel) ?? 0 };
  });
  return { dispatches, params };
}

/** One buffer per temporary slot, as big as the largest of its temporaries, and one per constant, with its content. */
export function allocateOwn(
  memory: WebgpuMemory,
  plan: Plan,
  params: Uint32Array<ArrayBuffer>,
  { toWords, wordsOf }: WordFormat,
): OwnMemory {
  const slotBytes: number[] = [];
  const minOffset = memory.context.device.limits.minStorageBufferOffsetAlignment;
  for (const buffer of plan.buffers) {
    const { role, dtype, length } = buffer;
    if (role.kind !== "temporary") continue;
    if (role.offset % minOffset !== 0)
      throw new EvenkeelError("graph", "webgpu: the plan is for an arena; this device wants slots.");
    const bytes = buffer.storage === undefined ? 4 * wordsOf(dtype, length) : storedBytes(buffer);
    slotBytes[role.slot] = Math.max(slotBytes[role.slot] ?? 0, role.offset + bytes);
  }
  const buffers: GPUBuffer[] = [];
  const acquire = (bytes: number, what: string): GPUBuffer => {
    const buffer = memory.acquire(bytes, what);
    buffers.push(buffer);
    return buffer;
  };
  try {
    const slots = Array.from(slotBytes, (bytes: number | undefined, slot) =>
      bytes === undefined ? undefined : acquire(bytes, `temporary slot ${slot}`),
    );
    const byBuffer = plan.buffers.map(({ role, dtype, length }, i) => {
      if (role.kind === "temporary") {
        const slot = slots[role.slot];
        return slot && { buffer: slot, offset: role.offset };
      }
      if (role.kind !== "constant") return undefined;
      const range = { buffer: acquire(4 * wordsOf(dtype, length), `constant ${i}`), offset: 0 };
      memory.write(range, toWords(role.data, dtype));
      return range;
    });
    return { byBuffer, buffers, params: params.length === 0 ? null : memory.createUniform(params) };
  } catch (error) {
    for (const buffer of buffers) memory.release(buffer);
    throw error;
  }
}
