/**
 * Instructions as data. A piece of code is a list of them, so expressions compose by value:
 * `op("f32x4.add", x, op("f32x4.mul", y, z))` is the code that leaves x + y * z on the stack.
 * The same list is encoded (here), counted and printed (`text.ts`).
 */
import { type ByteWriter, vectorBytes } from "./bytes.ts";
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

/** The code that pushes the operands in order. */
export function push(...operands: readonly Operand[]): Code {
  const code: Instruction[] = [];
  pushOnto(code, operands);
  return code;
}

/** Writes it behind other code. */
export function pushOnto(code: Instruction[], operands: readonly Operand[]): void {
  for (const operand of operands) {
    if ("kind" in operand) code.push({ kind: "local", op: "local.get", local: operand });
    else for (const instruction of operand) code.push(instruction);
  }
}

function behind(operands: readonly Operand[], instruction: Instruction): Code {
  const code: Instruction[] = [];
  pushOnto(code, operands);
  code.push(instruction);
  return code;
}

const plainInstructions = new Map<PlainOpcode, Instruction>();

/** One object for each operation without immediates: they are half of all code. */
export function plain(name: PlainOpcode): Instruction {
  let instruction = plainInstructions.get(name);
  if (instruction === undefined) plainInstructions.set(name, (instruction = { kind: "plain", op: name }));
  return instruction;
}

/** `name` applied to the operands; operands left out are taken from the stack. */
export function op(name: PlainOpcode, ...operands: readonly Operand[]): Code {
  return behind(operands, plain(name));
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
  const lane = (index: number): number => values[values.length === 1 ? 0 : index] ?? 0;
  const bytes = vectorBytes(4, (view, at, index) => view.setFloat32(at, lane(index), true));
  return [{ kind: "vector", lanes: "f32x4", bytes }];
}

/** Four 32-bit integer lanes (-2^31 .. 2^32 - 1): one value for all, or four. */
export function i32x4(...values: readonly [number] | readonly [number, number, number, number]): Code {
  const lane = (index: number): number => values[values.length === 1 ? 0 : index] ?? 0;
  const bytes = vectorBytes(4, (view, at, index) => view.setInt32(at, lane(index), true));
  return [{ kind: "vector", lanes: "i32x4", bytes }];
}

/** Two equal 64-bit integer lanes. */
export function i64x2(value: bigint): Code {
  const bytes = vectorBytes(2, (view, at) => view.setBigInt64(at, value, true));
  return [{ kind: "vector", lanes: "i64x2", bytes }];
}

/** Two equal f64 lanes. */
export function f64x2(value: number): Code {
  const bytes = vectorBytes(2, (view, at) => view.setFloat64(at, value, true));
  return [{ kind: "vector", lanes: "f64x2", bytes }];
}

/** Picks 32-bit lanes: 0..3 of the first operand, 4..7 of the second. */
export function shuffle32(
  lanes: readonly [number, number, number, number],
  ...operands: readonly [] | readonly [Operand, Operand]
): Code {
  const bytes = lanes.flatMap((index) => [4 * index, 4 * index + 1, 4 * index + 2, 4 * index + 3]);
  return behind(operands, { kind: "shuffle", bytes });
}

function writeOpcode(into: ByteWriter, opcode: number): void {
  if (opcode < 0x1_0000) {
    into.byte(opcode);
    return;
  }
  into.byte(opcode >>> 16);
  into.unsigned(opcode & 0xffff);
}

/** Writes the bytes of one instruction; of a call without the number of the function. */
export function writeInstruction(into: ByteWriter, instruction: Instruction): void {
  switch (instruction.kind) {
    case "plain":
      writeOpcode(into, plainOpcodes[instruction.op]);
      return;
    case "memory":
    case "memoryLane": {
      const [opcode, alignment] =
        instruction.kind === "memory" ? memoryOpcodes[instruction.op] : memoryLaneOpcodes[instruction.op];
      writeOpcode(into, opcode);
      into.byte(alignment);
      into.unsigned(instruction.offset);
      if (instruction.kind === "memoryLane") into.byte(instruction.lane);
      return;
    }
    case "lane":
      writeOpcode(into, laneOpcodes[instruction.op]);
      into.byte(instruction.lane);
      return;
    case "local":
      into.byte(specialOpcodes[instruction.op]);
      into.unsigned(instruction.local.index);
      return;
    case "number":
      into.byte(specialOpcodes[instruction.op]);
      writeNumber(into, instruction.op, instruction.value);
      return;
    case "long":
      into.byte(specialOpcodes["i64.const"]);
      into.signed(instruction.value);
      return;
    case "vector":
    case "shuffle":
      writeOpcode(into, specialOpcodes[instruction.kind === "vector" ? "v128.const" : "i8x16.shuffle"]);
      into.bytes(instruction.bytes);
      return;
    case "begin":
      into.byte(specialOpcodes[instruction.op]);
      into.byte(instruction.result === null ? 0x40 : valueTypeCodes[instruction.result]);
      return;
    case "delimiter":
      into.byte(specialOpcodes[instruction.op]);
      return;
    case "branch":
      into.byte(specialOpcodes[instruction.op]);
      into.unsigned(instruction.depth);
      return;
    case "branchTable":
      into.byte(specialOpcodes.br_table);
      into.unsigned(instruction.depths.length);
      for (const depth of instruction.depths) into.unsigned(depth);
      into.unsigned(instruction.otherwise);
      return;
    case "call":
      into.byte(specialOpcodes.call);
      return;
    case "memoryFill":
      writeOpcode(into, specialOpcodes["memory.fill"]);
      into.byte(0);
      return;
  }
}

function writeNumber(into: ByteWriter, name: "i32.const" | "f32.const" | "f64.const", value: number): void {
  if (name === "i32.const") into.signed(value);
  else if (name === "f32.const") into.float32(value);
  else into.float64(value);
}
