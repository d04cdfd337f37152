import type { FunctionBuilder } from "../../../../../engine/devices/wasm/assembler/functionBuilder.ts";
import { i32, op } from "../../../../../engine/devices/wasm/assembler/instructions.ts";
import { ModuleBuilder } from "../../../../../engine/devices/wasm/assembler/moduleBuilder.ts";
import { webAssembly } from "../../../../../engine/devices/wasm/runtime/webAssembly.ts";

/** Arrays of 32-bit lanes, as float32, int32 or uint32. */
type Lanes = Float32Array | Int32Array | Uint32Array;

/**
 * Compiles `emit`, which takes `inputs` vectors from the stack and leaves one, and returns a function that maps it over
 * arrays of equal length. The result is the bits of the lanes.
 */
export function vectorProgram(
  inputs: number,
  emit: (f: FunctionBuilder) => void,
): (...arrays: readonly Lanes[]) => Uint32Array {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 65536, shared: true });
  const map = module.define("map", ["i32", "i32", "i32"], [], (f, pointer, stop, stride) => {
    f.loop((again) => {
      // Array k starts k * stride after the pointer; array 0 is the result.
      const address = f.let("i32", "address", pointer);
      f.get(pointer);
      for (let input = 0; input < inputs; input++) {
        f.set(address, op("i32.add", address, stride));
        f.memory("v128.load", 0, address);
      }
      emit(f);
      f.memory("v128.store", 0);
      f.set(pointer, op("i32.add", pointer, i32(16)));
      f.branchIf(again, op("i32.lt_u", pointer, stop));
    });
  });
  module.export(map);
  const memory = new webAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const instance = new webAssembly.Instance(new webAssembly.Module(module.encode()), { env: { memory } });
  const run = instance.exports["map"];
  if (typeof run !== "function") throw new Error("the module exports no map");
  return (...arrays) => {
    const length = arrays[0]?.length ?? 0;
    const padded = Math.ceil(length / 4) * 4;
    const bytes = (inputs + 1) * padded * 4;
    const missing = Math.ceil((bytes - memory.buffer.byteLength) / 65536);
    if (missing > 0) memory.grow(missing);
    arrays.forEach((array, index) => {
      const words = new Uint32Array(array.buffer, array.byteOffset, length);
      new Uint32Array(memory.buffer, (index + 1) * padded * 4, padded).fill(0).set(words);
    });
    if (length > 0) Reflect.apply(run, undefined, [0, padded * 4, padded * 4]);
    return new Uint32Array(memory.buffer, 0, length).slice();
  };
}

/** The lanes read as float32. */
export function asFloats(words: Uint32Array): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length);
}
