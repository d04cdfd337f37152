/** The code of a product, as its tiling says: threads share panels of columns, pack them part by part and multiply them by all rows. */
import { at, sizeOf } from "../../../../graph/shape.ts";
import type { Load } from "../../../../kernel/contraction.ts";
import type { Kernel } from "../../../../kernel/kernel.ts";
import { extentOf, stepsOf } from "../../../../kernel/tiling.ts";
import { f32x4, type FunctionBuilder, i32, type Local, op } from "../../assembler/index.ts";
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
import { type Nest, packPanel, packRow, walk } from "./pack.ts";
import type { Product } from "./plan.ts";

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
  const partDepth = cut.by * sizeOf(inner.map(size));
  return {
    size,
    reduce,
    rows: size(row),
    tileRows: at(
      within,
      within.findIndex(({ axis }) => axis === row),
    ).by,
    panelColumns,
    panels: stepsOf(kernel, tiling, panels),
    outer,
    outerPoints: sizeOf(outer.map(size)),
    leftOuter,
    depth,
    /** Each position on `outer` has parts of its own, of `length` on the axis that is cut and of all of `inner`. */
    parts: { outer: parts.slice(0, -1).map(({ axis }) => axis), axis: cut.axis, length: cut.by, inner },
    partDepth,
    packsRows: packedRows !== undefined,
    // Copies have a place for each number to sum, also where several are the same.
    leftBytes: packedRows === undefined ? 0 : 4 * sizeOf(leftOuter.map(size)) * size(row) * depth,
    panelBytes: 4 * panelColumns * partDepth,
    /** Whether threads share the first axis alone, and each goes through all panels of what is its. */
    sharesFirst: at(around, panels).as !== "grid",
  };
}

const bytesOf = ({ at: { coefficients } }: Pick<Load, "at">, axis: number): number => 4 * at(coefficients, axis);

export function productScratch(kernel: Kernel, product: Product): Scratch {
  const { panelBytes, leftBytes } = geometryOf(kernel, product);
  return { shared: 16 * Math.ceil(leftBytes / 16), perThread: panelBytes };
}

/** First rows are packed if need be; then threads pack panels of columns and multiply them by all rows; then results are finished. */
export function productPhases(kernel: Kernel, product: Product, finish: Finish): readonly Phase[] {
  const { size, rows, tileRows, depth, panels, outerPoints, leftOuter, leftBytes, packsRows, sharesFirst } = geometryOf(
    kernel,
    product,
  );
  const columns = size(product.column);
  const packing: Phase = {
    size: leftOuter.reduce((points, axis) => points * size(axis), rows),
    block: 1,
    cost: leftBytes / 3,
    emit: (module, name) =>
      module.define(`${name}_rows`, kernelParameters, [], (f, table, low, high) => {
        emitRows(f, kernel, product, table, low, high);
      }),
  };
  const vectors = (outerPoints * columns) / 4;
  const isTurned = bytesOf(product.right, product.column) !== 4;
  const multiplying: Phase = {
    size: sharesFirst ? size(0) : outerPoints * panels,
    block: 1,
    // Of each number to sum: packing, then for the rows of a tile their factors and a loop, and for each vector a load and two products.
    cost:
      depth * (vectors * (isTurned ? 5 : 2) + (rows / tileRows) * (outerPoints * panels * 5 + vectors * 3)) +
      vectors * rows,
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
  return [...(packsRows ? [packing] : []), multiplying, ...(sharesFirst || isPlain ? [] : [finishing])];
}

/** Runs `body` for every number from `low` to `high`, at least once. */
function countFrom(f: FunctionBuilder, low: Local, high: Local, body: (index: Local) => void): void {
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

/** Packs the rows from `low` to `high`, counted over all outer points. */
function emitRows(f: FunctionBuilder, kernel: Kernel, product: Product, table: Local, low: Local, high: Local): void {
  const { left, row } = product;
  const { size, reduce, depth, leftOuter } = geometryOf(kernel, product);
  const base = addressOf(f, table, left.operand);
  const scratch = scratchAddress(f, kernel, table);
  const nest: Nest = reduce.map((axis) => ({ size: size(axis), step: bytesOf(left, axis) }));
  const to = f.let("i32", "to", op("i32.add", scratch, op("i32.mul", low, i32(4 * depth))));
  countFrom(f, low, high, (index) => {
    const from = addressAt(f, base, left, positionsOf(f, [...leftOuter, row], size, index));
    packRow(f, nest, from, to);
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
  const { size, rows, tileRows, panelColumns, panels, outer, leftOuter, depth, parts, partDepth, packsRows } =
    geometryOf(kernel, product);
  const { shared, perThread } = productScratch(kernel, product);
  const scratch = scratchAddress(f, kernel, table);
  const panelMemory = f.let(
    "i32",
    "panel",
    op("i32.add", op("i32.add", scratch, i32(shared)), op("i32.mul", thread, i32(perThread))),
  );
  // Which panel of which outer point.
  const number = f.let("i32", "number", op("i32.rem_u", index, i32(panels)));
  const point = f.let("i32", "point", op("i32.div_u", index, i32(panels)));
  const positions = new Map(positionsOf(f, first === null ? outer : outer.slice(1), size, point));
  if (first !== null) positions.set(0, first);
  const columns = f.let("i32", "columns", op("i32.mul", number, i32(panelColumns)));
  const atColumns = new Map([...positions, [column, columns]]);
  const from = addressAt(f, addressOf(f, table, right.operand), right, atColumns);
  const results = addressAt(f, resultAddress(f, kernel, table), kernel.stores[0], atColumns);
  const rowBytes = packsRows ? 4 * depth : bytesOf(left, row);
  const rowsFrom = packsRows
    ? packedRowsAt(f, scratch, leftOuter, size, positions, rows * rowBytes)
    : addressAt(f, addressOf(f, table, left.operand), left, positions);
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
      const multiplyRows = (height: number, count: number): void => {
        const result = { pointer: y, row: resultRow };
        rowTiles(f, { ...tile, rows: height }, count, { pointer: a, row: rowBytes }, panelMemory, result);
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
  const tail = (size(column) % panelColumns) / 4;
  const whole = Math.floor(size(column) / panelColumns);
  if (tail === 0) multiply(panelColumns / 4);
  else if (whole === 0) multiply(tail);
  else {
    f.op("i32.lt_u", number, i32(whole));
    f.if(
      () => multiply(panelColumns / 4),
      () => multiply(tail),
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
