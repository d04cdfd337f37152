import { EvenkeelError } from "../../../errors.ts";
import {
  type Code,
  type FunctionReference,
  type Instruction,
  type Local,
  type Operand,
  plain,
  pushOnto,
} from "./instructions.ts";
import type { LaneOpcode, MemoryLaneOpcode, MemoryOpcode, PlainOpcode, ValueType } from "./opcodes.ts";

/** The target of a branch: the end of a block, or the start of a loop. Only valid inside its own body. */
export type Label = { readonly level: number };

export type Locals<P extends readonly ValueType[]> = { readonly [K in keyof P]: Local };

/** Where functions are defined that a function may call: its module. */
export interface FunctionHome {
  define<const P extends readonly ValueType[]>(
    name: string,
    parameters: P,
    results: readonly ValueType[],
    build: (f: FunctionBuilder, ...parameters: Locals<P>) => void,
  ): FunctionReference;
}

/**
 * Writes the body of one function, front to back.
 *
 * Every writing method takes its operands as trailing arguments (locals or code) or, where they are left out, from the
 * stack: `f.op("i32.add", x, i32(4))` and `f.get(x); f.emit(i32(4)); f.op("i32.add")` write the same.
 * Branches name labels, which blocks hand to their callbacks:
 *
 * ```ts
 * f.loop((again) => {
 *   f.memory("v128.store", 0, pointer, op("f32x4.mul", x, y));
 *   f.set(pointer, op("i32.add", pointer, i32(16)));
 *   f.branchIf(again, op("i32.lt_u", pointer, end));
 * });
 * ```
 */
export class FunctionBuilder {
  readonly module: FunctionHome;
  readonly reference: FunctionReference;
  readonly parameters: readonly Local[];
  private readonly declared: Local[] = [];
  private readonly written: Instruction[] = [];
  private readonly open: Label[] = [];

  constructor(module: FunctionHome, reference: FunctionReference) {
    this.module = module;
    this.reference = reference;
    this.parameters = reference.parameters.map((type, index) => ({ kind: "local", type, index, name: `p_${index}` }));
  }

  /** Locals besides the parameters, in order. */
  get locals(): readonly Local[] {
    return this.declared;
  }

  /** What was written so far. */
  get code(): Code {
    return this.written;
  }

  /** Gives up what was written. */
  forget(): void {
    this.declared.length = 0;
    this.written.length = 0;
  }

  /** Declares a local, zero at entry of the function. `name` is for the reader and need not be unique. */
  local(type: ValueType, name = "t"): Local {
    const index = this.parameters.length + this.declared.length;
    const local: Local = { kind: "local", type, index, name: `${name}_${index}` };
    this.declared.push(local);
    return local;
  }

  /** Declares a local that holds `value` (or the top of the stack) from here on. */
  let(type: ValueType, name: string, value?: Operand): Local {
    const local = this.local(type, name);
    this.set(local, value);
    return local;
  }

  emit(...operands: readonly Operand[]): void {
    pushOnto(this.written, operands);
  }

  op(name: PlainOpcode, ...operands: readonly Operand[]): void {
    this.behind(operands, plain(name));
  }

  memory(name: MemoryOpcode, offset: number, ...operands: readonly Operand[]): void {
    this.behind(operands, { kind: "memory", op: name, offset });
  }

  memoryLane(name: MemoryLaneOpcode, offset: number, laneIndex: number, ...operands: readonly Operand[]): void {
    this.behind(operands, { kind: "memoryLane", op: name, offset, lane: laneIndex });
  }

  lane(name: LaneOpcode, laneIndex: number, ...operands: readonly Operand[]): void {
    this.behind(operands, { kind: "lane", op: name, lane: laneIndex });
  }

  call(target: FunctionReference, ...operands: readonly Operand[]): void {
    this.behind(operands, { kind: "call", target });
  }

  get(local: Local): void {
    this.emit(local);
  }

  set(local: Local, value?: Operand): void {
    if (value !== undefined) this.emit(value);
    this.written.push({ kind: "local", op: "local.set", local });
  }

  /** Sets the local and leaves the value on the stack. */
  tee(local: Local, value?: Operand): void {
    if (value !== undefined) this.emit(value);
    this.written.push({ kind: "local", op: "local.tee", local });
  }

  /** A block; a branch to its label leaves it. With `result` it leaves one value of that type. */
  block(body: (exit: Label) => void, result: ValueType | null = null): void {
    this.written.push({ kind: "begin", op: "block", result });
    this.enclose(body);
    this.written.push({ kind: "delimiter", op: "end" });
  }

  /** A loop; a branch to its label starts it again, otherwise it runs once. */
  loop(body: (again: Label) => void, result: ValueType | null = null): void {
    this.written.push({ kind: "begin", op: "loop", result });
    this.enclose(body);
    this.written.push({ kind: "delimiter", op: "end" });
  }

  /** Pops an i32 and runs `then` if it isn't zero, else `otherwise`. With `result` both leave a value of that type. */
  if(then: (exit: Label) => void, otherwise?: (exit: Label) => void, result: ValueType | null = null): void {
    this.written.push({ kind: "begin", op: "if", result });
    this.enclose(then);
    if (otherwise !== undefined) {
      this.written.push({ kind: "delimiter", op: "else" });
      this.enclose(otherwise);
    }
    this.written.push({ kind: "delimiter", op: "end" });
  }

  branch(label: Label): void {
    this.written.push({ kind: "branch", op: "br", depth: this.depthOf(label) });
  }

  branchIf(label: Label, condition?: Operand): void {
    if (condition !== undefined) this.emit(condition);
    this.written.push({ kind: "branch", op: "br_if", depth: this.depthOf(label) });
  }

  /** Pops an i32 i and branches to `labels[i]`, or to `otherwise` beyond them. */
  branchTable(labels: readonly Label[], otherwise: Label, index?: Operand): void {
    if (index !== undefined) this.emit(index);
    const depths = labels.map((label) => this.depthOf(label));
    this.written.push({ kind: "branchTable", depths, otherwise: this.depthOf(otherwise) });
  }

  /** Operands: address, byte value, bytes. */
  memoryFill(...operands: readonly Operand[]): void {
    this.emit(...operands);
    this.written.push({ kind: "memoryFill" });
  }

  private behind(operands: readonly Operand[], instruction: Instruction): void {
    pushOnto(this.written, operands);
    this.written.push(instruction);
  }

  private enclose(body: (label: Label) => void): void {
    const label: Label = { level: this.open.length };
    this.open.push(label);
    body(label);
    this.open.pop();
  }

  private depthOf(label: Label): number {
    if (this.open[label.level] !== label) {
      throw new EvenkeelError(
        "kernel",
        `wasm function ${this.reference.name}: a branch names a label outside of the label's own block. ` +
          "Branch only from within the callback that received the label.",
      );
    }
    return this.open.length - 1 - label.level;
  }
}
