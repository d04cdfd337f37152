/** Products and convolutions by other tiles than their own: whether the one that was chosen is the fastest here. */
import { nameOfTile, type Tile } from "../../engine/devices/gpujs/wgsl/product/index.ts";
import { messageOf } from "../../engine/index.ts";
import { digits, tableOf } from "../markdown.ts";
import type { BoundPlan, PlanKernel } from "../../engine/devices/gpujs/boundPlan.ts";
import { axesOf } from "./kernelTable.ts";

export type TileRow = {
  readonly name: string;
  readonly axes: string;
  /** Steps that run it. */
  readonly steps: number;
  /** How it is run by choice. */
  readonly schedule: string;
  /** Milliseconds by choice, and by each tile. */
  readonly chosen: number;
  readonly tiles: readonly { readonly tile: string; readonly milliseconds: number }[];
};

/** Times the products that the step spends most time on. What fails is told in the place of its time: NaN, and why. */
export async function tileRows(
  plan: BoundPlan,
  slowest: readonly PlanKernel[],
  tried: readonly Tile[],
): Promise<{ readonly rows: readonly TileRow[]; readonly failures: readonly string[] }> {
  const rows: TileRow[] = [];
  const failures: string[] = [];
  for (const kernel of slowest) {
    const { name } = kernel.dispatch.step.kernel;
    const tiles: { tile: string; milliseconds: number }[] = [];
    for (const tile of tried) {
      try {
        const milliseconds = await plan.timeWell(await plan.variant(kernel, { product: tile }));
        tiles.push({ tile: nameOfTile(tile), milliseconds });
      } catch (error) {
        failures.push(`${name} by ${nameOfTile(tile)}: ${messageOf(error).split("\n")[0] ?? ""}`);
      }
    }
    const chosen = await plan.timeWell(kernel);
    const { steps, schedule } = kernel;
    rows.push({ name, axes: axesOf(kernel.dispatch.step.kernel), steps, schedule, chosen, tiles });
  }
  return { rows, failures };
}

/** The fastest tile of each beside the chosen one. */
export function tileTable(rows: readonly TileRow[]): string {
  return tableOf(
    ["axes", "runs", "ms by choice", "ms at best", "choice / best", "best tile", "chosen", "kernel"],
    rows.map(({ name, axes, steps, schedule, chosen, tiles }) => {
      const best = tiles.reduce((least, one) => (one.milliseconds < least.milliseconds ? one : least), {
        tile: "none",
        milliseconds: Infinity,
      });
      const { tile, milliseconds } = best;
      return [axes, steps, digits(chosen), digits(milliseconds), digits(chosen / milliseconds), tile, schedule, name];
    }),
  );
}
