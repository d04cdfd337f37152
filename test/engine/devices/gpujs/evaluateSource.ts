/** Runs a generated kernel as the JavaScript it is, without gpu.js. */
import { runInThisContext } from "node:vm";
import type { KernelSource } from "../../../../engine/devices/gpujs/kernelSource.ts";

export type Thread = { readonly x: number; readonly y: number; readonly z: number };

/** The kernel as a function of a thread and its operands' words. Reads beyond an operand's words throw. */
export function threadFunction(source: KernelSource): (thread: Thread, operands: readonly Float32Array[]) => number {
  const statements = [...source.functions.map((helper) => helper.source), `return ${source.source}`].join("\n");
  const kernel = runInThisContext(`(() => {\n${statements}\n})()`) as (
    this: { readonly thread: Thread },
    ...operands: readonly Float32Array[]
  ) => number;
  return (thread, operands) => kernel.apply({ thread }, operands.map(guarded));
}

function guarded(words: Float32Array): Float32Array {
  return new Proxy(words, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof key === "string" && /^[\d.-]/.test(key) && value === undefined) {
        throw new RangeError(`word ${key} of ${target.length}`);
      }
      return value;
    },
  });
}

/** The words of the result, rounded to f32 as a store does. */
export function evaluateSource(source: KernelSource, operands: readonly Float32Array[]): Float32Array {
  const [width = 1, height = 1, depth = 1] = source.output;
  const run = threadFunction(source);
  const words: number[] = [];
  for (let z = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) words.push(run({ x, y, z }, operands));
  }
  return Float32Array.from(words);
}
