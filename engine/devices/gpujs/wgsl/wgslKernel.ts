/** A kernel as WGSL of our own: what is bound where, and how many workgroups there are. */
import { at } from "../../../graph/shape.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { functionTexts } from "./functions.ts";
import { storedType, type Lanes } from "./types.ts";
import type { WgslWriter } from "./writer.ts";

/**
 * By operand: the result whose memory it has too, which a step may overwrite where it has read; null for memory of its own. Steps with
 * equal kernels may differ in this.
 */
export type Aliases = readonly (number | null)[];

/** What lies at a binding. Results are written, and what is read of an operand in the same memory is read there. */
export type BoundArray = { readonly kind: "operand" | "result"; readonly index: number };

export type WgslKernel = {
  readonly name: string;
  /** How it is run, in a line. */
  readonly schedule: string;
  readonly text: string;
  /** In the order of their binding numbers. */
  readonly bindings: readonly BoundArray[];
  readonly groups: readonly [number, number, number];
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
};

/** @param lanesOf how many elements each element of an array has: what is read in fours is bound as such. */
export function arraysOf(kernel: Kernel, aliases: Aliases, lanesOf: (bound: BoundArray) => Lanes): Arrays {
  const bindings: BoundArray[] = [
    ...kernel.operands.flatMap((_, index) =>
      (aliases[index] ?? null) === null ? [{ kind: "operand", index } as const] : [],
    ),
    ...kernel.stores.map((_, index) => ({ kind: "result", index }) as const),
  ];
  const nameOf = ({ kind, index }: BoundArray): string => `${kind === "operand" ? "a" : "r"}${index}`;
  const declarations = bindings.map((bound, binding) => {
    const { dtype } = bound.kind === "operand" ? at(kernel.operands, bound.index) : at(kernel.stores, bound.index);
    const access = bound.kind === "operand" ? "read" : "read_write";
    return `@group(0) @binding(${binding}) var<storage, ${access}> ${nameOf(bound)}: array<${storedType(dtype, lanesOf(bound))}>;`;
  });
  return {
    bindings,
    declarations,
    operandName: (operand) => {
      const result = aliases[operand] ?? null;
      return nameOf(result === null ? { kind: "operand", index: operand } : { kind: "result", index: result });
    },
    asOperand: (operand, text, lanes) => {
      const result = aliases[operand] ?? null;
      const own = storedType(at(kernel.operands, operand).dtype, lanes);
      const isSame = result === null || storedType(at(kernel.stores, result).dtype, lanes) === own;
      return isSame ? text : `bitcast<${own}>(${text})`;
    },
    resultName: (index) => nameOf({ kind: "result", index }),
  };
}

/** The module: arrays, functions, and `main` with its statements. */
export function moduleText(schedule: string, arrays: Arrays, writer: WgslWriter, workgroupSize: number): string {
  return [
    `// schedule: ${schedule}`,
    ...arrays.declarations,
    ...writer.workgroup,
    ...functionTexts(writer.functions),
    ...writer.helpers,
    `@compute @workgroup_size(${workgroupSize})`,
    "fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {",
    writer.body,
    "}",
  ].join("\n");
}
