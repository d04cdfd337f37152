/** The host's WebAssembly, as far as it is used here: the language library of the compiler doesn't declare it. */

export type WasmMemory = {
  readonly buffer: SharedArrayBuffer;
  /** Adds pages of 64 KiB; throws a RangeError if they can't be had. */
  grow(pages: number): number;
};

/** A compiled module; may be posted to workers. */
export type WasmModule = object;

export type WasmInstance = { readonly exports: Readonly<Record<string, unknown>> };

export type WasmImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

type Host = {
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule, imports: WasmImports) => WasmInstance;
};

export const webAssembly = (globalThis as unknown as { readonly WebAssembly: Host }).WebAssembly;
