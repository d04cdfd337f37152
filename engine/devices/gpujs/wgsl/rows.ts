/**
 * Kernels over the same rows in one dispatch: a workgroup takes a block of rows and goes through it kernel by kernel. What one of them
 * writes the next one reads after a barrier of the workgroup. Every point is computed, and every sum folded, as it would be alone.
 */
import { at } from "../../../graph/shape.ts";
import type { DType } from "../../../graph/dtype.ts";
import type { Kernel, Reduction } from "../../../kernel/kernel.ts";
import { isRead } from "../../../kernel/access.ts";
import { isAligned } from "../../../kernel/affine.ts";
import { dropUnitAxes, mayMerge, mergeWithin, mergeWithNext, normalizeKernel } from "../../../kernel/normalize.ts";
import { rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { type AxisText, coordinatesOf } from "./addresses.ts";
import { type EmitOptions, withSharedExpressions } from "./emitKernel.ts";
import { ExpressionEmitter } from "./expression.ts";
import { allowsLanes } from "./lanes.ts";
import { type IsVector, loadsFrom, storeResults } from "./memory.ts";
import { movedTo, type PlacedRows } from "./placed.ts";
import { placeOf, pointsOf } from "./points.ts";
import {
  foldPoint,
  foldSchedule,
  foldShapeOf,
  type FoldShape,
  foldThreads,
  pointsAtOnce,
  seatOf,
} from "./reduction.ts";
import { emitRowProduct, type RowProduct, rowProductOf, singlesOf } from "./rowProduct.ts";
import {
  type Arrays,
  type BoundArray,
  declared,
  foldedGroups,
  groupNumber,
  moduleText,
  type WgslKernel,
} from "./wgslKernel.ts";
import { WgslWriter } from "./writer.ts";

/** Rows of a block that products are done for; twice as many where there are enough. */
const rowTile = 16;
/** Rows of a block at most, and blocks that keep a large GPU busy. */
const mostRows = 64;
const enoughBlocks = 256;

/** A kernel over whole arrays, of which its operands are all. */
type Stage = {
  readonly kernel: Kernel;
  readonly rows: readonly number[];
  /** By result: its array. */
  readonly results: readonly number[];
  readonly work:
    | { readonly kind: "points" }
    | { readonly kind: "fold"; readonly reduction: Reduction; readonly shape: FoldShape }
    | ({ readonly kind: "product" } & RowProduct);
};

type Block = {
  /** Rows of each axis of the rows; of all but the last a block has one. */
  readonly sizes: readonly number[];
  /** Rows along the last axis. */
  readonly height: number;
};

/** @returns the kernel, and the kernels that it was written from. Its bindings mean whole arrays. */
export function emitRows(
  placed: PlacedRows,
  options: EmitOptions = {},
): { readonly own: WgslKernel; readonly kernels: readonly Kernel[] } {
  const stages = stagesOf(placed, options);
  const block = blockOf(stages);
  const lanes = stages.map((stage) => laneOf(stage, block));
  const isHalf = halvesIn(placed);
  const inFours = vectorsOf(stages, lanes);
  const isVector = (array: number): boolean => isHalf(array) || inFours(array);
  const arrays = bindArrays(placed, stages, isVector, isHalf);
  const writer = new WgslWriter();
  const blocks = block.sizes.reduce((product, size) => product * size, 1) / block.height;
  const groups = foldedGroups(blocks);
  const number = writer.local(groupNumber(groups));
  writer.line(`if (${number} >= ${blocks}u) { return; }`);
  const bases = basesOf(writer, block, number);
  stages.forEach((stage, index) => {
    if (index > 0) {
      writer.line("storageBarrier();");
      // Stages take turns with the workgroup's memory. A fold ends with a barrier for that, a product doesn't.
      if (at(stages, index - 1).work.kind === "product") writer.line("workgroupBarrier();");
      writer.freeShared();
    }
    emitStage(writer, stage, block, bases, at(lanes, index), arrays, isVector);
  });
  const sums = stages.flatMap(({ work }, i) => {
    if (work.kind === "points") return [];
    return [work.kind === "fold" ? foldSchedule({ ...work.shape, lane: at(lanes, i) }) : "products in tiles"];
  });
  const schedule = [`${block.height} rows a workgroup`, ...new Set(sums)].join(", ");
  return {
    own: {
      name: placed.name,
      schedule,
      text: moduleText(schedule, arrays, writer, foldThreads),
      bindings: arrays.bindings,
      groups,
    },
    kernels: stages.map(({ kernel }) => kernel),
  };
}

/** By stage, and by its results, whether they are written in aligned fours, each by one thread. */
export function foursOfRows(placed: PlacedRows, options: EmitOptions = {}): readonly (readonly boolean[])[] {
  const stages = stagesOf(placed, options);
  const block = blockOf(stages);
  return stages.map((stage) => {
    const { kernel, work } = stage;
    if (work.kind === "product") {
      const singles = singlesOf(work).results;
      return kernel.stores.map((_, result) => work.finish.lane !== null && !singles.includes(result));
    }
    const lane = laneOf(stage, block);
    return kernel.stores.map((store) => lane !== null && store.length % 4 === 0 && isAligned(store.at, lane));
  });
}

/** The stages with as few axes as can be. */
function stagesOf({ stages }: PlacedRows, options: EmitOptions): readonly Stage[] {
  const narrow = stages.map(({ kernel, rows }) => {
    const kept = [...kernel.axes.keys()].filter((axis) => at(kernel.axes, axis).size !== 1);
    return { kernel: dropUnitAxes(kernel), rows: rows.map((axis) => kept.indexOf(axis)) };
  });
  return mergedRows(narrow).map(({ kernel, rows }, index) => {
    const groups = kernel.axes.map(({ role }, axis) => (rows.includes(axis) ? axis : role === "parallel" ? -1 : -2));
    const merged = mergeWithin(kernel, groups);
    const placed = at(stages, index);
    const own = {
      kernel: movedTo(withSharedExpressions(merged.kernel), placed, (array) => array),
      rows: rows.map((axis) => merged.groups.indexOf(axis)),
    };
    return {
      ...own,
      results: placed.results.map(({ array }) => array),
      work: workOf(own, normalizeKernel(placed.kernel), options),
    };
  });
}

/** @param alone the kernel as it would be alone, whose sums have the same order */
function workOf({ kernel, rows }: Narrow, alone: Kernel, { product: choice, teams }: EmitOptions): Stage["work"] {
  if (kernel.reduction === null || alone.reduction === null) return { kind: "points" };
  const product = rowProductOf(kernel, alone, rows, choice);
  if (product !== null) return { kind: "product", ...product };
  return { kind: "fold", reduction: kernel.reduction, shape: foldShapeOf(alone, alone.reduction, teams) };
}

type Narrow = Pick<Stage, "kernel" | "rows">;

/** Neighbouring axes of the rows as one, where they may be in all stages. */
function mergedRows(stages: readonly Narrow[]): readonly Narrow[] {
  let merged = stages;
  for (let row = at(stages, 0).rows.length - 2; row >= 0; row--) {
    const may = merged.every(
      ({ kernel, rows }) => at(rows, row) + 1 === at(rows, row + 1) && mayMerge(kernel, at(rows, row)),
    );
    if (!may) continue;
    merged = merged.map(({ kernel, rows }) => {
      const axis = at(rows, row);
      const kept = rows.filter((_, i) => i !== row + 1);
      return { kernel: mergeWithNext(kernel, axis), rows: kept.map((other) => (other > axis ? other - 1 : other)) };
    });
  }
  return merged;
}

/** How many rows a workgroup takes: enough that its threads have something to do, and as many as leave enough to others. */
function blockOf(stages: readonly Stage[]): Block {
  const { kernel, rows } = at(stages, 0);
  const sizes = rows.map((axis) => at(kernel.axes, axis).size);
  const all = sizes.reduce((product, size) => product * size, 1);
  const last = sizes.at(-1) ?? 1;
  const heights = Array.from({ length: Math.min(last, mostRows) }, (_, i) => i + 1).filter(
    (height) => last % height === 0,
  );
  if (stages.some(({ work }) => work.kind === "product")) {
    const large = 2 * rowTile;
    return { sizes, height: last % large === 0 && all / large >= enoughBlocks ? large : rowTile };
  }
  const teams = stages.flatMap(({ work }) => {
    return work.kind === "fold" && work.shape.isTeamInside && work.shape.threads > 1 ? [pointsAtOnce(work.shape)] : [];
  });
  if (teams.length > 0) {
    const most = Math.min(...teams);
    return { sizes, height: heights.findLast((height) => height <= most) ?? 1 };
  }
  const points = Math.max(...stages.map((stage) => pointsOf(parallelAxes(stage.kernel)) / all));
  const busy = heights.find((height) => height * points >= foldThreads) ?? at(heights, heights.length - 1);
  const many = heights.findLast((height) => all / height >= enoughBlocks) ?? 1;
  return { sizes, height: Math.max(busy, many) };
}

const parallelAxes = ({ axes }: Kernel): Kernel["axes"] => axes.filter(({ role }) => role === "parallel");

/** Sizes of a stage's parallel axes within a block. */
function sizesWithin({ kernel, rows }: Stage, { height }: Block): readonly { readonly size: number }[] {
  return parallelAxes(kernel).map(({ size }, axis) => {
    const row = rows.indexOf(axis);
    if (row < 0) return { size };
    return { size: row === rows.length - 1 ? height : 1 };
  });
}

/** The axis along which a thread takes four points; null: none. */
function laneOf(stage: Stage, block: Block): number | null {
  const { kernel, work } = stage;
  const sizes = sizesWithin(stage, block);
  const last = sizes.length - 1;
  const isAcross = work.kind === "product" || (work.kind === "fold" && work.shape.isTeamInside);
  if (last < 0 || at(sizes, last).size % 4 !== 0 || isAcross) return null;
  return allowsLanes(rootsOf(kernel), last, at(kernel.axes, last).size) ? last : null;
}

/** Whether an array is bound in fours: if all that any stage touches of it is. */
function vectorsOf(stages: readonly Stage[], lanes: readonly (number | null)[]): (array: number) => boolean {
  const single = new Set<number>();
  stages.forEach(({ kernel, results, work }, index) => {
    if (work.kind === "product") {
      const singles = singlesOf(work);
      for (const operand of singles.operands) single.add(operand);
      for (const result of singles.results) single.add(at(results, result));
      return;
    }
    const lane = at(lanes, index);
    for (const scalar of scalarsOf(...rootsOf(kernel))) {
      if (!isRead(scalar)) continue;
      if (lane === null || scalar.kind === "gather" || !isAligned(scalar.at, lane)) single.add(scalar.operand);
    }
    kernel.stores.forEach((store, result) => {
      if (lane === null || !isAligned(store.at, lane) || store.length % 4 !== 0) single.add(at(results, result));
    });
  });
  return (array) => !single.has(array);
}

/** Whether an array has 16-bit floats. */
function halvesIn({ stages }: PlacedRows): (array: number) => boolean {
  const arrays = new Set(
    stages
      .flatMap(({ kernel, operands, results }) => [
        ...operands.filter((_, i) => at(kernel.operands, i).storage === "float16"),
        ...results.filter((_, i) => at(kernel.stores, i).storage === "float16"),
      ])
      .map(({ array }) => array),
  );
  return (array) => arrays.has(array);
}

/** Each array once, as what the step has in it first: a result, if there is one. */
function bindArrays(
  { operands, results }: PlacedRows,
  stages: readonly Stage[],
  isVector: (array: number) => boolean,
  isHalf: (array: number) => boolean,
): Arrays {
  const types = new Map<number, DType>();
  for (const { kernel, results: written } of stages) {
    for (const scalar of scalarsOf(...rootsOf(kernel))) if (isRead(scalar)) types.set(scalar.operand, scalar.dtype);
    kernel.stores.forEach(({ dtype }, result) => types.set(at(written, result), dtype));
  }
  const bindings: BoundArray[] = [];
  const declarations: string[] = [];
  for (const array of new Set([...results, ...operands].map((place) => place.array))) {
    const result = results.findIndex((place) => place.array === array);
    const operand = operands.findIndex((place) => place.array === array);
    const bound: BoundArray =
      result < 0
        ? { kind: "operand", index: operand, access: "read" }
        : { kind: "result", index: result, access: "read_write" };
    const type = { dtype: types.get(array) ?? "f32", isHalf: isHalf(array) };
    declarations.push(declared(bindings.length, bound.access, `m${array}`, type, isVector(array) ? 4 : 1));
    bindings.push(bound);
  }
  return {
    bindings,
    declarations,
    operandName: (array) => `m${array}`,
    asOperand: (_, text) => text,
    resultName: (array) => `m${array}`,
    isHalf: (_, array) => isHalf(array),
  };
}

/** Texts of where a block begins on each axis of the rows. */
function basesOf(writer: WgslWriter, { sizes, height }: Block, number: string): readonly string[] {
  const last = sizes.length - 1;
  const blocks = sizes.map((size, row) => (row === last ? size / height : size));
  return coordinatesOf(number, blocks, (text) => writer.local(text)).map(({ text }, row) =>
    row === last && text !== "0u" ? writer.local(`${text} * ${height}u`) : text,
  );
}

function emitStage(
  writer: WgslWriter,
  stage: Stage,
  block: Block,
  bases: readonly string[],
  lane: number | null,
  shared: Arrays,
  isVectorArray: (array: number) => boolean,
): void {
  const { kernel, rows, work, results } = stage;
  const arrays: Arrays = {
    ...shared,
    resultName: (result) => shared.resultName(at(results, result)),
    isHalf: (kind, index) => shared.isHalf(kind, kind === "operand" ? index : at(results, index)),
  };
  const vectors: IsVector = ({ kind, index }) => isVectorArray(kind === "operand" ? index : at(results, index));
  const loads = loadsFrom(arrays, { operands: [], results: [], beside: [] }, vectors);
  if (work.kind === "product") {
    emitRowProduct(writer, work, rows, { bases, height: block.height }, vectors, arrays, loads);
    return;
  }
  const sizes = sizesWithin(stage, block);
  const points = pointsOf(sizes) / (lane === null ? 1 : 4);
  const placeAt = (index: string): ReturnType<typeof placeOf> =>
    inBlock(writer, placeOf(writer, sizes, lane, index), stage, block, bases);
  if (work.kind === "points") {
    const point = writer.fresh("point");
    writer.open(`for (var ${point} = local; ${point} < ${points}u; ${point} += ${foldThreads}u)`);
    const place = { ...placeAt(point), accumulator: null };
    const emitter = new ExpressionEmitter(writer, kernel, loads, place);
    const values = emitter.emit(...kernel.stores.map(({ value }) => value));
    const widened = values.map((value) => ({ ...value, text: emitter.widened(value) }));
    storeResults(writer, kernel, arrays, vectors, place, widened);
    writer.close();
    return;
  }
  const { reduction } = work;
  const shape = { ...work.shape, lane };
  const { member, column } = seatOf(writer, shape);
  const round = writer.fresh("round");
  const atOnce = pointsAtOnce(shape);
  writer.open(`for (var ${round} = 0u; ${round} < ${Math.ceil(points / atOnce)}u; ${round}++)`);
  const point = writer.local(`${round} * ${atOnce}u + ${column}`);
  const isPoint = `${point} < ${points}u`;
  if (shape.threads === 1) writer.open(`if (${isPoint})`);
  const known = shape.threads === 1 ? point : writer.local(`min(${point}, ${points - 1}u)`);
  foldPoint(writer, { kernel, reduction, arrays, vectors, loads }, shape, { member, isPoint, place: placeAt(known) });
  if (shape.threads === 1) writer.close();
  // The team's memory is written again in the next round.
  else writer.line("workgroupBarrier();");
  writer.close();
}

/** A point of a block as one of the kernel. */
function inBlock(
  writer: WgslWriter,
  { axes, lane }: ReturnType<typeof placeOf>,
  { kernel, rows }: Stage,
  { height }: Block,
  bases: readonly string[],
): ReturnType<typeof placeOf> {
  const moved = (text: string, base: string): string => {
    if (base === "0u") return text;
    return text === "0u" ? base : writer.local(`${base} + ${text}`);
  };
  const base = lane === null ? undefined : bases[rows.indexOf(lane.axis)];
  return {
    axes: axes.map(({ text }, axis): AxisText => {
      const row = rows.indexOf(axis);
      return { text: row < 0 ? text : moved(text, at(bases, row)), size: at(kernel.axes, axis).size };
    }),
    // A block begins at a multiple of its height, which is one of four where four rows are taken at once.
    lane:
      lane && base !== undefined && height % 4 === 0 ? { ...lane, quarter: moved(lane.quarter, `${base} / 4u`) } : lane,
  };
}
