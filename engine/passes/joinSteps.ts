/**
 * Neighbouring element-wise steps over the same points are computed in one loop: what one of them makes for the next stays in a
 * register, what several read is read once, and what nobody else reads is never written. Adam and the averages of a weight become
 * one sweep over it.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { atOnce } from "../devices/eventLoop.ts";
import { at } from "../graph/shape.ts";
import type { Affine, Kernel, Operand, Scalar, Store } from "../kernel/kernel.ts";
import { kernelKey } from "../kernel/kernelKey.ts";
import { normalizeKernel, rewriteKernel } from "../kernel/normalize.ts";
import type { Plan, PlanStep } from "../kernel/plan.ts";
import { interfere, readsOwn, type Region, regionsOf, type Use, usesOf } from "../kernel/access.ts";
import { affineKey, sameAffine } from "../kernel/affine.ts";
import { rootsOf, scalarsOf, substitute } from "../kernel/scalar.ts";

/** Expressions in one loop at most: registers run out in longer code. */
const mostScalars = 160;
/** Elements of the inner of two axes, at least: shorter loops lose more than joining gains. */
const shortestRow = 16;

type Limits = Pick<DeviceLimits, "operands" | "results" | "arrays">;

/**
 * A plan with its neighbouring steps joined where they can be. Any result is the same as that of the steps one after the other, bit
 * for bit.
 * @param plan of kernels with one result each
 */
export function joinSteps(plan: Plan, limits: Limits): Plan {
  return atOnce(joiningSteps(plan, limits));
}

/** The same with a pause after each step. */
export function* joiningSteps(plan: Plan, limits: Limits): Generator<void, Plan> {
  const { steps, buffers } = plan;
  const regions = regionsOf(plan);
  const lastReads = new Map<number, number>();
  steps.forEach(({ operands }, index) => operands.forEach((buffer) => lastReads.set(buffer, index)));
  // Steps share kernels, and each is looked at once.
  const flat = new Map<Kernel, Kernel | null>();
  const candidates = steps.map((step): Member | null => {
    const known = flat.get(step.kernel);
    const kernel = known === undefined ? flatKernel(step.kernel) : known;
    flat.set(step.kernel, kernel);
    return kernel === null ? null : { step, kernel };
  });
  const kernels = new JoinedKernels();
  const joined: PlanStep[] = [];
  for (let start = 0; start < steps.length; ) {
    const members = neighbours(candidates, start);
    for (; members.length > 1; members.pop()) {
      const end = start + members.length;
      const isNeeded = (buffer: number): boolean =>
        at(buffers, buffer).role.kind !== "temporary" || (lastReads.get(buffer) ?? -1) >= end;
      const step = mayJoin(members, isNeeded, regions) ? join(members, isNeeded, kernels) : null;
      if (step === null || !fits(step, limits)) continue;
      joined.push(step);
      break;
    }
    if (members.length <= 1) joined.push(at(steps, start));
    start += Math.max(1, members.length);
    yield;
  }
  return { ...plan, steps: joined };
}

const fits = ({ operands, results }: PlanStep, limits: Limits): boolean =>
  operands.length <= limits.operands &&
  results.length <= limits.results &&
  operands.length + results.length <= limits.arrays;

type Member = { readonly step: PlanStep; readonly kernel: Kernel };

/** The steps from `start` on that can be swept over the same points, all of them over the same axes. */
function neighbours(candidates: readonly (Member | null)[], start: number): Member[] {
  const first = at(candidates, start);
  if (first === null) return [];
  const members = [first];
  let axes = first.kernel.axes;
  let scalars = scalarsOf(...rootsOf(first.kernel)).length;
  for (let index = start + 1; index < candidates.length; index++) {
    const member = at(candidates, index);
    if (member === null) break;
    scalars += scalarsOf(...rootsOf(member.kernel)).length;
    const common = commonAxes(axes, member.kernel.axes);
    if (common === null || scalars > mostScalars) break;
    axes = common;
    members.push(member);
  }
  return members.map(({ step, kernel }) => ({ step, kernel: withAxes(kernel, axes) }));
}

/** The kernel over one axis, or over two of which a vector runs along the inner one; null if it can't be swept. */
function flatKernel(kernel: Kernel): Kernel | null {
  if (kernel.reduction !== null || kernel.stores.length > 1) return null;
  const normal = normalizeKernel(kernel);
  const { axes } = normal;
  if (axes.length > 2 || axes.some(({ size }) => size === 0)) return null;
  const [, row] = axes;
  if (row !== undefined && (row.size < shortestRow || row.size % 4 !== 0)) return null;
  const runsAlong = ({ coefficients }: Affine): boolean => [0, 1].includes(coefficients.at(-1) ?? 0);
  const fits = scalarsOf(...rootsOf(normal)).every(
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
    const [store] = kernel.stores;
    const isOwn = (address: Affine): boolean => sameAffine(address, store.at);
    const own = readsOwn(kernel, isOwn);
    if (step.operands.some((buffer, operand) => made.has(buffer) && !at(own, operand))) return false;
    // What the members make for each other stays in registers.
    const uses = usesOf(step, kernel, isOwn, (buffer, writes) =>
      (writes ? isNeeded(buffer) : !made.has(buffer)) ? at(regions, buffer) : null,
    );
    if (uses.some((use) => earlier.some((other) => interfere(use, other)))) return false;
    earlier.push(...uses);
    made.add(step.results[0]);
  }
  return true;
}

/** The members as one step that writes what is needed of their results. */
function join(members: readonly Member[], isNeeded: (buffer: number) => boolean, kernels: JoinedKernels): PlanStep {
  const operands = new Map<number, Operand>();
  const loads = new Map<string, Scalar>();
  const made = new Map<number, Scalar>();
  const stores = members.map(({ step, kernel }) => {
    const [store] = kernel.stores;
    const [result] = step.results;
    const value = substitute(store.value, (load) => {
      if (load.kind !== "load") return undefined;
      const buffer = at(step.operands, load.operand);
      const known = made.get(buffer);
      if (known !== undefined) return known;
      operands.set(buffer, at(kernel.operands, load.operand));
      const same = { ...load, operand: [...operands.keys()].indexOf(buffer) };
      const key = `${same.operand} ${affineKey(same.at)}`;
      const first = loads.get(key) ?? same;
      loads.set(key, first);
      return first;
    });
    made.set(result, value);
    return { result, store: { ...store, value } };
  });
  const needed = stores.filter(({ result }) => isNeeded(result));
  // What nobody needs is computed all the same: a step has a result.
  const [first, ...others] = needed.length === 0 ? stores.slice(-1) : needed;
  if (first === undefined) throw new RangeError("no steps to join");
  return {
    kernel: kernels.kernel(
      members.map(({ kernel }) => kernel),
      [...operands.values()],
      [first.store, ...others.map(({ store }) => store)],
    ),
    operands: [...operands.keys()],
    results: [first.result, ...others.map(({ result }) => result)],
  };
}

/** Equal joined kernels are one object, as equal kernels of the plan are. */
class JoinedKernels {
  readonly #known = new Map<string, Kernel>();

  kernel(members: readonly Kernel[], operands: readonly Operand[], stores: readonly [Store, ...Store[]]): Kernel {
    const [first, last] = [at(members, 0), at(members, members.length - 1)];
    const elements = [...operands, ...stores].map(({ length }) => length);
    const unnamed: Kernel = {
      ...first,
      operands,
      stores,
      flops: members.reduce((sum, { flops }) => sum + flops, 0),
      bytes: 4 * elements.reduce((sum, length) => sum + length, 0),
    };
    const key = `${elements.join()}\n${kernelKey(unnamed)}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const kernel = { ...unnamed, name: `${first.name}_to_${last.name}_sweep_${this.#known.size}` };
    this.#known.set(key, kernel);
    return kernel;
  }
}

/** Axes over which kernels of both can go: the more of them, if they have as many points; null if there are none. */
function commonAxes(a: Kernel["axes"], b: Kernel["axes"]): Kernel["axes"] | null {
  if (a.length === b.length) return a.every(({ size }, axis) => size === at(b, axis).size) ? a : null;
  const points = (axes: Kernel["axes"]): number => axes.reduce((product, { size }) => product * size, 1);
  return points(a) === points(b) ? (a.length < b.length ? b : a) : null;
}

/** A kernel of one axis over two; over as many as it has it stays the same. */
function withAxes(kernel: Kernel, axes: Kernel["axes"]): Kernel {
  if (kernel.axes.length === axes.length) return kernel;
  const row = at(axes, 1).size;
  return rewriteKernel(kernel, axes, {
    affine: ({ offset, coefficients: [c = 0] }) => ({ offset, coefficients: [c * row, c] }),
    axis: (axis) => axis,
  });
}
