/** The body of a function as bytes, with places left for the numbers of what it calls: these are known once a module is complete. */
import type { ByteWriter } from "./bytes.ts";
import { type Code, type FunctionReference, type Local, writeInstruction } from "./instructions.ts";
import { specialOpcodes, type ValueType, valueTypeCodes } from "./opcodes.ts";

export type FunctionBody = {
  readonly bytes: Uint8Array;
  /** In ascending order of the places before which the number of a function belongs. */
  readonly calls: readonly { readonly at: number; readonly target: FunctionReference }[];
};

/** @param into is cleared first */
export function encodeBody(into: ByteWriter, locals: readonly Local[], code: Code): FunctionBody {
  into.clear();
  const runs: { readonly type: ValueType; count: number }[] = [];
  for (const { type } of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  into.unsigned(runs.length);
  for (const { type, count } of runs) {
    into.unsigned(count);
    into.byte(valueTypeCodes[type]);
  }
  const calls: { readonly at: number; readonly target: FunctionReference }[] = [];
  for (const instruction of code) {
    writeInstruction(into, instruction);
    if (instruction.kind === "call") calls.push({ at: into.length, target: instruction.target });
  }
  into.byte(specialOpcodes.end);
  return { bytes: into.written(), calls };
}

/** Writes it; `functionIndex` numbers the functions of the module. */
export function writeBody(
  into: ByteWriter,
  { bytes, calls }: FunctionBody,
  functionIndex: (target: FunctionReference) => number,
): void {
  let from = 0;
  for (const { at, target } of calls) {
    into.bytes(bytes.subarray(from, at));
    into.unsigned(functionIndex(target));
    from = at;
  }
  into.bytes(bytes.subarray(from));
}
