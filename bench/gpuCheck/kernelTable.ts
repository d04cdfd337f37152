/** The kernels of a training step, each with its time beside what the roofs allow. */
import type { Kernel } from "../../engine/kernel/kernel.ts";
import { kernelKinds, kindOfKernel } from "../../engine/kernel/kernelKind.ts";
import type { BoundPlan, PlanKernel } from "../../engine/devices/gpujs/boundPlan.ts";
import { digits, tableOf } from "../markdown.ts";
import type { Roofs } from "./roofs.ts";

export type KernelRow = {
  readonly name: string;
  readonly kind: string;
  /** Sizes of the axes, those that are folded with a plus. */
  readonly axes: string;
  /** Steps that run it. */
  readonly steps: number;
  /** Of one run. */
  readonly milliseconds: number;
  readonly gflops: number;
  readonly gbs: number;
  /** The least time by the roofs, by the time. More than 1 where caches hold what the roof takes from memory. */
  readonly share: number;
  readonly workgroups: number;
  readonly schedule: string;
};

/** Times every kernel of a plan, those first that take most of the step. */
export async function timeKernels(
  plan: BoundPlan,
  roofs: Roofs,
): Promise<{ readonly rows: readonly KernelRow[]; readonly kernels: readonly PlanKernel[] }> {
  const timed: { readonly row: KernelRow; readonly kernel: PlanKernel }[] = [];
  for (const kernel of plan.kernels) timed.push({ row: rowOf(kernel, await plan.timeWell(kernel), roofs), kernel });
  timed.sort(({ row: a }, { row: b }) => b.steps * b.milliseconds - a.steps * a.milliseconds);
  return { rows: timed.map(({ row }) => row), kernels: timed.map(({ kernel }) => kernel) };
}

function rowOf({ dispatch, steps, schedule }: PlanKernel, milliseconds: number, roofs: Roofs): KernelRow {
  const { kernel } = dispatch.step;
  const [gflop, gb] = [kernel.flops / 1e9, kernel.bytes / 1e9];
  const least = 1e3 * Math.max(gflop / roofs.gflops, gb / roofs.gbs);
  return {
    name: kernel.name,
    kind: kindOfKernel(kernel),
    axes: axesOf(kernel),
    steps,
    milliseconds,
    gflops: (1e3 * gflop) / milliseconds,
    gbs: (1e3 * gb) / milliseconds,
    share: least / milliseconds,
    workgroups: dispatch.kernel.groups.reduce((product, count) => product * count, 1),
    schedule,
  };
}

/** Sizes of a kernel's axes, those that are folded with a plus. */
export const axesOf = ({ axes }: Pick<Kernel, "axes">): string =>
  axes.map(({ role, size }) => `${role === "reduce" ? "+" : ""}${size}`).join(" ");

export const timeOfRows = (rows: readonly KernelRow[]): number =>
  rows.reduce((sum, { steps, milliseconds }) => sum + steps * milliseconds, 0);

/** By kind: dispatches, time, its share of the step's, and of the roofs. */
export function kindTable(rows: readonly KernelRow[]): string {
  const total = timeOfRows(rows);
  return tableOf(
    ["kind", "kernels", "dispatches", "ms", "of all", "of the roof"],
    kernelKinds.flatMap((kind) => {
      const own = rows.filter((row) => row.kind === kind);
      if (own.length === 0) return [];
      const time = timeOfRows(own);
      const least = own.reduce((sum, { steps, milliseconds, share }) => sum + steps * milliseconds * share, 0);
      const dispatches = own.reduce((sum, { steps }) => sum + steps, 0);
      return [[kind, own.length, dispatches, digits(time), percent(time / total), percent(least / time)]];
    }),
  );
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/** Every kernel. */
export function rowTable(rows: readonly KernelRow[]): string {
  return tableOf(
    ["ms in all", "runs", "ms", "GFLOP/s", "GB/s", "of the roof", "groups", "kind", "axes", "schedule", "kernel"],
    rows.map((row) => [
      digits(row.steps * row.milliseconds),
      row.steps,
      row.milliseconds.toPrecision(3),
      digits(row.gflops),
      digits(row.gbs),
      percent(row.share),
      row.workgroups,
      row.kind,
      row.axes,
      row.schedule,
      row.name,
    ]),
  );
}
