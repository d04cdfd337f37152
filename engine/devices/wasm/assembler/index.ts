/**
 * Writes WebAssembly modules: instructions, functions, modules, and their text form. Knows nothing of kernels; imports nothing of the
 * device.
 */
export { FunctionBuilder, type FunctionHome, type Label } from "./functionBuilder.ts";
export {
  call,
  type Code,
  f32,
  f32x4,
  f64,
  f64x2,
  type FunctionReference,
  i32,
  i32x4,
  i64,
  i64x2,
  type Instruction,
  lane,
  type Local,
  memory,
  memoryLane,
  op,
  type Operand,
  push,
  shuffle32,
} from "./instructions.ts";
export type { PlainOpcode, ValueType } from "./opcodes.ts";
export { ModuleBuilder, type FunctionImport, type MemoryImport } from "./moduleBuilder.ts";
export { textWithCalled } from "./text.ts";
