import { EvenkeelError } from "../../../errors.ts";
import { ByteWriter } from "./bytes.ts";
import { FunctionBuilder, type FunctionHome, type Locals } from "./functionBuilder.ts";
import { type FunctionBody, encodeBody, writeBody } from "./functionBody.ts";
import type { FunctionReference } from "./instructions.ts";
import { type ValueType, valueTypeCodes } from "./opcodes.ts";

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
  private readonly bodies = new Map<FunctionBuilder, FunctionBody>();
  private readonly scratch = new ByteWriter();
  private readonly keepsCode: boolean;

  /** @param options.keepsCode false: what was written can't be read again as instructions. Those of a large module take much memory. */
  constructor({ keepsCode = true } = {}) {
    this.keepsCode = keepsCode;
  }

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
    this.bodies.set(builder, encodeBody(this.scratch, builder.locals, builder.code));
    if (!this.keepsCode) builder.forget();
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
    const types = new Map<string, FunctionReference>();
    const typeNumbers = new Map<string, number>();
    const typeIndex = (reference: FunctionReference): number => {
      const key = `${reference.parameters.join()} ${reference.results.join()}`;
      const known = typeNumbers.get(key);
      if (known !== undefined) return known;
      types.set(key, reference);
      typeNumbers.set(key, typeNumbers.size);
      return typeNumbers.size - 1;
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

    const imports = this.functionImports.map(({ reference, module, name }): Item => {
      const type = typeIndex(reference);
      return (into) => {
        into.name(module);
        into.name(name);
        into.byte(0x00);
        into.unsigned(type);
      };
    });
    if (this.memoryImport !== null) imports.push(memoryItem(this.memoryImport));
    const declarations = functions.map(({ reference }): Item => {
      const type = typeIndex(reference);
      return (into) => into.unsigned(type);
    });
    const exports = [...this.exported].map(([name, target]): Item => {
      return (into) => {
        into.name(name);
        into.byte(0x00);
        into.unsigned(functionIndex(target));
      };
    });
    const body = new ByteWriter();
    const bodies = functions.map((f): Item => {
      return (into) => {
        body.clear();
        const encoded = this.bodies.get(f);
        if (encoded === undefined) throw new Error(`wasm module: function ${f.reference.name} is still being written`);
        writeBody(body, encoded, functionIndex);
        into.counted(body);
      };
    });
    const binary = new ByteWriter();
    binary.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    writeSection(binary, 1, [...types.values()].map(typeItem));
    writeSection(binary, 2, imports);
    writeSection(binary, 3, declarations);
    writeSection(binary, 7, exports);
    writeSection(binary, 10, bodies);
    return binary.written();
  }
}

/** Writes one item of a section. */
type Item = (into: ByteWriter) => void;

function typeItem({ parameters, results }: FunctionReference): Item {
  return (into) => {
    into.byte(0x60);
    writeTypes(into, parameters);
    writeTypes(into, results);
  };
}

function memoryItem({ module, name, initial, maximum, shared }: MemoryImport): Item {
  return (into) => {
    into.name(module);
    into.name(name);
    into.byte(0x02);
    into.byte(shared ? 0x03 : 0x01);
    into.unsigned(initial);
    into.unsigned(maximum);
  };
}

function writeTypes(into: ByteWriter, types: readonly ValueType[]): void {
  into.unsigned(types.length);
  for (const type of types) into.byte(valueTypeCodes[type]);
}

/** A section with its items, or nothing if there are none. */
function writeSection(into: ByteWriter, id: number, items: readonly Item[]): void {
  if (items.length === 0) return;
  const content = new ByteWriter();
  content.unsigned(items.length);
  for (const write of items) write(content);
  into.byte(id);
  into.counted(content);
}
