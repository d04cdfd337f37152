/** A kernel as WGSL of our own: what is bound where, and how many workgroups there are. */
import type { DType } from "../../../graph/dtype.ts";
import { at } from "../../../graph/shape.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { functionTexts } from "./functions.ts";
import { fourHalves, halvesFunctions } from "./halves.ts";
import { storedType, type Lanes } from "./types.ts";
import type { WgslWriter } from "./writer.ts";

/**
 * Which operands and results of a kernel share memory. Steps with equal kernels may differ in this. What lies in one array is bound once,
 * with the access that any of it needs.
 */
export type Aliases = {
  /** By operand: the result in whose array it lies too, as what a step overwrites where it has read; null for an array of its own. */
  readonly operands: readonly (number | null)[];
  /** By result: the first one in its array. */
  readonly results: readonly number[];
  /** By operand: whether its array is a part of memory that has a result in another part, which has to be bound with one access. */
  readonly beside: readonly boolean[];
};

/** Aliases of a kernel whose arrays all have memory of their own. */
export const noAliases = ({ operands, stores }: Pick<Kernel, "operands" | "stores">): Aliases => ({
  operands: operands.map(() => null),
  results: stores.map((_, result) => result),
  beside: operands.map(() => false),
});

/** What lies at a binding. Results are written, and what is read of an operand in the same array is read there. */
export type BoundArray = {
  readonly kind: "operand" | "result";
  readonly index: number;
  readonly access: "read" | "read_write";
};

export type WgslKernel = {
  readonly name: string;
  /** How it is run, in a line. */
  readonly schedule: string;
  readonly text: string;
  /** In the order of their binding numbers. */
  readonly bindings: readonly BoundArray[];
  readonly groups: readonly [number, number, number];
  /** Numbers that it reads from a uniform buffer, bound behind the arrays. */
  readonly table?: Uint32Array<ArrayBuffer>;
};

/** Workgroups along one dimension at most: WebGPU's default limit. */
const mostGroups = 65_535;

/** So many workgroups in two dimensions. What is beyond the last is dispatched too and has to be left alone. */
export function foldedGroups(count: number): readonly [number, number, number] {
  if (count <= mostGroups) return [count, 1, 1];
  const rows = Math.ceil(count / mostGroups);
  return [Math.ceil(count / rows), rows, 1];
}

/** Text of a workgroup's number where there are `groups` of them. */
export const groupNumber = ([x, y]: WgslKernel["groups"]): string =>
  y === 1 ? "group.x" : `(group.x + group.y * ${x}u)`;

/** Names of a kernel's arrays as its code reads and writes them. */
export type Arrays = {
  readonly bindings: readonly BoundArray[];
  readonly declarations: readonly string[];
  readonly operandName: (operand: number) => string;
  /** What was read of an operand as its own dtype: in the memory of a result it may stand among words of another. */
  readonly asOperand: (operand: number, text: string, lanes: Lanes) => string;
  readonly resultName: (result: number) => string;
  /** Whether what is bound has 16-bit floats, which are read and written by functions (`halves.ts`). */
  readonly isHalf: (kind: BoundArray["kind"], index: number) => boolean;
};

/** The declaration of an array, and the functions that it is read and written by, if it has some. */
export function declared(
  binding: number,
  access: BoundArray["access"],
  name: string,
  { dtype, isHalf }: { readonly dtype: DType; readonly isHalf: boolean },
  lanes: Lanes,
): string {
  const type = isHalf ? fourHalves : storedType(dtype, lanes);
  const line = `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<${type}>;`;
  return isHalf ? [line, ...halvesFunctions(name, access === "read_write")].join("\n") : line;
}

/** @param lanesOf how many elements each element of an array has: what is read in fours is bound as such. */
export function arraysOf(kernel: Kernel, aliases: Aliases, lanesOf: (bound: BoundArray) => Lanes): Arrays {
  const operand = (index: number): BoundArray => {
    const result = aliases.operands[index] ?? null;
    if (result !== null) return resultArray(result);
    return { kind: "operand", index, access: aliases.beside[index] === true ? "read_write" : "read" };
  };
  const resultArray = (index: number): BoundArray => {
    return { kind: "result", index: aliases.results[index] ?? index, access: "read_write" };
  };
  const bindings: BoundArray[] = [
    ...kernel.operands.map((_, index) => operand(index)).filter(({ kind }) => kind === "operand"),
    ...kernel.stores.map((_, index) => resultArray(index)).filter(({ index }, i) => index === i),
  ];
  const nameOf = ({ kind, index }: BoundArray): string => `${kind === "operand" ? "a" : "r"}${index}`;
  const declarations = bindings.map((bound, binding) => {
    const array = bound.kind === "operand" ? at(kernel.operands, bound.index) : at(kernel.stores, bound.index);
    const type = { dtype: array.dtype, isHalf: array.storage === "float16" };
    return declared(binding, bound.access, nameOf(bound), type, lanesOf(bound));
  });
  return {
    bindings,
    declarations,
    operandName: (index) => nameOf(operand(index)),
    asOperand: (index, text, lanes) => {
      const { kind, index: bound } = operand(index);
      const own = storedType(at(kernel.operands, index).dtype, lanes);
      const isSame = kind === "operand" || storedType(at(kernel.stores, bound).dtype, lanes) === own;
      return isSame ? text : `bitcast<${own}>(${text})`;
    },
    resultName: (index) => nameOf(resultArray(index)),
    isHalf: (kind, index) =>
      (kind === "operand" ? at(kernel.operands, index) : at(kernel.stores, index)).storage === "float16",
  };
}

/** What the entry point of every kernel is declared as, up to its parameters. */
export const entryPoint = "fn main(";

/** The module: arrays, functions, and `main` with its statements. */
export function moduleText(schedule: string, arrays: Arrays, writer: WgslWriter, workgroupSize: number): string {
  return [
    `// schedule: ${schedule}`,
    ...arrays.declarations,
    ...writer.workgroup,
    ...functionTexts(writer.functions),
    ...writer.helpers,
    `@compute @workgroup_size(${workgroupSize})`,
    `${entryPoint}@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {`,
    writer.body,
    "}",
  ].join("\n");
}
