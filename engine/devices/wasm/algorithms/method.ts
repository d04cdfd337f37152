/** How a kernel is computed: by loops that its schedule describes, or by an algorithm of its own. */
import type { Kernel } from "../../../kernel/kernel.ts";
import type { Tiled, Tiling } from "../../../kernel/tiling.ts";
import {
  blockOf,
  emitKernel,
  nestOf,
  type Phase,
  type Schedule,
  scheduleKernel,
  scheduleRows,
  scheduleSweep,
  type Scratch,
} from "../loops/index.ts";
import { finishOf } from "./finish.ts";
import { productPhases, productScratch } from "./product/emit.ts";
import { productOf } from "./product/plan.ts";
import { scatterPhases } from "./scatter/emit.ts";
import { type Chains, chainsOf, chainsScratch } from "./scatter/plan.ts";
import { filterGradientPhases, filterGradientScratch } from "./winograd/filterGradient.ts";
import { forwardPhases, forwardScratch } from "./winograd/forward.ts";
import { middleOf } from "./winograd/middle.ts";
import { winogradOf } from "./winograd/plan.ts";

export type KernelMethod = {
  /** What kind of code it is, human-readable. */
  readonly name: string;
  /** What most of the time goes into, and how its axes are gone through: the kernel itself, or the middle of an algorithm. */
  readonly tiled: Tiled;
  readonly phases: readonly Phase[];
  /** Whether what its only phase shares is the first axis of the kernel. */
  readonly sharesFirstAxis: boolean;
  /** Null: it needs no memory but the operands and the result. */
  readonly scratch: Scratch | null;
};

/** The method of a normalised kernel: the cheapest by estimate. */
export function methodOf(kernel: Kernel): KernelMethod {
  return methodsOf(kernel).reduce((best, method) => (costOf(method) < costOf(best) ? method : best));
}

/** All methods that apply to a normalised kernel; of a scatter only the one that is linear. */
export function methodsOf(kernel: Kernel): readonly [KernelMethod, ...KernelMethod[]] {
  if (kernel.stores.length > 1) return [loopMethod(kernel, scheduleSweep(kernel))];
  const chains = chainsOf(kernel);
  if (chains !== null) return [scatterMethod(kernel, chains)];
  return [loopMethod(kernel, scheduleKernel(kernel)), ...algorithmsOf(kernel)];
}

/** Estimated time of a run in rough instructions, as the estimate of loops has it. */
export const costOf = ({ phases }: KernelMethod): number => phases.reduce((sum, { cost }) => sum + cost, 0);

/** Leaves sums in the result and finishes them there, so it has a table with the result twice: that of methods with scratch memory. */
type Algorithm = KernelMethod & { readonly scratch: Scratch };

/** Ways to compute a kernel that are not loops over its axes; none if its results can't be finished for each part of the first axis. */
function algorithmsOf(kernel: Kernel): readonly Algorithm[] {
  const [winograd, product] = [winogradOf(kernel), productOf(kernel)];
  const finish = winograd === null && product === null ? null : finishOf(kernel);
  if (finish === null) return [];
  const methods: Algorithm[] = [];
  if (winograd !== null) {
    const [phases, scratch] =
      winograd.kind === "forward"
        ? [forwardPhases(kernel, winograd, finish), forwardScratch(winograd)]
        : [filterGradientPhases(kernel, winograd, finish), filterGradientScratch(winograd)];
    const name = `winograd ${winograd.kind}`;
    methods.push({ name, tiled: middleOf(winograd), phases, sharesFirstAxis: false, scratch });
  }
  if (product !== null) {
    const phases = productPhases(kernel, product, finish);
    const tiled = { kernel, tiling: product.tiling };
    methods.push({
      name: "packed product",
      tiled,
      phases,
      sharesFirstAxis: phases.length === 1 && sharesFirstAlone(product.tiling),
      scratch: productScratch(kernel, product),
    });
  }
  return methods;
}

/** Whether threads share nothing but positions on the first axis. */
function sharesFirstAlone({ splits: [first, ...others] }: Tiling): boolean {
  return first?.axis === 0 && first.by === 1 && first.as === "grid" && others.every(({ as }) => as !== "grid");
}

function scatterMethod(kernel: Kernel, chains: Chains): KernelMethod {
  const op = kernel.reduction?.op ?? "sum";
  const fold: Kernel = { ...kernel, reduction: { op, body: chains.value } };
  const schedule = scheduleRows(fold, [...chains.rowAxes, ...chains.batchAxes], chains.points / chains.rows);
  const { name, tiling } = schedule;
  return {
    name,
    tiled: { kernel, tiling },
    phases: scatterPhases(fold, chains, schedule),
    sharesFirstAxis: false,
    scratch: chainsScratch(chains),
  };
}

function loopMethod(kernel: Kernel, schedule: Schedule): KernelMethod {
  const { name, tiling, cost } = schedule;
  const nest = nestOf(kernel, tiling);
  const { split } = nest;
  const phase: Phase = {
    size: split === null ? 1 : (kernel.axes[split]?.size ?? 0),
    block: split === null ? 1 : blockOf(nest, split),
    cost,
    emit: (module, text, options) => emitKernel(module, text, kernel, schedule, options),
  };
  return { name, tiled: { kernel, tiling }, phases: [phase], sharesFirstAxis: split === 0, scratch: null };
}
