/**
 * Neighbouring element-wise steps over the same points are computed in one loop: what one of them makes for the next stays in a
 * register, what several read is read once, and what nobody else reads is never written. Adam and the averages of a weight become
 * one sweep over it. On devices that can, the first of them may fold: those behind it take what it has folded.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { atOnce } from "../devices/eventLoop.ts";
import { at } from "../graph/shape.ts";
import { reusesLoads } from "../kernel/contraction.ts";
import type { Affine, Kernel, Operand, Scalar, Store } from "../kernel/kernel.ts";
import { kernelKey } from "../kernel/kernelKey.ts";
import { afterOf, type Plan, type PlanStep } from "../kernel/plan.ts";
import { interfere, isRead, readsOwn, type Region, regionsOf, type Use, usesOf } from "../kernel/access.ts";
import { affineKey, sameAffine } from "../kernel/affine.ts";
import { mapChildren, rewriter, rootsOf, scalarsOf } from "../kernel/scalar.ts";
import { arraysFit, memoriesFit, type Memories } from "./memories.ts";
import { bordersAllow, commonSizes, joinable, overSizes, parallelSizes } from "./joinable.ts";

/** Expressions in one loop at most: registers run out in longer code. */
export const mostScalars = 160;
type Limits = Pick<DeviceLimits, "operands" | "results" | "arrays" | "joins">;

/**
 * A plan with its neighbouring steps joined where they can be. Any result is the same as that of the steps one after the other, bit
 * for bit.
 * @param plan of kernels with one result each
 * @param memories the memory of each buffer, if kernels are given several in one as one
 */
export function joinSteps(plan: Plan, limits: Limits, memories: Memories | null = null): Plan {
  return atOnce(joiningSteps(plan, limits, memories));
}

/** The same with a pause after each step. */
export function* joiningSteps(plan: Plan, limits: Limits, memories: Memories | null = null): Generator<void, Plan> {
  const { steps, buffers } = plan;
  const regions = regionsOf(plan);
  const lastReads = new Map<number, number>();
  steps.forEach(({ operands }, index) => operands.forEach((buffer) => lastReads.set(buffer, index)));
  // Steps share kernels, and each is looked at once.
  const flat = new Map<Kernel, Kernel | null>();
  const candidates = steps.map((step): Member | null => {
    const known = flat.get(step.kernel);
    const kernel = known === undefined ? joinable(step.kernel, limits.joins) : known;
    flat.set(step.kernel, kernel);
    return kernel === null ? null : { step, kernel };
  });
  const kernels = new JoinedKernels();
  const joined: PlanStep[] = [];
  for (let start = 0; start < steps.length; ) {
    const members = neighbours(candidates, start, limits.joins);
    for (; members.length > 1; members.pop()) {
      const end = start + members.length;
      const isNeeded = (buffer: number): boolean =>
        at(buffers, buffer).role.kind !== "temporary" || (lastReads.get(buffer) ?? -1) >= end;
      const step = mayJoin(members, isNeeded, regions) ? join(members, isNeeded, kernels) : null;
      if (step === null) continue;
      const { kernel, operands, results } = step;
      const fits = arraysFit(operands, results, limits);
      // What a product reads in fours mustn't lie where others write.
      const mayShare = memories !== null && !reusesLoads(kernel);
      if (!fits && !(mayShare && memoriesFit(operands, results, limits, memories))) continue;
      joined.push(fits ? step : { ...step, parts: steps.slice(start, end) });
      break;
    }
    if (members.length <= 1) joined.push(at(steps, start));
    start += Math.max(1, members.length);
    yield;
  }
  return { ...plan, steps: joined };
}

type Member = { readonly step: PlanStep; readonly kernel: Kernel };

/** The steps from `start` on that can be swept over the same points, all of them over the same axes. */
function neighbours(candidates: readonly (Member | null)[], start: number, joins: Limits["joins"]): Member[] {
  const first = at(candidates, start);
  if (first === null) return [];
  const reduce = first.kernel.axes.filter(({ role }) => role === "reduce");
  const members = [first];
  let sizes = parallelSizes(first.kernel);
  let scalars = scalarsOf(...rootsOf(first.kernel)).length;
  for (let index = start + 1; index < candidates.length; index++) {
    const member = at(candidates, index);
    if (member === null || member.kernel.reduction !== null) break;
    scalars += scalarsOf(...rootsOf(member.kernel)).length;
    const common = commonSizes(sizes, parallelSizes(member.kernel), joins);
    if (common === null || scalars > mostScalars) break;
    if (joins === "points" && ![...members, member].every(({ kernel }) => bordersAllow(kernel, common))) break;
    members.push(member);
    sizes = common;
  }
  return members.map(({ step, kernel }) => ({ step, kernel: overSizes(kernel, sizes, reduce) }));
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
  /** The operand of the joined kernel for one of a member's. */
  const operandOf = ({ step, kernel }: Member, operand: number): number => {
    const buffer = at(step.operands, operand);
    operands.set(buffer, at(kernel.operands, operand));
    return [...operands.keys()].indexOf(buffer);
  };
  const joined = (member: Member): ((root: Scalar) => Scalar) =>
    rewriter((scalar, rewrite) => {
      if (!isRead(scalar)) return undefined;
      const known = scalar.kind === "load" ? made.get(at(member.step.operands, scalar.operand)) : undefined;
      if (known !== undefined) return known;
      const same = mapChildren({ ...scalar, operand: operandOf(member, scalar.operand) }, rewrite);
      if (same.kind !== "load") return same;
      const key = `${same.operand} ${affineKey(same.at)}`;
      const first = loads.get(key) ?? same;
      loads.set(key, first);
      return first;
    });
  let reduction: Kernel["reduction"] = null;
  const stores = members.map((member) => {
    const [store] = member.kernel.stores;
    const [result] = member.step.results;
    const rewritten = joined(member);
    const fold = member.kernel.reduction;
    if (fold !== null) reduction = { op: fold.op, body: rewritten(fold.body) };
    const value = rewritten(store.value);
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
      reduction,
      [...operands.values()],
      [first.store, ...others.map(({ store }) => store)],
    ),
    operands: [...operands.keys()],
    results: [first.result, ...others.map(({ result }) => result)],
    ...afterOf(members.map(({ step }) => step)),
  };
}

/** Equal joined kernels are one object, as equal kernels of the plan are. */
class JoinedKernels {
  readonly #known = new Map<string, Kernel>();

  kernel(
    members: readonly Kernel[],
    reduction: Kernel["reduction"],
    operands: readonly Operand[],
    stores: readonly [Store, ...Store[]],
  ): Kernel {
    const [first, last] = [at(members, 0), at(members, members.length - 1)];
    const elements = [...operands, ...stores].map(({ length }) => length);
    const unnamed: Kernel = {
      ...first,
      reduction,
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
