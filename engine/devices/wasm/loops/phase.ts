import type { FunctionReference, Local, ModuleBuilder } from "../assembler/index.ts";

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

/**
 * Of the function of a phase: the address of a table with the addresses of the operands and the result (and, of kernels with
 * scratch memory, of the result again and of that memory), the range of what is shared, the number of the thread.
 */
export const kernelParameters = ["i32", "i32", "i32", "i32"] as const;

/** These parameters inside the function. */
export type Share = { readonly table: Local; readonly low: Local; readonly high: Local; readonly thread: Local };

/** Memory in bytes that a kernel needs while it runs: for all threads, and for each. */
export type Scratch = { readonly shared: number; readonly perThread: number };
