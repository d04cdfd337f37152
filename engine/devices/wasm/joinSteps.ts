/**
 * Neighbouring element-wise steps over the same points are computed in one loop: what one of them makes for the next stays in a
 * register, what several read is read once, and what nobody else reads is never written. Adam and the averages of a weight become
 * one sweep over it.
 */
import type { Affine, Kernel, Scalar } from "../../kernel/kernel.ts";
import { normalizeKernel, rewriteKernel } from "../../kernel/normalize.ts";
import type { Plan, PlanStep } from "../../kernel/plan.ts";
import { scalarsOf, substitute } from "../../kernel/scalar.ts";
import { interfere, type Region, regionsOf, type Use } from "./regions.ts";

/** What a kernel writes at a point besides its own result; its buffers follow that one in the table of addresses. */
export type Store = Pick<Kernel, "body" | "result">;

export type JoinedKernel = Kernel & { readonly also: readonly Store[] };

/** One or several steps of a plan. `buffers[results[0]]` is the kernel's result, the others are those of `also`. */
export type JoinedStep = {
  readonly kernel: JoinedKernel;
  readonly operands: readonly number[];
  readonly results: readonly number[];
  /** Neighbours in the plan that it computes. */
  readonly steps: readonly PlanStep[];
};

/** Expressions in one loop at most: registers run out in longer code. */
const mostScalars = 160;
/** Elements of the inner of two axes, at least: shorter loops lose more than joining gains. */
const shortestRow = 16;

/** The steps of a plan, joined where they can be. Any result is the same as that of the steps one after the other, bit for bit. */
export function joinSteps(plan: Plan): readonly JoinedStep[] {
  const { steps, buffers } = plan;
  const regions = regionsOf(plan);
  const lastReads = new Map<number, number>();
  steps.forEach(({ operands }, index) => operands.forEach((buffer) => lastReads.set(buffer, index)));
  const flat = new Map<Kernel, Kernel | null>();
  const memberAt = (index: number): Member | null => {
    const step = steps[index];
    if (step === undefined) return null;
    if (!flat.has(step.kernel)) flat.set(step.kernel, flatKernel(step.kernel));
    const kernel = flat.get(step.kernel) ?? null;
    return kernel === null ? null : { step, kernel };
  };
  const joined: JoinedStep[] = [];
  for (let start = 0; start < steps.length; ) {
    const members = neighbours(start, memberAt);
    for (; members.length > 1; members.pop()) {
      const end = start + members.length;
      const isNeeded = (buffer: number): boolean =>
        buffers[buffer]?.role.kind !== "temporary" || (lastReads.get(buffer) ?? -1) >= end;
      if (!mayJoin(members, isNeeded, regions)) continue;
      joined.push(join(members, isNeeded));
      break;
    }
    const step = steps[start];
    if (members.length <= 1 && step !== undefined) {
      const { kernel, operands, result } = step;
      joined.push({ kernel: { ...kernel, also: [] }, operands, results: [result], steps: [step] });
    }
    start += Math.max(1, members.length);
  }
  return joined;
}

type Member = { readonly step: PlanStep; readonly kernel: Kernel };

/** Element-wise steps from `start` on over the same points, all of them over the same axes. */
function neighbours(start: number, memberAt: (index: number) => Member | null): Member[] {
  const members: Member[] = [];
  let axes: Kernel["axes"] | null = null;
  let scalars = 0;
  for (let index = start; ; index++) {
    const member = memberAt(index);
    if (member === null) break;
    scalars += scalarsOf(member.kernel.body).length;
    const next: Kernel["axes"] | null = axes === null ? member.kernel.axes : commonAxes(axes, member.kernel.axes);
    if (next === null || scalars > mostScalars) break;
    axes = next;
    members.push(member);
  }
  const common = axes ?? [];
  return members.map(({ step, kernel }) => ({ step, kernel: withAxes(kernel, common) }));
}

/** The kernel over one axis, or over two of which a vector runs along the inner one; null if it can't be swept. */
function flatKernel(kernel: Kernel): Kernel | null {
  if (kernel.reduction !== null) return null;
  const normal = normalizeKernel(kernel);
  const { axes, body } = normal;
  if (axes.length > 2 || axes.some(({ size }) => size === 0)) return null;
  const inner = axes.length - 1;
  if (axes.length === 2 && ((axes[1]?.size ?? 0) < shortestRow || (axes[1]?.size ?? 0) % 4 !== 0)) return null;
  const runsAlong = ({ coefficients }: Affine): boolean => inner < 0 || [0, 1].includes(coefficients[inner] ?? 0);
  const fits = scalarsOf(body).every(
    (scalar) =>
      scalar.kind !== "region" && scalar.kind !== "gather" && (scalar.kind !== "load" || runsAlong(scalar.at)),
  );
  return fits ? normal : null;
}

/**
 * Whether the members may be computed point by point: none touches at one point what another writes at another point. What only
 * they need stays in registers.
 */
function mayJoin(
  members: readonly Member[],
  isNeeded: (buffer: number) => boolean,
  regions: readonly (Region | null)[],
): boolean {
  const made = new Set<number>();
  const earlier: Use[] = [];
  for (const { step, kernel } of members) {
    const own = JSON.stringify(kernel.result.at);
    const loads = scalarsOf(kernel.body).filter((scalar) => scalar.kind === "load");
    const uses: Use[] = [];
    for (const [operand, buffer] of step.operands.entries()) {
      const isOwn = loads.every((load) => load.operand !== operand || JSON.stringify(load.at) === own);
      const region = regions[buffer] ?? null;
      if (made.has(buffer) && !isOwn) return false;
      if (!made.has(buffer) && region !== null) uses.push({ region, writes: false, inPlace: isOwn });
    }
    const written = regions[step.result] ?? null;
    if (written !== null && isNeeded(step.result)) uses.push({ region: written, writes: true, inPlace: true });
    if (uses.some((use) => earlier.some((other) => interfere(use, other)))) return false;
    earlier.push(...uses);
    made.add(step.result);
  }
  return true;
}

function join(members: readonly Member[], isNeeded: (buffer: number) => boolean): JoinedStep {
  const operands: number[] = [];
  const loads = new Map<string, Scalar>();
  const made = new Map<number, Scalar>();
  const stores = members.map(({ step, kernel }) => {
    const body = substitute(kernel.body, (load) => {
      if (load.kind !== "load") return undefined;
      const buffer = step.operands[load.operand] ?? -1;
      const value = made.get(buffer);
      if (value !== undefined) return value;
      if (!operands.includes(buffer)) operands.push(buffer);
      const same = { ...load, operand: operands.indexOf(buffer) };
      const key = JSON.stringify(same);
      const known = loads.get(key) ?? same;
      loads.set(key, known);
      return known;
    });
    made.set(step.result, body);
    return { buffer: step.result, kernel, store: { body, result: kernel.result } };
  });
  const needed = stores.filter(({ buffer }) => isNeeded(buffer));
  const [main, ...also] = needed.length === 0 ? stores.slice(-1) : needed;
  if (main === undefined) throw new RangeError("a sweep that stores nothing");
  return {
    kernel: {
      ...main.kernel,
      ...main.store,
      operands: operands.map((buffer) => operandOf(members, buffer)),
      also: also.map(({ store }) => store),
    },
    operands,
    results: [main, ...also].map(({ buffer }) => buffer),
    steps: members.map(({ step }) => step),
  };
}

function operandOf(members: readonly Member[], buffer: number): Kernel["operands"][number] {
  for (const { step, kernel } of members) {
    const operand = kernel.operands[step.operands.indexOf(buffer)];
    if (operand !== undefined) return operand;
  }
  throw new RangeError(`no member of a sweep reads buffer ${buffer}`);
}

/** Axes over which kernels of both can go: the more of them, if they have as many points; null if there are none. */
function commonAxes(a: Kernel["axes"], b: Kernel["axes"]): Kernel["axes"] | null {
  if (a.length === b.length) return a.every(({ size }, axis) => size === b[axis]?.size) ? a : null;
  const points = (axes: Kernel["axes"]): number => axes.reduce((product, { size }) => product * size, 1);
  return points(a) === points(b) ? (a.length < b.length ? b : a) : null;
}

/** A kernel of one axis over two; over as many as it has it stays the same. */
function withAxes(kernel: Kernel, axes: Kernel["axes"]): Kernel {
  if (kernel.axes.length === axes.length) return kernel;
  const row = axes[1]?.size ?? 1;
  return rewriteKernel(kernel, axes, {
    affine: ({ offset, coefficients: [c = 0] }) => ({ offset, coefficients: [c * row, c] }),
    axis: (axis) => axis,
  });
}
