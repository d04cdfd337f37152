/** The WebAssembly text format of what the assembler holds: readable, and valid input of other tools. */
import type { FunctionBuilder } from "./functionBuilder.ts";
import type { ModuleBuilder } from "./moduleBuilder.ts";
import type { FunctionReference, Instruction, VectorLanes } from "./instructions.ts";
import { memoryLaneOpcodes, memoryOpcodes, type ValueType } from "./opcodes.ts";

/** One function, an instruction a line, blocks indented. */
export function functionText(f: FunctionBuilder): string {
  const parameters = f.parameters.map(({ name, type }) => ` (param $${name} ${type})`).join("");
  const lines = [`(func $${f.reference.name}${parameters}${list("result", f.reference.results)}`];
  lines.push(...f.locals.map(({ name, type }) => `  (local $${name} ${type})`));
  let depth = 1;
  for (const instruction of f.code) {
    if (instruction.kind === "delimiter") depth--;
    lines.push("  ".repeat(depth) + instructionText(instruction));
    if (instruction.kind === "begin" || (instruction.kind === "delimiter" && instruction.op === "else")) depth++;
  }
  return `${lines.join("\n")})`;
}

/** The text of functions of a module and of what they call, each once. */
export function textWithCalled(module: ModuleBuilder, functions: readonly FunctionReference[]): string {
  const builders = new Map(module.functions.map((f) => [f.reference, f]));
  // Grows while it is walked.
  const wanted = new Set(functions);
  for (const reference of wanted) {
    for (const instruction of builders.get(reference)?.code ?? []) {
      if (instruction.kind === "call") wanted.add(instruction.target);
    }
  }
  return [...wanted]
    .flatMap((reference) => builders.get(reference) ?? [])
    .map(functionText)
    .join("\n");
}

/** A whole module. */
export function moduleText(module: ModuleBuilder): string {
  const fields: string[] = [];
  for (const { reference, module: from, name } of module.imports) {
    const type = list("param", reference.parameters) + list("result", reference.results);
    fields.push(`(import "${from}" "${name}" (func $${reference.name}${type}))`);
  }
  if (module.memory !== null) {
    const { module: from, name, initial, maximum, shared } = module.memory;
    fields.push(`(import "${from}" "${name}" (memory ${initial} ${maximum}${shared ? " shared" : ""}))`);
  }
  fields.push(...module.functions.map(functionText));
  for (const [name, target] of module.exports) fields.push(`(export "${name}" (func $${target.name}))`);
  return `(module\n${fields.join("\n").replace(/^/gm, "  ")})\n`;
}

function list(keyword: "param" | "result", types: readonly ValueType[]): string {
  return types.length === 0 ? "" : ` (${keyword} ${types.join(" ")})`;
}

/** One instruction in the text format. */
export function instructionText(instruction: Instruction): string {
  switch (instruction.kind) {
    case "plain":
    case "delimiter":
      return instruction.op;
    case "memory":
      return instruction.op + addressText(instruction.offset, memoryOpcodes[instruction.op][1]);
    case "memoryLane": {
      const address = addressText(instruction.offset, memoryLaneOpcodes[instruction.op][1]);
      return `${instruction.op}${address} ${instruction.lane}`;
    }
    case "lane":
      return `${instruction.op} ${instruction.lane}`;
    case "local":
      return `${instruction.op} $${instruction.local.name}`;
    case "number":
      return `${instruction.op} ${instruction.op === "i32.const" ? instruction.value : floatText(instruction.value)}`;
    case "long":
      return `i64.const ${instruction.value}`;
    case "vector":
      return `v128.const ${instruction.lanes} ${vectorText(instruction.lanes, instruction.bytes)}`;
    case "shuffle":
      return `i8x16.shuffle ${instruction.bytes.join(" ")}`;
    case "begin":
      return instruction.result === null ? instruction.op : `${instruction.op} (result ${instruction.result})`;
    case "branch":
      return `${instruction.op} ${instruction.depth}`;
    case "branchTable":
      return `br_table ${[...instruction.depths, instruction.otherwise].join(" ")}`;
    case "call":
      return `call $${instruction.target.name}`;
    case "memoryFill":
      return "memory.fill";
  }
}

function addressText(offset: number, alignment: number): string {
  return `${offset === 0 ? "" : ` offset=${offset}`} align=${2 ** alignment}`;
}

function vectorText(lanes: VectorLanes, bytes: readonly number[]): string {
  const { buffer } = Uint8Array.from(bytes);
  switch (lanes) {
    case "f32x4":
      return [...new Float32Array(buffer)].map(floatText).join(" ");
    case "f64x2":
      return [...new Float64Array(buffer)].map(floatText).join(" ");
    case "i32x4":
      return [...new Int32Array(buffer)].map((value) => integerText(value, value >>> 0)).join(" ");
    case "i64x2":
      return [...new BigInt64Array(buffer)].map((value) => integerText(value, BigInt.asUintN(64, value))).join(" ");
  }
}

/** Small numbers in decimal, bit patterns in hexadecimal. */
function integerText(signed: number | bigint, unsigned: number | bigint): string {
  return -4096 < signed && signed < 4096 ? `${signed}` : `0x${unsigned.toString(16)}`;
}

/** The shortest decimal that gives the same float64, and so the same float32 where it is one. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0" : `${value}`;
}
