/**
 * How a kernel is run, as data: its axes cut into loops, each with a role, and which arrays are copied closer on the way. A device
 * chooses a tiling and writes its code from it; any tiling that is whole (`checkTiling`) visits each point once, so the choice
 * changes time, not values.
 */
import { at } from "../graph/shape.ts";
import { axisNames, type Load } from "./contraction.ts";
import type { Kernel } from "./kernel.ts";

/**
 * What a loop becomes. `grid`: shared among threads of a CPU, or workgroups of a GPU. `thread`: the threads of a workgroup. `loop`: one
 * step after the other. `unroll`: written out, its values in registers. `lane`: the lanes of a vector.
 */
export type Role = "grid" | "thread" | "loop" | "unroll" | "lane";

/** A loop over `axis`, or over a step of the loop around it that has the same axis, in steps of `by` elements; the last may be shorter. */
export type Split = { readonly axis: number; readonly by: number; readonly as: Role };

/** Before the splits from number `inside` on, all that they read at `load` is copied, so that it lies in the order in which it is read. */
export type Stage = { readonly load: Load; readonly inside: number };

/** Which roles can be inside of which: none inside of one with a larger number. */
const nesting: Readonly<Record<Role, number>> = { grid: 0, thread: 0, loop: 0, unroll: 1, lane: 2 };

export type Tiling = {
  /** Outermost first. An axis of size 1 needs none. */
  readonly splits: readonly Split[];
  readonly stages: readonly Stage[];
};

/** What is gone through and how: a kernel, or what an algorithm makes of it. */
export type Tiled = { readonly kernel: Pick<Kernel, "axes" | "reduction">; readonly tiling: Tiling };

/** Elements of an axis that the splits from number `level` on go through at a time. */
export function extentOf({ axes }: Pick<Kernel, "axes">, { splits }: Tiling, axis: number, level: number): number {
  const around = splits.slice(0, level).findLast((split) => split.axis === axis);
  return around?.by ?? at(axes, axis).size;
}

/** Steps of split number `level` in one step of the splits around it; of a step that isn't cut short. */
export function stepsOf(kernel: Pick<Kernel, "axes">, tiling: Tiling, level: number): number {
  const { axis, by } = at(tiling.splits, level);
  return Math.ceil(extentOf(kernel, tiling, axis, level) / by);
}

/** @throws Error if the splits don't go through every point of the kernel once, or roles are nested as no device can */
export function checkTiling(kernel: Pick<Kernel, "axes">, tiling: Tiling): void {
  const { splits, stages } = tiling;
  splits.forEach(({ axis, by, as }, level) => {
    const extent = extentOf(kernel, tiling, axis, level);
    if (!Number.isInteger(by) || by < 1 || by > Math.max(1, extent)) {
      throw new Error(`tiling: split ${level}: steps of ${by} of the ${extent} elements of axis ${axis}`);
    }
    const before = splits[level - 1];
    if (before !== undefined && nesting[before.as] > nesting[as]) {
      throw new Error(`tiling: split ${level}: a ${as} inside of a ${before.as}`);
    }
    if ((as === "grid" || as === "thread") && at(kernel.axes, axis).role === "reduce") {
      throw new Error(`tiling: split ${level}: axis ${axis} is summed over, and can't be a ${as}`);
    }
  });
  kernel.axes.forEach((_, axis) => {
    const rest = extentOf(kernel, tiling, axis, splits.length);
    if (rest > 1) throw new Error(`tiling: nothing goes through the last ${rest} elements of axis ${axis}`);
  });
  for (const { inside } of stages) {
    if (inside < 0 || inside > splits.length) throw new Error(`tiling: no split ${inside} to copy before`);
  }
}

/** One line: of each split its axis, how many steps it has, and of how many elements if of several. */
export function printTiling({ kernel, tiling }: Tiled): string {
  const names = axisNames(kernel);
  const parts: string[] = [];
  let role: Role | null = null;
  const say = (text: string, isNew: boolean): void => {
    if (isNew || parts.length === 0) parts.push(text);
    else parts.push(`${parts.pop() ?? ""}, ${text}`);
  };
  for (let level = 0; level <= tiling.splits.length; level++) {
    for (const stage of tiling.stages.filter(({ inside }) => inside === level)) {
      const { load } = stage;
      const extents = load.at.coefficients.flatMap((step, axis) =>
        step === 0 ? [] : [`${at(names, axis)} ${extentOf(kernel, tiling, axis, level)}`],
      );
      say(`copy operand ${load.operand} (${extents.join(", ")})`, true);
      role = null;
    }
    const split = tiling.splits[level];
    if (split === undefined) continue;
    const steps = stepsOf(kernel, tiling, level);
    const text = `${at(names, split.axis)} ${steps}${split.by > 1 ? ` by ${split.by}` : ""}`;
    say(split.as === role ? text : `${split.as} ${text}`, split.as !== role);
    role = split.as;
  }
  return parts.join(" | ");
}
