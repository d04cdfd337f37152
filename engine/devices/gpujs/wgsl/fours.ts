/** Which results are written in aligned fours, each by one thread, however their kernels are run. */
import { at } from "../../../graph/shape.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { normalizeKernel } from "../../../kernel/normalize.ts";
import { partsOf, type PlanStep } from "../../../kernel/plan.ts";
import { laneOfPoints } from "./elementwise.ts";
import { schedulesFor, withSharedExpressions } from "./emitKernel.ts";
import { isAligned } from "../../../kernel/affine.ts";
import type { PlacedRows } from "./placed.ts";
import { chooseTile, finishOf, productOf } from "./product/index.ts";
import { foldShapeOf } from "./reduction.ts";
import { foursOfRows } from "./rows.ts";
import { noAliases } from "./wgslKernel.ts";

/**
 * The buffers that a step writes in fours, whether it is run as a whole or its parts one after the other, on software adapters, too. Of a
 * buffer's elements each is in a four then, and no two threads write to one.
 */
export function writtenInFours(step: PlanStep): ReadonlySet<number> {
  const written = new Map<number, boolean>();
  const note = (results: readonly number[], inFours: readonly boolean[]): void =>
    results.forEach((buffer, i) => written.set(buffer, (written.get(buffer) ?? true) && at(inFours, i)));
  for (const { kernel, results } of partsOf(step)) note(results, storesInFours(kernel));
  for (const member of step.members ?? [step]) {
    if (member.stages === undefined && member.parts !== undefined) note(member.results, storesInFours(member.kernel));
    const rows = placedRows(member);
    if (rows === null) continue;
    for (const isSoftware of [false, true]) {
      foursOfRows(rows, schedulesFor({ isSoftware })).forEach((inFours, stage) =>
        note(at(member.stages ?? [], stage).step.results, inFours),
      );
    }
  }
  return new Set([...written].flatMap(([buffer, inFours]) => (inFours ? [buffer] : [])));
}

/** Whether a kernel alone writes each of its results so. */
function storesInFours(described: Kernel): readonly boolean[] {
  const kernel = withSharedExpressions(normalizeKernel(described));
  const { reduction, stores } = kernel;
  const along = (lane: number | null, of: Kernel): readonly boolean[] =>
    of.stores.map((store) => lane !== null && store.length % 4 === 0 && isAligned(store.at, lane));
  if (stores[0].length === 0) return stores.map(() => false);
  if (reduction === null) return along(laneOfPoints(kernel), kernel);
  const product = productOf(kernel);
  // Whether it takes a tile depends on neither the adapter nor the tile.
  if (product === null || chooseTile(product) === null) return along(foldShapeOf(kernel, reduction).lane, kernel);
  const finish = finishOf(product, noAliases(kernel));
  return along(finish.lane, finish.kernel);
}

/** A step's stages, each buffer an array of its own. */
function placedRows({ kernel, stages, operands, results }: PlanStep): PlacedRows | null {
  if (stages === undefined) return null;
  const place = (array: number): PlacedRows["operands"][number] => ({ array, offset: 0 });
  return {
    name: kernel.name,
    operands: operands.map(place),
    results: results.map(place),
    stages: stages.map((stage) => ({
      kernel: stage.kernel,
      rows: stage.rows,
      operands: stage.step.operands.map(place),
      results: stage.step.results.map(place),
    })),
  };
}
