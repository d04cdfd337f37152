import { EvenkeelError } from "../../../errors.ts";
import { nameBytes, unsignedLeb128 } from "./bytes.ts";
import { FunctionBuilder, type FunctionHome, type Locals } from "./functionBuilder.ts";
import { encodeInstruction, type FunctionReference } from "./instructions.ts";
import { specialOpcodes, type ValueType, valueTypeCodes } from "./opcodes.ts";

/** The memory a module imports, in pages of 64 KiB. `shared` needs a maximum. */
export type MemoryImport = {
  readonly module: string;
  readonly name: string;
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
};

export type FunctionImport = { readonly reference: FunctionReference; readonly module: string; readonly name: string };

/**
 * Builds one WebAssembly module: declare, define, `encode`.
 *
 * ```ts
 * const module = new ModuleBuilder();
 * module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 65536, shared: true });
 * const twice = module.define("twice", ["v128"], ["v128"], (f, x) => f.op("f32x4.add", x, x));
 * module.export(twice);
 * new WebAssembly.Module(module.encode());
 * ```
 */
export class ModuleBuilder implements FunctionHome {
  private memoryImport: MemoryImport | null = null;
  private readonly functionImports: FunctionImport[] = [];
  private readonly builders = new Map<string, FunctionBuilder>();
  private readonly exported = new Map<string, FunctionReference>();

  importMemory(memory: MemoryImport): void {
    this.memoryImport = memory;
  }

  importFunction(
    module: string,
    name: string,
    parameters: readonly ValueType[],
    results: readonly ValueType[],
  ): FunctionReference {
    const reference: FunctionReference = { name, parameters, results };
    this.functionImports.push({ reference, module, name });
    return reference;
  }

  /**
   * The function called `name`. The first call defines it by running `build`; later calls return the same function, so
   * that shared functions can be asked for wherever they are used. The body ends with the results on the stack.
   */
  define<const P extends readonly ValueType[]>(
    name: string,
    parameters: P,
    results: readonly ValueType[],
    build: (f: FunctionBuilder, ...parameters: Locals<P>) => void,
  ): FunctionReference {
    const known = this.builders.get(name);
    if (known !== undefined) return known.reference;
    const builder = new FunctionBuilder(this, { name, parameters, results });
    this.builders.set(name, builder);
    // The builder made one local for each parameter type; TypeScript can't follow `map` over a tuple.
    build(builder, ...(builder.parameters as unknown as Locals<P>));
    return builder.reference;
  }

  export(target: FunctionReference, name = target.name): void {
    this.exported.set(name, target);
  }

  /** Every function defined so far, in the order of their numbers. */
  get functions(): readonly FunctionBuilder[] {
    return [...this.builders.values()];
  }

  get memory(): MemoryImport | null {
    return this.memoryImport;
  }

  get imports(): readonly FunctionImport[] {
    return this.functionImports;
  }

  /** Exported functions by name. */
  get exports(): ReadonlyMap<string, FunctionReference> {
    return this.exported;
  }

  /** The binary module. */
  encode(): Uint8Array<ArrayBuffer> {
    const functions = this.functions;
    const types: string[] = [];
    const typeBytes: number[][] = [];
    const typeIndex = ({ parameters, results }: FunctionReference): number => {
      const bytes = [0x60, ...valueTypes(parameters), ...valueTypes(results)];
      const key = bytes.join();
      if (!types.includes(key)) {
        types.push(key);
        typeBytes.push(bytes);
      }
      return types.indexOf(key);
    };
    const indices = new Map<FunctionReference, number>();
    for (const { reference } of this.functionImports) indices.set(reference, indices.size);
    for (const { reference } of functions) indices.set(reference, indices.size);
    const functionIndex = (target: FunctionReference): number => {
      const index = indices.get(target);
      if (index === undefined) {
        throw new EvenkeelError(
          "kernel",
          `wasm module: function ${target.name} is used here but belongs to another module. Define it in this one.`,
        );
      }
      return index;
    };

    const imports = this.functionImports.map(({ reference, module, name }) => [
      ...nameBytes(module),
      ...nameBytes(name),
      0x00,
      ...unsignedLeb128(typeIndex(reference)),
    ]);
    if (this.memoryImport !== null) {
      const { module, name, initial, maximum, shared } = this.memoryImport;
      const limits = [shared ? 0x03 : 0x01, ...unsignedLeb128(initial), ...unsignedLeb128(maximum)];
      imports.push([...nameBytes(module), ...nameBytes(name), 0x02, ...limits]);
    }
    const declarations = functions.map(({ reference }) => unsignedLeb128(typeIndex(reference)));
    const exports = [...this.exported].map(([name, target]) => [
      ...nameBytes(name),
      0x00,
      ...unsignedLeb128(functionIndex(target)),
    ]);
    const bodies = functions.map((f) => {
      const body = functionBody(f, functionIndex);
      return concatenate([unsignedLeb128(body.length), body]);
    });
    return concatenate([
      [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      section(1, typeBytes),
      section(2, imports),
      section(3, declarations),
      section(7, exports),
      section(10, bodies),
    ]);
  }
}

function valueTypes(types: readonly ValueType[]): number[] {
  return [...unsignedLeb128(types.length), ...types.map((type) => valueTypeCodes[type])];
}

function functionBody(f: FunctionBuilder, functionIndex: (target: FunctionReference) => number): Uint8Array {
  const runs: { readonly type: ValueType; count: number }[] = [];
  for (const { type } of f.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const bytes = unsignedLeb128(runs.length);
  for (const { type, count } of runs) bytes.push(...unsignedLeb128(count), valueTypeCodes[type]);
  // An instruction has a few bytes: they are gathered one by one, which is faster than copies of small arrays.
  for (const instruction of f.code) for (const byte of encodeInstruction(instruction, functionIndex)) bytes.push(byte);
  bytes.push(specialOpcodes.end);
  return Uint8Array.from(bytes);
}

/** A section with its items, or nothing if there are none. */
function section(id: number, items: readonly ArrayLike<number>[]): Uint8Array {
  if (items.length === 0) return new Uint8Array();
  const content = concatenate([unsignedLeb128(items.length), ...items]);
  return concatenate([[id], unsignedLeb128(content.length), content]);
}

function concatenate(parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
