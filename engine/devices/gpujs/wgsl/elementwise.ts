/** One thread for each point of a kernel without a reduction, or for four neighbours, which it reads and writes at once. */
import type { Kernel } from "../../../kernel/kernel.ts";
import { rootsOf } from "../../../kernel/scalar.ts";
import { placeOf, pointsOf } from "./points.ts";
import { ExpressionEmitter } from "./expression.ts";
import { allowsLanes } from "./lanes.ts";
import { loadsFrom, storeResults, vectorArrays } from "./memory.ts";
import { type Aliases, arraysOf, foldedGroups, groupNumber, moduleText, type WgslKernel } from "./wgslKernel.ts";
import { WgslWriter } from "./writer.ts";

const workgroupSize = 256;

/** The axis of which a thread takes four points; null: it takes one. */
export function laneOfPoints(kernel: Kernel): number | null {
  const last = kernel.axes.length - 1;
  const row = kernel.axes[last]?.size ?? 1;
  return row % 4 === 0 && allowsLanes(rootsOf(kernel), last, row) ? last : null;
}

export function emitElementwise(kernel: Kernel, aliases: Aliases): WgslKernel {
  const axes = kernel.axes;
  const lane = laneOfPoints(kernel);
  const vectors = vectorArrays(kernel, aliases, lane);
  const arrays = arraysOf(kernel, aliases, (bound) => (vectors(bound) ? 4 : 1));
  const writer = new WgslWriter();
  const threads = pointsOf(axes) / (lane === null ? 1 : 4);
  const groups = foldedGroups(Math.ceil(threads / workgroupSize));
  const thread = writer.local(`${groupNumber(groups)} * ${workgroupSize}u + local`);
  writer.open(`if (${thread} < ${threads}u)`);
  const place = { ...placeOf(writer, axes, lane, thread), accumulator: null };
  const emitter = new ExpressionEmitter(writer, kernel, loadsFrom(arrays, aliases, vectors), place);
  const values = emitter.emit(...kernel.stores.map(({ value }) => value));
  storeResults(
    writer,
    kernel,
    arrays,
    vectors,
    place,
    values.map((value) => ({ ...value, text: emitter.widened(value) })),
  );
  writer.close();
  const schedule = lane === null ? "one point a thread" : "four points a thread";
  return {
    name: kernel.name,
    schedule,
    text: moduleText(schedule, arrays, writer, workgroupSize),
    bindings: arrays.bindings,
    groups,
  };
}
