/**
 * Neighbouring steps that go over the same rows, each of which computes a row from the same row of the others, run together on some
 * rows after the other: a band of rows that fits into the cache goes through all of them before the next band comes, and threads
 * don't meet in between. Softmax, normalization of weights and of pixels are such chains; of many products of matrices each is a row, so
 * that attention goes head by head through all of its steps, forward and back.
 */
import { at } from "../../../graph/shape.ts";
import type { Affine, Kernel } from "../../../kernel/kernel.ts";
import type { PlanStep } from "../../../kernel/plan.ts";
import { interfere, type Region, type Use, usesOf } from "../../../kernel/access.ts";
import { spanOf } from "../../../kernel/affine.ts";
import { rootsOf } from "../../../kernel/scalar.ts";
import { segmentsOf } from "../loops/index.ts";
import type { CompiledKernel } from "./module.ts";

/** Steps `first` to `first + units.length` in bands of `block` of `rows` rows; of step i a row is `units[i]` of what it shares. */
export type Band = {
  readonly first: number;
  readonly rows: number;
  readonly block: number;
  readonly units: readonly number[];
};

/** Bytes that a band of rows touches in all of its steps, about: a part of a core's second cache. */
const bandBytes = 2 ** 18;
/** Bytes that a step touches at most in a band that can't be smaller, as a product's can't: much of what it makes is still in that cache then. */
const stepBytes = 2 ** 20;
/** Bands at least, so that threads have something to share. */
const fewestBands = 8;
/** Rows at least that steps with different numbers of rows must have in common. */
const fewestCommonRows = 32;

/** What is shared along its first axis: `size` places, of which `block` stay together. */
type RowShare = { readonly kernel: Kernel; readonly size: number; readonly block: number };

type RowStep = RowShare & { readonly step: PlanStep };

/** The bands among steps. `kernelOf`: how each step is compiled. */
export function bandsOf(
  steps: readonly PlanStep[],
  kernelOf: (step: number) => CompiledKernel,
  regions: readonly (Region | null)[],
): readonly Band[] {
  const bands: Band[] = [];
  // Asked once of each kernel: many steps share one.
  const shares = new Map<CompiledKernel, RowShare | null>();
  const rowStepOf = (index: number): RowStep | null => {
    const compiled = kernelOf(index);
    let share = shares.get(compiled);
    if (share === undefined) shares.set(compiled, (share = rowShareOf(compiled)));
    return share && { ...share, step: at(steps, index) };
  };
  for (let first = 0; first < steps.length; ) {
    const band = bandFrom(first, steps.length, rowStepOf, regions);
    if (band !== null) bands.push(band);
    first += band?.units.length ?? 1;
  }
  return bands;
}

function bandFrom(
  first: number,
  end: number,
  rowStepOf: (index: number) => RowStep | null,
  regions: readonly (Region | null)[],
): Band | null {
  const members: RowStep[] = [];
  let found: Band | null = null;
  let rows = 0;
  let uses: Use[] = [];
  for (let index = first; index < end; index++) {
    const next = rowStepOf(index);
    if (next === null) break;
    // The first one's own: 0 has every divisor.
    const common = greatestCommonDivisor(rows, next.size);
    if (common < Math.min(rows, fewestCommonRows)) break;
    members.push(next);
    // What holds of some rows may not hold of fewer, larger ones.
    if (common !== rows) uses = [];
    const more = (common === rows ? [next] : members).flatMap((member) => rowUsesOf(member, common, regions));
    rows = common;
    uses.push(...more);
    // No step writes in one row what another touches in another row.
    if (more.some((use) => uses.some((other) => interfere(use, other)))) break;
    const block = blockOfRows(members, rows);
    if (block === null) break;
    if (members.length > 1) found = { first, rows, block, units: members.map(({ size }) => size / rows) };
  }
  return found;
}

/** Null if it is shared along another axis, or by an algorithm of its own, or too small, or not between rows. */
function rowShareOf({ kernel, method }: CompiledKernel): RowShare | null {
  const phase = at(method.phases, 0);
  if (!method.sharesFirstAxis || phase.size < fewestBands) return null;
  // A segment's blocks are counted from where it begins, and borders move up to them: into the next thread's rows.
  const isEven = segmentsOf(rootsOf(kernel), 0, phase.size).every(({ start }) => start % phase.block === 0);
  return isEven ? { kernel, size: phase.size, block: phase.block } : null;
}

/** Rows in a band: whole blocks of every step; null if there would be too few bands or too much in one. */
function blockOfRows(members: readonly RowStep[], rows: number): number | null {
  let multiple = 1;
  for (const { size, block } of members) {
    const alone = block / greatestCommonDivisor(block, size / rows);
    multiple = (multiple / greatestCommonDivisor(multiple, alone)) * alone;
  }
  const bytes = members.map(({ step }) => step.kernel.bytes / rows);
  const most = Math.floor(rows / fewestBands / multiple) * multiple;
  const wanted = Math.floor(bandBytes / bytes.reduce((sum, one) => sum + one, 0) / multiple) * multiple;
  if (wanted > 0 || most === 0) return Math.min(wanted, most) || null;
  return multiple * Math.max(...bytes) <= stepBytes ? multiple : null;
}

/** What a step does with memory, row by row: a row of its work has a row of each array. */
function rowUsesOf({ step, kernel, size }: RowStep, rows: number, regions: readonly (Region | null)[]): readonly Use[] {
  const units = size / rows;
  // Steps that share a compiled kernel may read arrays of different lengths.
  const staysInRow = (address: Affine, operand: number): boolean => {
    const row = at(step.kernel.operands, operand).length / rows;
    if (at(address.coefficients, 0) * units !== row) return false;
    const [low, high] = spanOf(address, [{ size: units }, ...kernel.axes.slice(1)]);
    return low >= 0 && high < row;
  };
  return usesOf(step, kernel, staysInRow, (buffer) => at(regions, buffer));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
