/** The code of a product, as its tiling says: threads share panels of columns, pack them part by part and multiply them by all rows. */
import { at, sizeOf } from "../../../../graph/shape.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import type { Kernel } from "../../../../kernel/kernel.ts";
import { extentOf } from "../../../../kernel/tiling.ts";
import { type Code, f32x4, type FunctionBuilder, i32, type Local, op } from "../../assembler/index.ts";
import type { Finish } from "../finish.ts";
import {
  addressOf,
  kernelParameters,
  type Phase,
  resultAddress,
  type Scratch,
  scratchAddress,
} from "../../loops/index.ts";
import { advance, after, repeat, rowTiles } from "../tile.ts";
import { type Nest, packPanel, packRow, packTurnedRows, walk } from "./pack.ts";
import { panelsOf, type Product, tileRowsOf } from "./plan.ts";

/** Sizes, and which axes are gone through where, as the tiling of a product has them. */
function geometryOf(kernel: Kernel, { left, right, row, column, tiling }: Product) {
  const { splits, stages } = tiling;
  const size = (axis: number): number => at(kernel.axes, axis).size;
  const isReduced = (axis: number): boolean => at(kernel.axes, axis).role === "reduce";
  const panel = stages.find(({ load }) => load === right);
  const packedRows = stages.find(({ load }) => load === left);
  if (panel === undefined) throw new Error("product: its tiling copies no panel of columns");
  const around = splits.slice(0, panel.inside);
  const within = splits.slice(panel.inside);
  const parts = around.filter(({ axis }) => isReduced(axis));
  const cut = at(parts, parts.length - 1);
  const outer = around.flatMap(({ axis }) => (isReduced(axis) || axis === column ? [] : [axis]));
  const inner = within.flatMap(({ axis }) => (isReduced(axis) && axis !== cut.axis ? [axis] : []));
  const reduce = kernel.axes.flatMap((_, axis) => (isReduced(axis) ? [axis] : []));
  const panels = around.findIndex(({ axis }) => axis === column);
  const leftOuter = outer.filter((axis) => at(left.at.coefficients, axis) !== 0);
  const depth = sizeOf(reduce.map(size));
  const panelColumns = extentOf(kernel, tiling, column, panel.inside);
  const { whole, last } = panelsOf(size(column) / 4);
  const partDepth = cut.by * sizeOf(inner.map(size));
  /** Axes with rows of their own, of which copies are made at once. */
  const packedOuter = leftOuter.filter((axis) => packedRows?.inside !== 1 || axis !== 0);
  const isTurned = bytesOf(left, row) === 4 && bytesOf(left, at(reduce, reduce.length - 1)) !== 4;
  // A line of the cache has sixteen numbers.
  const rowsAtOnce = !isTurned ? 1 : size(row) % 16 === 0 ? 16 : size(row) % 4 === 0 ? 4 : 1;
  return {
    size,
    reduce,
    rows: size(row),
    tileRows: at(
      within,
      within.findIndex(({ axis }) => axis === row),
    ).by,
    panelColumns,
    /** Panels of `panelColumns`, and what is left as one more, in vectors; 0: nothing. */
    wholePanels: whole,
    lastVectors: last,
    panels: whole + Math.min(1, last),
    outer,
    outerPoints: sizeOf(outer.map(size)),
    depth,
    /** Each position on `outer` has parts of its own, of `length` on the axis that is cut and of all of `inner`. */
    parts: { outer: parts.slice(0, -1).map(({ axis }) => axis), axis: cut.axis, length: cut.by, inner },
    partDepth,
    /** When rows are copied: never, all before the first is used, or those of a position on the first axis by the thread that has it. */
    packing: packedRows === undefined ? "none" : packedRows.inside === 1 ? "each" : "all",
    packedOuter,
    /** How many rows are copied at a time, and how often. */
    rowsAtOnce,
    rowBlocks: (sizeOf(packedOuter.map(size)) * size(row)) / rowsAtOnce,
    // Copies have a place for each number to sum, also where several are the same.
    leftBytes: packedRows === undefined ? 0 : 4 * sizeOf(packedOuter.map(size)) * size(row) * depth,
    panelBytes: 4 * Math.max(panelColumns, 4 * last) * partDepth,
    /** Whether threads share the first axis alone, and each goes through all panels of what is its. */
    sharesFirst: at(around, panels).as !== "grid",
  } as const;
}

const bytesOf = ({ at: { coefficients } }: Pick<Load, "at">, axis: number): number => 4 * at(coefficients, axis);

export function productScratch(kernel: Kernel, product: Product): Scratch {
  const { panelBytes, leftBytes, packing } = geometryOf(kernel, product);
  const copies = 16 * Math.ceil(leftBytes / 16);
  return packing === "each" ? { shared: 0, perThread: copies + panelBytes } : { shared: copies, perThread: panelBytes };
}

/** Where a thread has memory of its own. */
function ownScratch(f: FunctionBuilder, kernel: Kernel, product: Product, table: Local, thread: Local): Local {
  const { shared, perThread } = productScratch(kernel, product);
  const scratch = scratchAddress(f, kernel, table);
  return f.let("i32", "own", op("i32.add", op("i32.add", scratch, i32(shared)), op("i32.mul", thread, i32(perThread))));
}

/** First rows are packed if need be; then threads pack panels of columns and multiply them by all rows; then results are finished. */
export function productPhases(kernel: Kernel, product: Product, finish: Finish): readonly Phase[] {
  const geometry = geometryOf(kernel, product);
  const { size, rows, tileRows, depth, panels, outerPoints, leftBytes, rowsAtOnce, rowBlocks, sharesFirst } = geometry;
  const columns = size(product.column);
  const packingCost = rowsAtOnce > 1 ? leftBytes / 8 : leftBytes / 3;
  const packing: Phase = {
    size: rowBlocks,
    block: 1,
    cost: packingCost,
    emit: (module, name) =>
      module.define(`${name}_rows`, kernelParameters, [], (f, table, low, high) => {
        emitRows(f, kernel, product, { table, to: scratchAddress(f, kernel, table) }, null, low, high);
      }),
  };
  const packsEach = geometry.packing === "each";
  const vectors = (outerPoints * columns) / 4;
  const isTurned = bytesOf(product.right, product.column) !== 4;
  const multiplying: Phase = {
    size: sharesFirst ? size(0) : outerPoints * panels,
    block: 1,
    // Of each number to sum: packing, then for the rows of a tile their factors and a loop, and for each vector a load and its products.
    cost:
      depth *
        (vectors * (isTurned ? 5 : 2) +
          (rows / tileRows) * (outerPoints * panels * (tileRows + 3) + vectors * (tileRows + 1))) +
      vectors * rows +
      (packsEach ? size(0) * packingCost : 0),
    emit: (module, name, { relaxed }) => {
      const finishing = sharesFirst ? finish(module, `${name}_finish`) : null;
      return module.define(name, kernelParameters, [], (f, table, low, high, thread) => {
        const panel = (first: Local | null, index: Local): void => {
          emitPanel(f, kernel, product, relaxed, { table, thread }, first, index);
        };
        if (!sharesFirst) {
          countFrom(f, low, high, (index) => panel(null, index));
          return;
        }
        countFrom(f, low, high, (first) => {
          if (packsEach) {
            const to = ownScratch(f, kernel, product, table, thread);
            emitRows(f, kernel, product, { table, to }, first, f.let("i32", "block", i32(0)), i32(rowBlocks));
          }
          const start = f.let("i32", "index", i32(0));
          const inner = (outerPoints / size(0)) * panels;
          countFrom(f, start, f.let("i32", "end", i32(inner)), (index) => panel(first, index));
          const next = f.let("i32", "next", op("i32.add", first, i32(1)));
          if (finishing !== null) f.call(finishing, table, first, next, thread);
        });
      });
    },
  };
  const finishing: Phase = {
    size: size(0),
    block: 1,
    cost: 5 * vectors * rows,
    emit: (module, name) =>
      finish(module, `${name}_finish`) ?? module.define(`${name}_finish`, kernelParameters, [], () => undefined),
  };
  const isPlain = kernel.stores[0].value.kind === "accumulator";
  return [
    ...(geometry.packing === "all" ? [packing] : []),
    multiplying,
    ...(sharesFirst || isPlain ? [] : [finishing]),
  ];
}

/** Runs `body` for every number from `low` to `high`, at least once. */
function countFrom(f: FunctionBuilder, low: Local, high: Local | Code, body: (index: Local) => void): void {
  const index = f.let("i32", "index", low);
  f.loop((again) => {
    body(index);
    f.tee(index, op("i32.add", index, i32(1)));
    f.branchIf(again, op("i32.lt_s", high));
  });
}

/** Splits a number into positions on axes, the last one fastest. */
function positionsOf(
  f: FunctionBuilder,
  axes: readonly number[],
  size: (axis: number) => number,
  index: Local,
): ReadonlyMap<number, Local> {
  const positions = new Map<number, Local>();
  const rest = after(f, "rest", index, 0);
  axes.toReversed().forEach((axis, i) => {
    const isLast = i === axes.length - 1;
    const position = isLast ? rest : f.let("i32", "position", op("i32.rem_u", rest, i32(size(axis))));
    positions.set(axis, position);
    if (!isLast) f.set(rest, op("i32.div_u", rest, i32(size(axis))));
  });
  return positions;
}

/** The address of an access at positions on some axes and 0 on the others. */
function addressAt(
  f: FunctionBuilder,
  base: Local,
  access: Pick<Load, "at">,
  positions: ReadonlyMap<number, Local>,
): Local {
  const address = after(f, "address", base, 4 * access.at.offset);
  for (const [axis, position] of positions) {
    const step = bytesOf(access, axis);
    if (step !== 0) f.set(address, op("i32.add", address, op("i32.mul", position, i32(step))));
  }
  return address;
}

/** Packs the blocks of rows from `low` to `high`, counted over all points that have some, or those of the position `first`. */
function emitRows(
  f: FunctionBuilder,
  kernel: Kernel,
  product: Product,
  memories: { readonly table: Local; readonly to: Local },
  first: Local | null,
  low: Local,
  high: Local | Code,
): void {
  const { left, row } = product;
  const { size, reduce, depth, packedOuter, rowsAtOnce } = geometryOf(kernel, product);
  const base = addressOf(f, memories.table, left.operand);
  const nest: Nest = reduce.map((axis) => ({ size: size(axis), step: bytesOf(left, axis) }));
  const blockBytes = 4 * depth * rowsAtOnce;
  const blocks = (axis: number): number => (axis === row ? size(row) / rowsAtOnce : size(axis));
  const to = f.let("i32", "to", op("i32.add", memories.to, op("i32.mul", low, i32(blockBytes))));
  countFrom(f, low, high, (index) => {
    const positions = new Map(positionsOf(f, [...packedOuter, row], blocks, index));
    if (first !== null) positions.set(0, first);
    const block = positions.get(row);
    if (block !== undefined && rowsAtOnce > 1) f.set(block, op("i32.mul", block, i32(rowsAtOnce)));
    const from = addressAt(f, base, left, positions);
    if (rowsAtOnce === 1) {
      packRow(f, nest, from, to);
      return;
    }
    packTurnedRows(f, nest, rowsAtOnce, from, to, 4 * depth);
    advance(f, to, blockBytes);
  });
}

/** Packs a panel of columns, part by part, and multiplies it by all rows. `first`: the position on the first axis if it is shared. */
function emitPanel(
  f: FunctionBuilder,
  kernel: Kernel,
  product: Product,
  relaxed: boolean,
  { table, thread }: { readonly table: Local; readonly thread: Local },
  first: Local | null,
  index: Local,
): void {
  const { left, right, row, column } = product;
  const geometry = geometryOf(kernel, product);
  const { size, rows, panelColumns, panels, wholePanels, lastVectors, outer, depth, parts, partDepth, packing } =
    geometry;
  const own = ownScratch(f, kernel, product, table, thread);
  const { perThread } = productScratch(kernel, product);
  const panelMemory = after(f, "panel", own, perThread - geometry.panelBytes);
  // Which panel of which outer point.
  const number = f.let("i32", "number", op("i32.rem_u", index, i32(panels)));
  const point = f.let("i32", "point", op("i32.div_u", index, i32(panels)));
  const positions = new Map(positionsOf(f, first === null ? outer : outer.slice(1), size, point));
  if (first !== null) positions.set(0, first);
  const columns = f.let("i32", "columns", op("i32.mul", number, i32(panelColumns)));
  const atColumns = new Map([...positions, [column, columns]]);
  const from = addressAt(f, addressOf(f, table, right.operand), right, atColumns);
  const results = addressAt(f, resultAddress(f, kernel, table), kernel.stores[0], atColumns);
  const rowBytes = packing === "none" ? bytesOf(left, row) : 4 * depth;
  const copies = packing === "each" ? own : scratchAddress(f, kernel, table);
  const rowsFrom =
    packing === "none"
      ? addressAt(f, addressOf(f, table, left.operand), left, positions)
      : packedRowsAt(f, copies, geometry.packedOuter, size, positions, rows * rowBytes);
  const resultRow = bytesOf(kernel.stores[0], row);

  const nestOf = (axes: readonly number[]): Nest =>
    axes.map((axis) => ({ size: size(axis), step: bytesOf(right, axis) }));
  const step = bytesOf(right, parts.axis);
  const multiply = (vectors: number): void => {
    /** A part: so many numbers of the axis that is cut. */
    const part = (start: Local, length: number, isFirst: boolean): void => {
      const nest = [{ size: length, step }, ...nestOf(parts.inner)];
      const tile = { relaxed, depth: (partDepth / parts.length) * length, vectors, isFirst };
      packPanel(f, nest, vectors, bytesOf(right, column), start, after(f, "to", panelMemory, 0));
      const [a, y] = [after(f, "a", rowsFrom, 0), after(f, "y", results, 0)];
      const tileRows = tileRowsOf(vectors);
      const multiplyRows = (height: number, count: number): void => {
        const factors = { pointer: a, row: rowBytes, step: 4 };
        const columns = { pointer: panelMemory, row: 16 * vectors };
        rowTiles(f, { ...tile, rows: height }, count, factors, columns, { pointer: y, row: resultRow });
      };
      const whole = Math.floor(rows / tileRows);
      if (whole > 0) {
        multiplyRows(tileRows, whole);
        advance(f, a, whole * tileRows * rowBytes);
        advance(f, y, whole * tileRows * resultRow);
      }
      if (rows % tileRows > 0) multiplyRows(rows % tileRows, 1);
      advance(f, rowsFrom, 4 * tile.depth);
    };
    if (partDepth === depth) {
      part(from, parts.length, true);
      return;
    }
    clearRows(f, { rows, row: resultRow, vectors }, results);
    walk(f, nestOf(parts.outer), from, (first) => {
      const start = after(f, "start", first, 0);
      repeat(f, Math.floor(size(parts.axis) / parts.length), () => {
        part(start, parts.length, false);
        advance(f, start, parts.length * step);
      });
      if (size(parts.axis) % parts.length > 0) part(start, size(parts.axis) % parts.length, false);
    });
  };
  if (lastVectors === 0) multiply(panelColumns / 4);
  else if (wholePanels === 0) multiply(lastVectors);
  else {
    f.op("i32.lt_u", number, i32(wholePanels));
    f.if(
      () => multiply(panelColumns / 4),
      () => multiply(lastVectors),
    );
  }
}

/** Fills the results of a panel with 0. */
function clearRows(
  f: FunctionBuilder,
  { rows, row, vectors }: { readonly rows: number; readonly row: number; readonly vectors: number },
  results: Local,
): void {
  const to = after(f, "to", results, 0);
  repeat(f, rows, () => {
    for (let vector = 0; vector < vectors; vector++) f.memory("v128.store", 16 * vector, to, f32x4(0));
    advance(f, to, row);
  });
}

function packedRowsAt(
  f: FunctionBuilder,
  scratch: Local,
  axes: readonly number[],
  size: (axis: number) => number,
  positions: ReadonlyMap<number, Local>,
  matrixBytes: number,
): Local {
  const point = f.let("i32", "matrix", i32(0));
  for (const axis of axes) {
    const position = positions.get(axis);
    if (position === undefined) throw new RangeError(`axis ${axis} has no position`);
    f.set(point, op("i32.add", op("i32.mul", point, i32(size(axis))), position));
  }
  return f.let("i32", "rows", op("i32.add", scratch, op("i32.mul", point, i32(matrixBytes))));
}
