/** A helper function of a kernel, in the form gpu.js takes it. */
export type HelperFunction = {
  readonly name: string;
  readonly source: string;
  readonly argumentTypes: readonly string[];
  readonly returnType: string;
};

/** A kernel as JavaScript that gpu.js compiles: one thread per result word. */
export type KernelSource = {
  readonly name: string;
  /** Text of `function name(a0, a1, ...) { ... return word; }`; integer literals baked in. */
  readonly source: string;
  /** Helper functions for `settings.functions`: text, argument types, return type. */
  readonly functions: readonly HelperFunction[];
  /** Words (f32) of each array argument, flat. */
  readonly operandWords: readonly number[];
  /** Words (f32) of the result, flat. */
  readonly resultWords: number;
  /** gpu.js output dimensions [x] or [x, y] or [x, y, z] whose row-major flattening (x fastest) is the result. */
  readonly output: readonly number[];
};

/** The JavaScript of a kernel and the functions it calls. */
export function javascriptOf(source: KernelSource): string {
  return [...source.functions.map((helper) => helper.source), source.source].join("\n\n");
}

/** What lies at a binding of a compiled kernel. */
export type Binding =
  | { readonly kind: "params" }
  | { readonly kind: "operand" | "result"; readonly index: number; readonly access: "read" | "read_write" };

/** A kernel as the engine dispatches it. */
export type CompiledKernel = {
  /** The JavaScript that gpu.js translated; null for WGSL of our own. */
  readonly javascript: string | null;
  readonly wgsl: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** In the order of their numbers. */
  readonly bindings: readonly Binding[];
  /** Content of the uniform buffer, if the kernel has one. */
  readonly params: Uint32Array<ArrayBuffer> | null;
  readonly groups: readonly [number, number, number];
};
