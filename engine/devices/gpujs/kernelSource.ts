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

/** A kernel as the engine dispatches it. */
export type CompiledKernel = {
  readonly source: KernelSource;
  readonly wgsl: string;
  readonly pipeline: GPUComputePipeline;
  /** Bindings: 0 params, 1.. operands, then the result. */
  readonly layout: GPUBindGroupLayout;
  /** Content of the uniform buffer at binding 0. */
  readonly params: Uint32Array<ArrayBuffer>;
  readonly groups: readonly [number, number, number];
};
