/** The device `cpu`: gpu.js in plain JavaScript. Kernels compute in f64 and round when they store. */
import { EvenkeelError } from "../../errors.ts";
import type { KernelDevice } from "../device.ts";
import { javascriptOf } from "./kernelSource.ts";
import type { KernelSource } from "./kernelSource.ts";
import type { PublicBackend, PublicCompiled } from "./publicBackend.ts";
import { PublicCallDevice } from "./publicCallDevice.ts";
import { buildKernel, createGpu, flattenInto } from "./publicCalls.ts";

/** @throws EvenkeelError `device` in a page that makes no functions of text, which kernels are. */
export async function createCpuDevice(): Promise<KernelDevice> {
  try {
    Reflect.construct(Function, ["return 0;"]);
  } catch (cause) {
    throw new EvenkeelError(
      "device",
      "cpu: kernels are functions made of text, which this page's content security policy forbids. Allow 'unsafe-eval', or use " +
        "device wasm.",
      { cause },
    );
  }
  return new PublicCallDevice(new CpuBackend());
}

class CpuBackend implements PublicBackend<Float32Array> {
  readonly mode = "cpu";
  readonly description = "JavaScript on one thread, through gpu.js";
  readonly traits = { adapter: null, threads: 1, fusedMultiplyAdd: false };
  readonly limits = {
    operands: 16,
    // Integers take two words, and a thread's number must be exact in f32 where axes share an output dimension.
    results: 1,
    arrays: Infinity,
    joins: "rows",
    elements: 2 ** 23,
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
    scalars: 64,
    memory: Infinity,
  } as const;

  readonly lost = false;

  store(words: Float32Array, previous: Float32Array | null): Float32Array {
    if (previous === null) return words.slice();
    previous.set(words);
    return previous;
  }

  load(memory: Float32Array, count: number): Float32Array {
    return memory.slice(0, count);
  }

  free(): void {}

  compile(source: KernelSource): PublicCompiled<Float32Array> {
    // gpu.js keeps every kernel of a GPU for ever; one GPU a kernel lets the garbage collector have them.
    const samples = source.operandWords.map(() => new Float32Array(1));
    const kernel = buildKernel(
      createGpu("cpu"),
      "cpu",
      source,
      // With `pipeline` gpu.js fills the same rows at every call instead of making new ones.
      { argumentTypes: source.operandWords.map(() => "Array"), pipeline: true },
      samples,
    );
    return {
      bytes: 4 * source.resultWords,
      run: (operands, previous) => {
        const result = previous ?? new Float32Array(source.resultWords);
        flattenInto(kernel(...operands), result);
        return result;
      },
      texts: () => [{ language: "javascript", text: javascriptOf(source) }],
      dispose: () => undefined,
    };
  }

  finish(): void {}

  dispose(): void {}
}
