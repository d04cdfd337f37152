/**
 * Whether steps go over the same rows: what one of them makes for a row the next reads for that row only. A row is a point of some of the
 * parallel axes, the same in all steps; where one step has as one axis what another has as two, it is cut.
 */
import { isRead } from "../kernel/access.ts";
import { at } from "../graph/shape.ts";
import type { Affine, Axis, Kernel } from "../kernel/kernel.ts";
import type { PlanStep, Stage } from "../kernel/plan.ts";
import { rootsOf, scalarsOf } from "../kernel/scalar.ts";
import { splitAxis } from "../kernel/splitAxis.ts";

/** Rows that one step alone has: its points. */
export function stageOf(step: PlanStep): Stage {
  const { axes } = step.kernel;
  const rows = [...axes.keys()].filter((axis) => at(axes, axis).role === "parallel" && at(axes, axis).size > 1);
  return { step, kernel: step.kernel, rows };
}

/** How many rows stages have. */
export const rowsOf = ({ kernel, rows }: Stage): number =>
  rows.reduce((product, axis) => product * at(kernel.axes, axis).size, 1);

/**
 * The stages and the step behind them as stages over as many rows as all of them have in common.
 * @param step reads something that a stage makes
 * @returns null where it reads otherwise than in rows
 */
export function linked(stages: readonly Stage[], step: PlanStep): readonly Stage[] | null {
  let [before, kernel]: [readonly Stage[], Kernel] = [stages, step.kernel];
  // Each turn cuts an axis into two that are smaller.
  for (;;) {
    const found = commonRows(before, step, kernel);
    switch (found.kind) {
      case "none":
        return null;
      case "rows": {
        const kept = [...found.axes.keys()].filter((row) => found.axes[row] !== null);
        const last: Stage = { step, kernel, rows: kept.flatMap((row) => found.axes[row] ?? []) };
        return [...before.map((stage) => ({ ...stage, rows: kept.map((row) => at(stage.rows, row)) })), last];
      }
      case "cut": {
        const cut = splitAxis(kernel, found.axis, found.inner);
        if (cut === null) return null;
        kernel = cut;
        break;
      }
      case "cutRow": {
        const cut = before.map((stage) => cutRow(stage, found.row, found.inner));
        if (!cut.every((stage) => stage !== null)) return null;
        before = cut;
        break;
      }
    }
  }
}

/** A stage with one of its rows' axes as two. */
function cutRow({ step, kernel, rows }: Stage, row: number, inner: number): Stage | null {
  const axis = at(rows, row);
  const cut = splitAxis(kernel, axis, inner);
  if (cut === null) return null;
  const moved = rows.flatMap((other) => (other === axis ? [axis, axis + 1] : [other > axis ? other + 1 : other]));
  return { step, kernel: cut, rows: moved };
}

type Cut =
  /** An axis of the kernel goes through several of a stage's. */
  | { readonly kind: "cut"; readonly axis: number; readonly inner: number }
  /** Several axes of the kernel go through one that tells rows apart. */
  | { readonly kind: "cutRow"; readonly row: number; readonly inner: number }
  /** It reads otherwise. */
  | { readonly kind: "none" };

type Found =
  | Cut
  /** By row of the stages the axis of the kernel that tells it; null: none does. */
  | { readonly kind: "rows"; readonly axes: readonly (number | null)[] };

function commonRows(stages: readonly Stage[], { operands }: PlanStep, kernel: Kernel): Found {
  const axes: (number | null | undefined)[] = at(stages, 0).rows.map(() => undefined);
  for (const scalar of scalarsOf(...rootsOf(kernel))) {
    if (!isRead(scalar)) continue;
    const buffer = at(operands, scalar.operand);
    const writer = stages.find(({ step }) => step.results.includes(buffer));
    if (writer === undefined) continue;
    if (scalar.kind === "gather") return { kind: "none" };
    const digits = digitsOf(writer);
    const read = valuesOf(scalar.at, kernel.axes, digits);
    if (read.kind !== "values") return read;
    for (const [i, { row, size }] of digits.entries()) {
      if (row === null || axes[row] === null) continue;
      const told = toldBy(at(read.values, i), size, kernel.axes);
      if (told.kind === "several") return { kind: "cutRow", row, inner: told.inner };
      const axis = told.kind === "axis" ? told.axis : null;
      axes[row] = axes[row] === undefined || axes[row] === axis ? axis : null;
    }
  }
  // Of two rows that one axis tells only the first is one.
  return {
    kind: "rows",
    axes: axes.map((axis, row) => (axis === undefined || axis === null || axes.indexOf(axis) < row ? null : axis)),
  };
}

/** An axis of what a step writes, or neighbouring ones that don't tell rows apart as one. */
type Digit = { readonly size: number; readonly stride: number; readonly row: number | null };

/** The digits of an element's number in the result of a stage, outermost first. */
function digitsOf({ kernel, rows }: Stage): readonly Digit[] {
  const digits: Digit[] = [];
  let stride = 1;
  for (const axis of [...kernel.axes.keys()].reverse()) {
    const { role, size } = at(kernel.axes, axis);
    if (role !== "parallel" || size === 1) continue;
    const row = rows.indexOf(axis);
    const [inner] = digits;
    if (row < 0 && inner?.row === null) digits[0] = { ...inner, size: size * inner.size };
    else digits.unshift({ size, stride, row: row < 0 ? null : row });
    stride *= size;
  }
  return digits;
}

/** What each digit of an address is in terms of a reader's axes. */
function valuesOf(
  { offset, coefficients }: Affine,
  axes: readonly Axis[],
  digits: readonly Digit[],
): Cut | { readonly kind: "values"; readonly values: readonly Affine[] } {
  if (offset < 0) return { kind: "none" };
  let rest = offset;
  const offsets = digits.map(({ stride }) => {
    const digit = Math.floor(rest / stride);
    rest -= digit * stride;
    return digit;
  });
  const steps = digits.map(() => coefficients.map(() => 0));
  const reach = [...offsets];
  for (const [axis, coefficient] of coefficients.entries()) {
    const { size } = at(axes, axis);
    if (coefficient === 0 || size === 1) continue;
    const index = digits.findIndex(({ stride }) => stride <= coefficient);
    const digit = digits[index];
    if (coefficient < 0 || digit === undefined || coefficient % digit.stride !== 0) return { kind: "none" };
    const step = coefficient / digit.stride;
    if (step * (size - 1) >= digit.size) {
      const inner = digit.size / step;
      const canCut = Number.isInteger(inner) && inner > 1 && inner < size && size % inner === 0;
      return canCut && at(axes, axis).role === "parallel" ? { kind: "cut", axis, inner } : { kind: "none" };
    }
    (steps[index] ?? [])[axis] = step;
    reach[index] = at(reach, index) + step * (size - 1);
  }
  if (digits.some(({ size }, i) => at(reach, i) >= size)) return { kind: "none" };
  return { kind: "values", values: digits.map((_, i) => ({ offset: at(offsets, i), coefficients: at(steps, i) })) };
}

/** Which axis goes through a row's digit as the rows do, or which several do together. */
function toldBy(
  { offset, coefficients }: Affine,
  size: number,
  axes: readonly Axis[],
):
  | { readonly kind: "axis"; readonly axis: number }
  | { readonly kind: "several"; readonly inner: number }
  | { readonly kind: "none" } {
  const moving = [...coefficients.keys()].filter((axis) => at(coefficients, axis) !== 0);
  if (offset !== 0 || moving.some((axis) => at(axes, axis).role !== "parallel")) return { kind: "none" };
  const outermost = moving.reduce((most, axis) => Math.max(most, at(coefficients, axis)), 0);
  const covered = moving.reduce((points, axis) => points * at(axes, axis).size, 1);
  const [first] = moving;
  if (first === undefined || covered !== size) return { kind: "none" };
  if (moving.length === 1) return outermost === 1 ? { kind: "axis", axis: first } : { kind: "none" };
  return size % outermost === 0 && outermost > 1 ? { kind: "several", inner: outermost } : { kind: "none" };
}
