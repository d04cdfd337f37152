import type { Kernel } from "../../../kernel/kernel.ts";
import {
  type FunctionBuilder,
  type FunctionReference,
  type Local,
  memory,
  type ModuleBuilder,
} from "../assembler/index.ts";

export type EmitOptions = {
  /** Multiply-add in one rounding (relaxed SIMD) in sums of products. */
  readonly relaxed: boolean;
};

/** A part of a kernel that threads share; they meet before the next. */
export type Phase = {
  /** What is shared: numbers 0 to `size`, of which `block` neighbours stay together. */
  readonly size: number;
  readonly block: number;
  /** Estimated time in rough instructions. */
  readonly cost: number;
  /** Adds its function, `kernelParameters`, to a module. */
  readonly emit: (module: ModuleBuilder, name: string, options: EmitOptions) => FunctionReference;
};

/** Of the function of a phase: where the table of addresses is, the range of what is shared, the number of the thread. */
export const kernelParameters = ["i32", "i32", "i32", "i32"] as const;

/** These parameters inside the function. */
export type Share = { readonly table: Local; readonly low: Local; readonly high: Local; readonly thread: Local };

/** Memory in bytes that a kernel needs while it runs: for all threads, and for each. */
export type Scratch = { readonly shared: number; readonly perThread: number };

/**
 * What a step's table of addresses holds, in its order: operands, results and, of kernels with scratch memory, the results again (what
 * finishes sums reads and writes them) and that memory.
 */
export const tableOf = <T>(operands: readonly T[], results: readonly T[], scratch: readonly T[]): readonly T[] => [
  ...operands,
  ...results,
  ...(scratch.length > 0 ? [...results, ...scratch] : []),
];

/** The address of operand number `index`, or of the result with that number behind the operands. */
export const addressOf = (f: FunctionBuilder, table: Local, index: number, name = "base"): Local =>
  f.let("i32", name, memory("i32.load", 4 * index, table));

/** The address of the first result. */
export const resultAddress = (f: FunctionBuilder, kernel: Kernel, table: Local): Local =>
  addressOf(f, table, kernel.operands.length, "result");

export const scratchAddress = (f: FunctionBuilder, { operands, stores }: Kernel, table: Local): Local =>
  addressOf(f, table, operands.length + 2 * stores.length, "scratch");
