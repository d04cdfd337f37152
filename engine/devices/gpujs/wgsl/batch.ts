/**
 * Kernels over different arrays in one dispatch. Each is written on its own, over the memory that all of them share; those whose texts
 * differ in numbers alone become one text, whose workgroups look up in a table which kernel they are of and what its numbers are. So every
 * point is computed as it would be alone.
 */
import { at } from "../../../graph/shape.ts";
import type { Kernel, Scalar } from "../../../kernel/kernel.ts";
import { normalizeKernel } from "../../../kernel/normalize.ts";
import { childrenOf, rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { type EmitOptions, emitUnchecked, withSharedExpressions } from "./emitKernel.ts";
import { numbered, type Numbered, type Parametrized, parametrized } from "./numbers.ts";
import { movedTo, type PlacedKernel, type PlacedRows } from "./placed.ts";
import { emitRows } from "./rows.ts";
import { type Aliases, entryPoint, foldedGroups, type WgslKernel } from "./wgslKernel.ts";

/** Some of the kernels as one. Its bindings name operands and results of the first of them, and mean the whole array. */
export type WgslBatch = { readonly members: readonly number[]; readonly kernel: WgslKernel };

/** Vectors of four words that a table may have: 64 KiB, what every adapter binds. */
const longestTable = 4096;

/**
 * The kernels in as few as can be, of which some have one member only.
 * @param kernels alike but for numbers, with elements; of each operand and result all have the same array
 */
export function emitBatches(kernels: readonly (PlacedKernel | PlacedRows)[], options: EmitOptions = {}): WgslBatch[] {
  const alike = new Map<string, Member[]>();
  kernels.forEach((placed, index) => {
    const member = memberOf(placed, index, options);
    const known = alike.get(member.text.skeleton);
    if (known === undefined) alike.set(member.text.skeleton, [member]);
    else known.push(member);
  });
  return [...alike.values()].flatMap((members) => batchesOf(members));
}

type Member = {
  readonly index: number;
  readonly own: WgslKernel;
  readonly text: Numbered;
  /** Workgroups. */
  readonly groups: number;
};

function memberOf(placed: PlacedKernel | PlacedRows, index: number, options: EmitOptions): Member {
  const { own, kernels } = "stages" in placed ? emitRows(placed, options) : single(placed, options);
  const [x, y, z] = own.groups;
  return {
    index,
    own,
    // Without the line that names the schedule, which may tell of a number, too.
    text: numbered(own.text.slice(own.text.indexOf("\n") + 1), kernels.some(chainsLiterals)),
    groups: x * y * z,
  };
}

/** A kernel as it would be alone, and what it was written from. */
function single(placed: PlacedKernel, options: EmitOptions): ReturnType<typeof emitRows> {
  const { kernel, aliases, bindings } = inArrays(placed);
  const own = emitUnchecked(kernel, aliases, options);
  return {
    own: {
      ...own,
      bindings: own.bindings.map((bound) =>
        bound.kind === "operand" ? { ...bound, index: at(bindings, bound.index) } : bound,
      ),
    },
    kernels: [kernel],
  };
}

/**
 * Whether it multiplies by two literals, or adds two, one after the other, or adds multiples of one value. A compiler may make one number
 * of such literals, which it can't if they are in a table: the results would differ in the last bit.
 * @param kernel with each expression once
 */
function chainsLiterals(kernel: Kernel): boolean {
  return scalarsOf(...rootsOf(kernel)).some((scalar) => {
    const kind = kindOfLiteral(scalar);
    const parts = childrenOf(scalar);
    if (kind !== null) return parts.some((part) => isNegation(part) || kindOfLiteral(part) === kind);
    const multiplied = parts.map((part) => (kindOfLiteral(part) === "product" ? childrenOf(part) : [part]));
    return (
      scalar.kind === "binary" &&
      multiplied.some(
        (factors, i) =>
          factors.length > 1 &&
          multiplied.some((others, j) => {
            return i !== j && factors.some((factor) => factor.kind !== "literal" && others.includes(factor));
          }),
      )
    );
  });
}

/** Whether an expression multiplies by a literal or adds one. */
function kindOfLiteral(scalar: Scalar): "product" | "sum" | null {
  if (scalar.kind !== "binary" || scalar.dtype !== "f32") return null;
  if (scalar.x.kind !== "literal" && scalar.y.kind !== "literal") return null;
  if (scalar.op === "multiply" || scalar.op === "divide") return "product";
  return scalar.op === "add" || scalar.op === "subtract" ? "sum" : null;
}

const isNegation = (scalar: Scalar): boolean => scalar.kind === "unary" && scalar.op === "negate";

/** The kernel over whole arrays: each operand that is only read becomes the first one in its array. */
function inArrays(placed: PlacedKernel): {
  readonly kernel: Kernel;
  readonly aliases: Aliases;
  /** By operand of the kernel that of the one given. */
  readonly bindings: readonly number[];
} {
  const { kernel, operands, results } = placed;
  const firsts = [...new Set(operands.map(({ array }) => array))];
  const normal = withSharedExpressions(normalizeKernel(kernel));
  const resultIn = (array: number): number => results.findIndex((place) => place.array === array);
  const bindings = firsts.map((array) => operands.findIndex((place) => place.array === array));
  return {
    kernel: {
      ...movedTo(normal, placed, (array) => firsts.indexOf(array)),
      operands: bindings.map((operand) => at(kernel.operands, operand)),
    },
    aliases: {
      operands: firsts.map((array) => (resultIn(array) < 0 ? null : resultIn(array))),
      results: results.map(({ array }) => resultIn(array)),
      beside: firsts.map(() => false),
    },
    bindings,
  };
}

/** One batch, or several if their table would be too long. */
function batchesOf(members: readonly Member[]): WgslBatch[] {
  const { text, columns } = parametrized(
    members.map((member) => member.text),
    prefix,
  );
  const row = Math.ceil((1 + columns.length) / 4);
  const length = 1 + members.length * row;
  if (length > longestTable && members.length > 1) {
    const half = Math.ceil(members.length / 2);
    return [...batchesOf(members.slice(0, half)), ...batchesOf(members.slice(half))];
  }
  const first = at(members, 0);
  const counts = members.map(({ groups }) => groups);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const groups = foldedGroups(total);
  // Sizes in powers of two, so that programs of other arrays share the text.
  const size = 2 ** Math.max(4, Math.ceil(Math.log2(length)));
  const table = new Uint32Array(4 * size);
  table.set([members.length, total, groups[0], 2 ** Math.floor(Math.log2(members.length))]);
  let start = 0;
  members.forEach((_, member) => {
    table.set([start, ...columns.map(({ words }) => at(words, member))], 4 * (1 + member * row));
    start += at(counts, member);
  });
  const declaration = `@group(0) @binding(${first.own.bindings.length}) var<uniform> table: array<vec4u, ${size}>;`;
  const kernel: WgslKernel = {
    ...first.own,
    groups,
    table,
    text: ["// of several kernels", declaration, lookUp(text, columns, row)].join("\n"),
  };
  return [{ members: members.map(({ index }) => index), kernel }];
}

/** Of the names of numbers. */
const prefix = "number";
const inFunctions = (name: string): string => `${name}Seen`;
const wgslTypes = { f: "f32", i: "i32", u: "u32" } as const;

/** The module that finds its numbers in the table: in rows of so many vectors, behind a first one that says how many there are. */
function lookUp(text: string, columns: Parametrized["columns"], row: number): string {
  const start = text.indexOf(entryPoint);
  // Functions see what the module has; statements that have to be the same for all threads must not go by that.
  const seen = new Set<string>();
  const head = text.slice(0, start).replace(new RegExp(`\\b${prefix}\\d+\\b`, "g"), (name) => {
    seen.add(name);
    return inFunctions(name);
  });
  const word = (index: number): string => `table[row + ${Math.floor(index / 4)}u].${"xyzw"[index % 4] ?? "x"}`;
  return [
    ...columns
      .filter(({ name }) => seen.has(name))
      .map(({ name, type }) => `var<private> ${inFunctions(name)}: ${wgslTypes[type]};`),
    `${head}${entryPoint}@builtin(workgroup_id) dispatched: vec3u, @builtin(local_invocation_index) local: u32) {`,
    "  let workgroup = dispatched.x + dispatched.y * table[0].z;",
    "  if (workgroup >= table[0].y) { return; }",
    "  var member = 0u;",
    "  for (var step = table[0].w; step > 0u; step /= 2u) {",
    "    let next = member + step;",
    `    if (next < table[0].x && table[1u + next * ${row}u].x <= workgroup) { member = next; }`,
    "  }",
    `  let row = 1u + member * ${row}u;`,
    "  let group = vec3u(workgroup - table[row].x, 0u, 0u);",
    ...columns.flatMap(({ name, type }, i) => [
      `  let ${name} = ${type === "u" ? word(i + 1) : `bitcast<${wgslTypes[type]}>(${word(i + 1)})`};`,
      ...(seen.has(name) ? [`  ${inFunctions(name)} = ${name};`] : []),
    ]),
    "  {",
    text.slice(text.indexOf("{\n", start) + 2, text.lastIndexOf("}")),
    "  }",
    "}",
  ].join("\n");
}
