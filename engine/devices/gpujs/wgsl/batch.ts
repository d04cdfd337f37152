/**
 * Kernels over different arrays in one dispatch. Each is written on its own, over the memory that all of them share; those whose texts
 * differ in numbers alone become one text, whose workgroups look up in a table which kernel they are of and what its numbers are. So every
 * point is computed as it would be alone.
 */
import { at } from "../../../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "../../../kernel/kernel.ts";
import { normalizeKernel } from "../../../kernel/normalize.ts";
import { childrenOf, mapAffine, mapChildren, rewriter, rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { type EmitOptions, emitUnchecked } from "./emitKernel.ts";
import { numbered, type Numbered, parametrized } from "./numbers.ts";
import { type Aliases, entryPoint, foldedGroups, type WgslKernel } from "./wgslKernel.ts";

/** Where an operand or a result lies: in which array, from which element on. */
export type Place = { readonly array: number; readonly offset: number };

/** A kernel over parts of arrays. */
export type PlacedKernel = {
  readonly kernel: Kernel;
  readonly operands: readonly Place[];
  readonly results: readonly Place[];
};

/** Some of the kernels as one. Its bindings name operands and results of the first of them, and mean the whole array. */
export type WgslBatch = { readonly members: readonly number[]; readonly kernel: WgslKernel };

/** Vectors of four words that a table may have: 64 KiB, what every adapter binds. */
const longestTable = 4096;

/**
 * The kernels in as few as can be. What is alone in its kind is left out.
 * @param kernels alike but for numbers, with elements; of each operand and result all have the same array
 */
export function emitBatches(kernels: readonly PlacedKernel[], options: EmitOptions = {}): WgslBatch[] {
  const alike = new Map<string, Member[]>();
  kernels.forEach((placed, index) => {
    const member = memberOf(placed, index, options);
    const key = `${member.head}\n${member.body.skeleton}`;
    const known = alike.get(key);
    if (known === undefined) alike.set(key, [member]);
    else known.push(member);
  });
  return [...alike.values()].flatMap((members) => batchesOf(members)).filter(({ members }) => members.length > 1);
}

type Member = {
  readonly index: number;
  readonly own: WgslKernel;
  /** Everything before the statements. */
  readonly head: string;
  readonly body: Numbered;
  /** Workgroups. */
  readonly groups: number;
};

function memberOf(placed: PlacedKernel, index: number, options: EmitOptions): Member {
  const { kernel, aliases, bindings } = inArrays(placed);
  const own = emitUnchecked(kernel, aliases, options);
  const start = own.text.indexOf(entryPoint);
  const open = own.text.indexOf("{\n", start) + 2;
  const [x, y, z] = own.groups;
  return {
    index,
    own: {
      ...own,
      bindings: own.bindings.map((bound) =>
        bound.kind === "operand" ? { ...bound, index: at(bindings, bound.index) } : bound,
      ),
    },
    // Without the line that names the schedule, which may tell of a number, too.
    head: own.text.slice(own.text.indexOf("\n") + 1, start),
    body: numbered(own.text.slice(open, own.text.lastIndexOf("}")), chainsLiterals(kernel)),
    groups: x * y * z,
  };
}

/**
 * Whether it multiplies or adds two literals one after the other. A compiler may make one number of them, which it can't if they are in a
 * table: the results would differ in the last bit.
 */
function chainsLiterals(kernel: Kernel): boolean {
  const isArithmetic = ({ kind, dtype }: Scalar): boolean => dtype === "f32" && (kind === "binary" || kind === "unary");
  const hasLiteral = (scalar: Scalar): boolean => childrenOf(scalar).some(({ kind }) => kind === "literal");
  return scalarsOf(...rootsOf(kernel)).some(
    (scalar) =>
      isArithmetic(scalar) &&
      hasLiteral(scalar) &&
      childrenOf(scalar).some(
        (part) => isArithmetic(part) && (hasLiteral(part) || (part.kind === "unary" && part.op === "negate")),
      ),
  );
}

/** The kernel over whole arrays: each operand that is only read becomes the first one in its array. */
function inArrays({ kernel, operands, results }: PlacedKernel): {
  readonly kernel: Kernel;
  readonly aliases: Aliases;
  /** By operand of the kernel that of the one given. */
  readonly bindings: readonly number[];
} {
  const firsts = [...new Set(operands.map(({ array }) => array))];
  const moved = ({ offset, coefficients }: Affine, by: number): Affine => ({ offset: offset + by, coefficients });
  const normal = normalizeKernel(kernel);
  const rewrite = rewriter((scalar, again) => {
    if (scalar.kind !== "load" && scalar.kind !== "gather") return undefined;
    const { array, offset } = at(operands, scalar.operand);
    const there: Scalar = {
      ...mapAffine(scalar, (address) => moved(address, offset)),
      operand: firsts.indexOf(array),
    } as typeof scalar;
    return mapChildren(there, again);
  });
  const [store, ...stores] = normal.stores.map((each, result) => ({
    ...each,
    value: rewrite(each.value),
    at: moved(each.at, at(results, result).offset),
  }));
  if (store === undefined) throw new RangeError(`kernel ${kernel.name} has no result`);
  const resultIn = (array: number): number => results.findIndex((place) => place.array === array);
  const bindings = firsts.map((array) => operands.findIndex((place) => place.array === array));
  return {
    kernel: {
      ...normal,
      operands: bindings.map((operand) => at(kernel.operands, operand)),
      reduction: normal.reduction && { ...normal.reduction, body: rewrite(normal.reduction.body) },
      stores: [store, ...stores],
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
    members.map(({ body }) => body),
    "number",
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
  const word = (index: number): string => `table[row + ${Math.floor(index / 4)}u].${"xyzw"[index % 4] ?? "x"}`;
  const types = { f: "f32", i: "i32", u: "u32" } as const;
  const main = [
    `${entryPoint}@builtin(workgroup_id) dispatched: vec3u, @builtin(local_invocation_index) local: u32) {`,
    "  let workgroup = dispatched.x + dispatched.y * table[0].z;",
    "  if (workgroup >= table[0].y) { return; }",
    "  var member = 0u;",
    "  for (var step = table[0].w; step > 0u; step /= 2u) {",
    "    let next = member + step;",
    `    if (next < table[0].x && table[1u + next * ${row}u].x <= workgroup) { member = next; }`,
    "  }",
    `  let row = 1u + member * ${row}u;`,
    "  let group = vec3u(workgroup - table[row].x, 0u, 0u);",
    ...columns.map(({ name, type }, i) => {
      return `  let ${name} = ${type === "u" ? word(i + 1) : `bitcast<${types[type]}>(${word(i + 1)})`};`;
    }),
    "  {",
    text,
    "  }",
    "}",
  ].join("\n");
  const declaration = `@group(0) @binding(${first.own.bindings.length}) var<uniform> table: array<vec4u, ${size}>;\n`;
  // What comes before the entry point ends with its attributes.
  const kernel: WgslKernel = {
    ...first.own,
    groups,
    table,
    text: `// of several kernels\n${declaration}${first.head}${main}`,
  };
  return [{ members: members.map(({ index }) => index), kernel }];
}
