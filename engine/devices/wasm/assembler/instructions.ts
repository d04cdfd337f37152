/**
 * Instructions as data. A piece of code is a list of them, so expressions compose by value:
 * `op("f32x4.add", x, op("f32x4.mul", y, z))` is the code that leaves x + y * z on the stack.
 * The same list is encoded (here), counted and printed (`text.ts`).
 */
import { float32Bytes, float64Bytes, signedLeb128, unsignedLeb128 } from "./bytes.ts";
import {
  type LaneOpcode,
  laneOpcodes,
  type MemoryLaneOpcode,
  memoryLaneOpcodes,
  type MemoryOpcode,
  memoryOpcodes,
  type PlainOpcode,
  plainOpcodes,
  specialOpcodes,
  type ValueType,
  valueTypeCodes,
} from "./opcodes.ts";

/** A parameter or variable of a function. */
export type Local = { readonly kind: "local"; readonly type: ValueType; readonly index: number; readonly name: string };

/** A function of a module; its number is known once all imports are. */
export type FunctionReference = {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
};

export type Instruction =
  | { readonly kind: "plain"; readonly op: PlainOpcode }
  | { readonly kind: "memory"; readonly op: MemoryOpcode; readonly offset: number }
  | { readonly kind: "memoryLane"; readonly op: MemoryLaneOpcode; readonly offset: number; readonly lane: number }
  | { readonly kind: "lane"; readonly op: LaneOpcode; readonly lane: number }
  | { readonly kind: "local"; readonly op: "local.get" | "local.set" | "local.tee"; readonly local: Local }
  | { readonly kind: "number"; readonly op: "i32.const" | "f32.const" | "f64.const"; readonly value: number }
  | { readonly kind: "long"; readonly value: bigint }
  | { readonly kind: "vector"; readonly lanes: VectorLanes; readonly bytes: readonly number[] }
  | { readonly kind: "shuffle"; readonly bytes: readonly number[] }
  | { readonly kind: "begin"; readonly op: "block" | "loop" | "if"; readonly result: ValueType | null }
  | { readonly kind: "delimiter"; readonly op: "else" | "end" }
  | { readonly kind: "branch"; readonly op: "br" | "br_if"; readonly depth: number }
  | { readonly kind: "branchTable"; readonly depths: readonly number[]; readonly otherwise: number }
  | { readonly kind: "call"; readonly target: FunctionReference }
  | { readonly kind: "memoryFill" };

export type Code = readonly Instruction[];

/** Something that leaves one value on the stack: a local or code. */
export type Operand = Local | Code;

/** How to read a vector constant. */
export type VectorLanes = "i32x4" | "i64x2" | "f32x4" | "f64x2";

function isLocal(operand: Operand): operand is Local {
  return "kind" in operand;
}

/** The code that pushes the operands in order. */
export function push(...operands: readonly Operand[]): Code {
  return pushed(operands);
}

/** The same as code of its own, which may be added to. */
function pushed(operands: readonly Operand[]): Instruction[] {
  const code: Instruction[] = [];
  for (const operand of operands) {
    if (isLocal(operand)) code.push({ kind: "local", op: "local.get", local: operand });
    else for (const instruction of operand) code.push(instruction);
  }
  return code;
}

function behind(operands: readonly Operand[], instruction: Instruction): Code {
  const code = pushed(operands);
  code.push(instruction);
  return code;
}

/** `name` applied to the operands; operands left out are taken from the stack. */
export function op(name: PlainOpcode, ...operands: readonly Operand[]): Code {
  return behind(operands, { kind: "plain", op: name });
}

/** A load, store or atomic at address operand + `offset` bytes. Operands: the address, then values. */
export function memory(name: MemoryOpcode, offset: number, ...operands: readonly Operand[]): Code {
  return behind(operands, { kind: "memory", op: name, offset });
}

/** A load or store of one lane; operands: address, vector. */
export function memoryLane(
  name: MemoryLaneOpcode,
  offset: number,
  laneIndex: number,
  ...operands: readonly Operand[]
): Code {
  return behind(operands, { kind: "memoryLane", op: name, offset, lane: laneIndex });
}

/** extract_lane (operand: vector) or replace_lane (operands: vector, value). */
export function lane(name: LaneOpcode, laneIndex: number, ...operands: readonly Operand[]): Code {
  return behind(operands, { kind: "lane", op: name, lane: laneIndex });
}

/** Calls `target`. */
export function call(target: FunctionReference, ...operands: readonly Operand[]): Code {
  return behind(operands, { kind: "call", target });
}

/** An i32 constant, given as -2^31 .. 2^32 - 1. */
export function i32(value: number): Code {
  return [{ kind: "number", op: "i32.const", value: value | 0 }];
}

/** An i64 constant; -1 is "for ever" in `memory.atomic.wait32`. */
export function i64(value: number | bigint): Code {
  return [{ kind: "long", value: BigInt.asIntN(64, BigInt(value)) }];
}

/** An f32 constant, rounded to nearest. */
export function f32(value: number): Code {
  return [{ kind: "number", op: "f32.const", value: Math.fround(value) }];
}

/** An f64 constant. */
export function f64(value: number): Code {
  return [{ kind: "number", op: "f64.const", value }];
}

/** Four f32 lanes: one value for all, or four. */
export function f32x4(...values: readonly [number] | readonly [number, number, number, number]): Code {
  const [a, b, c, d] = values.length === 1 ? [values[0], values[0], values[0], values[0]] : values;
  return [{ kind: "vector", lanes: "f32x4", bytes: [a, b, c, d].flatMap(float32Bytes) }];
}

/** Four 32-bit integer lanes (-2^31 .. 2^32 - 1): one value for all, or four. */
export function i32x4(...values: readonly [number] | readonly [number, number, number, number]): Code {
  const [a, b, c, d] = values.length === 1 ? [values[0], values[0], values[0], values[0]] : values;
  return [{ kind: "vector", lanes: "i32x4", bytes: [...new Uint8Array(new Int32Array([a, b, c, d]).buffer)] }];
}

/** Two equal 64-bit integer lanes. */
export function i64x2(value: bigint): Code {
  const bytes = [...new Uint8Array(new BigInt64Array([value, value]).buffer)];
  return [{ kind: "vector", lanes: "i64x2", bytes }];
}

/** Two equal f64 lanes. */
export function f64x2(value: number): Code {
  return [{ kind: "vector", lanes: "f64x2", bytes: [...float64Bytes(value), ...float64Bytes(value)] }];
}

/** Picks 32-bit lanes: 0..3 of the first operand, 4..7 of the second. */
export function shuffle32(
  lanes: readonly [number, number, number, number],
  ...operands: readonly [] | readonly [Operand, Operand]
): Code {
  const bytes = lanes.flatMap((index) => [4 * index, 4 * index + 1, 4 * index + 2, 4 * index + 3]);
  return behind(operands, { kind: "shuffle", bytes });
}

function opcodeBytes(opcode: number): number[] {
  return opcode < 0x1_0000 ? [opcode] : [opcode >>> 16, ...unsignedLeb128(opcode & 0xffff)];
}

/** The bytes of one instruction; `functionIndex` numbers the functions of the module. */
export function encodeInstruction(
  instruction: Instruction,
  functionIndex: (target: FunctionReference) => number,
): readonly number[] {
  switch (instruction.kind) {
    case "plain":
      return opcodeBytes(plainOpcodes[instruction.op]);
    case "memory": {
      const [opcode, alignment] = memoryOpcodes[instruction.op];
      return [...opcodeBytes(opcode), alignment, ...unsignedLeb128(instruction.offset)];
    }
    case "memoryLane": {
      const [opcode, alignment] = memoryLaneOpcodes[instruction.op];
      return [...opcodeBytes(opcode), alignment, ...unsignedLeb128(instruction.offset), instruction.lane];
    }
    case "lane":
      return [...opcodeBytes(laneOpcodes[instruction.op]), instruction.lane];
    case "local":
      return [specialOpcodes[instruction.op], ...unsignedLeb128(instruction.local.index)];
    case "number":
      return [specialOpcodes[instruction.op], ...numberBytes(instruction.op, instruction.value)];
    case "long":
      return [specialOpcodes["i64.const"], ...signedLeb128(instruction.value)];
    case "vector":
      return [...opcodeBytes(specialOpcodes["v128.const"]), ...instruction.bytes];
    case "shuffle":
      return [...opcodeBytes(specialOpcodes["i8x16.shuffle"]), ...instruction.bytes];
    case "begin":
      return [specialOpcodes[instruction.op], instruction.result === null ? 0x40 : valueTypeCodes[instruction.result]];
    case "delimiter":
      return [specialOpcodes[instruction.op]];
    case "branch":
      return [specialOpcodes[instruction.op], ...unsignedLeb128(instruction.depth)];
    case "branchTable":
      return [
        specialOpcodes.br_table,
        ...unsignedLeb128(instruction.depths.length),
        ...instruction.depths.flatMap(unsignedLeb128),
        ...unsignedLeb128(instruction.otherwise),
      ];
    case "call":
      return [specialOpcodes.call, ...unsignedLeb128(functionIndex(instruction.target))];
    case "memoryFill":
      return [...opcodeBytes(specialOpcodes["memory.fill"]), 0];
  }
}

function numberBytes(name: "i32.const" | "f32.const" | "f64.const", value: number): number[] {
  switch (name) {
    case "i32.const":
      return signedLeb128(value);
    case "f32.const":
      return float32Bytes(value);
    case "f64.const":
      return float64Bytes(value);
  }
}
