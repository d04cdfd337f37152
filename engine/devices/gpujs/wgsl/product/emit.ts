/** Products of matrices, convolutions among them, tile by tile (`tile.ts`): each workgroup a tile, each thread a part of it in registers. */
import { at } from "../../../../graph/shape.ts";
import { printTiling, type Tiled } from "../../../../kernel/tiling.ts";
import type { Affine } from "../../../../kernel/kernel.ts";
import { coordinatesOf } from "../addresses.ts";
import { ExpressionEmitter, type Loads } from "../expression.ts";
import { halvesOf } from "../halves.ts";
import { type IsVector, loadsFrom } from "../memory.ts";
import {
  type Aliases,
  type Arrays,
  arraysOf,
  foldedGroups,
  groupNumber,
  moduleText,
  type WgslKernel,
} from "../wgslKernel.ts";
import { WgslWriter } from "../writer.ts";
import { Fill, layoutOf } from "./fill.ts";
import { declareFinish, type Finish, finishOf, readBy } from "./finish.ts";
import {
  addChains,
  declareSums,
  multiplyStaged,
  quarterText,
  range,
  rowAtText,
  rowText,
  threadGrid,
} from "./multiply.ts";
import type { Step } from "./places.ts";
import type { Product } from "./product.ts";
import { multiplyFromMemory } from "./registers.ts";
import { isStored, laneAxisOf, operandsOf, type Side } from "./sides.ts";
import { threadsOf, type Tile, tileOf } from "./tile.ts";

/** @param tiled what `tiledProduct` gives for the product and a tile */
export function emitProduct(described: Product, tiled: Tiled, aliases: Aliases): WgslKernel {
  const tile = tileOf(tiled);
  const finish = finishOf(described, aliases);
  const [product, isVector] = boundInFours(described, finish, tile);
  const { kernel, sizes } = product;
  const arrays = arraysOf(kernel, aliases, (bound) => (isVector(bound) ? 4 : 1));
  const loads = loadsFrom(arrays, aliases, isVector);
  const writer = new WgslWriter();
  const finishName = declareFinish(writer, finish, arrays, loads);

  const tiles = {
    batch: sizes.batch,
    rows: Math.ceil(sizes.rows / tile.rows),
    columns: Math.ceil(sizes.columns / tile.columns),
  };
  const count = tiles.batch * tiles.rows * tiles.columns;
  const groups = foldedGroups(count);
  const isWhole = groups[0] * groups[1] === count;
  const number = writer.local(groupNumber(groups));
  // The same for all threads of a workgroup, which meet at barriers within.
  if (!isWhole) writer.open(`if (${number} < ${count}u)`);
  // Workgroups side by side have the same columns as far as they can, which are read once from memory then.
  const [batch, columnTile, rowTile] = coordinatesOf(number, [tiles.batch, tiles.columns, tiles.rows], (text) =>
    writer.local(text),
  ).map(({ text }) => text) as [string, string, string];
  const first = {
    row: rowTile === "0u" ? "0u" : writer.local(`${rowTile} * ${tile.rows}u`),
    column: columnTile === "0u" ? "0u" : writer.local(`${columnTile} * ${tile.columns}u`),
  };
  emitTile(writer, { product, tile, finish, finishName, arrays, loads }, { batch, ...first });
  if (!isWhole) writer.close();

  const schedule = `${tile.shared ? "tiled product" : "product in registers"}: ${printTiling(tiled)}`;
  return {
    name: kernel.name,
    schedule,
    text: moduleText(schedule, arrays, writer, threadsOf(tile)),
    bindings: arrays.bindings,
    groups,
  };
}

/** A product that is computed tile by tile, and what is done with its sums. */
export type TileTask = {
  readonly product: Product;
  readonly tile: ReturnType<typeof tileOf>;
  readonly finish: Pick<Finish, "lane">;
  /** The function that stores a sum. */
  readonly finishName: string;
  readonly arrays: Pick<Arrays, "operandName" | "isHalf">;
  readonly loads: Loads;
};

/** Where a tile is: texts of the product's number in the batch, and of the tile's first row and column. */
export type TilePlace = { readonly batch: string; readonly row: string; readonly column: string };

/** A tile, computed and stored by all threads of a workgroup. */
export function emitTile(writer: WgslWriter, task: TileTask, first: TilePlace): void {
  const { product, tile, finish, finishName, arrays, loads } = task;
  const { kernel, sizes } = product;
  const { batch } = first;
  const grid = threadGrid(tile);
  const threadRow = writer.local(`local / ${grid.columns}u`);
  const threadColumn = writer.local(`local % ${grid.columns}u`);
  const elementOf =
    ({ load: { operand }, inFours }: Side) =>
    (index: string): string => {
      const name = arrays.operandName(operand);
      if (arrays.isHalf("operand", operand)) {
        return inFours ? halvesOf(name).four(`(${index}) / 4u`) : halvesOf(name).element(index);
      }
      return inFours ? `${name}[(${index}) / 4u]` : `${name}[${index}]`;
    };
  const factorOf =
    (side: Side) =>
    (address: (affine: Affine) => string): string => {
      if (isStored(side)) return elementOf(side)(address(side.load.at));
      const coordinates = kernel.axes.map(({ size }) => ({ text: "0u", size }));
      const lane = side.inFours ? { axis: laneAxisOf(side, kernel.axes), quarter: "0u" } : null;
      const emitter = new ExpressionEmitter(writer, kernel, loads, {
        axes: coordinates,
        lane,
        accumulator: null,
        address,
      });
      const [value] = emitter.emit(side.factor);
      return value === undefined ? "0f" : emitter.widened(value);
    };

  const sums = declareSums(writer, tile, "sum");
  const hasParts = tile.part < sizes.depth;
  const totals = hasParts ? declareSums(writer, tile, "total") : sums;
  const lanesOfRows = multiply();
  if (hasParts) addChains(writer, totals, sums);
  store(lanesOfRows);

  /** Which rows of the tile are a thread's depends on how they are read. */
  function multiply(): Parameters<typeof rowText>[1] {
    if (!tile.shared) {
      const place = { tile, first, thread: { row: threadRow, column: threadColumn }, batch, factorOf };
      return multiplyFromMemory(writer, product, place, sums, hasParts ? totals : null);
    }
    const threads = threadsOf(tile);
    const layouts = {
      left: layoutOf(product.left, tile.rows, tile.depth, false),
      right: layoutOf(product.right, tile.columns, tile.depth, true),
    };
    const [left, right] = (["left", "right"] as const).map((name) => {
      const side = product[name];
      return new Fill({
        writer,
        side,
        layout: layouts[name],
        axes: kernel.axes,
        threads,
        first: name === "left" ? first.row : first.column,
        batch,
        factor: factorOf(side),
      });
    }) as [Fill, Fill];
    const tabulate = (at: Step): void => {
      const places = [left.places, right.places].filter(({ hasTables }) => hasTables);
      if (places.length === 0) return;
      writer.open(`if (local < ${tile.depth}u)`);
      for (const place of places) place.tabulate(at);
      writer.close();
    };
    tabulate({ number: "0u", half: "0u" });
    const step = writer.fresh("step");
    writer.open(`for (var ${step} = 0u; ${step} < ${Math.ceil(sizes.depth / tile.depth)}u; ${step}++)`);
    writer.line("workgroupBarrier();");
    const half = left.places.hasTables || right.places.hasTables ? writer.local(`${step} % 2u * ${tile.depth}u`) : "0u";
    for (const fill of [left, right]) fill.fill({ number: step, half });
    tabulate({ number: `(${step} + 1u)`, half: `(${step} + 1u) % 2u * ${tile.depth}u` });
    writer.line("workgroupBarrier();");
    const staged = [
      { array: left.array, layout: layouts.left },
      { array: right.array, layout: layouts.right },
    ] as const;
    multiplyStaged(writer, tile, sums, staged, [threadRow, threadColumn]);
    if (hasParts) {
      const steps = tile.part / tile.depth;
      writer.open(`if (${step} % ${steps}u == ${steps - 1}u)`);
      addChains(writer, totals, sums);
      writer.close();
    }
    writer.close();
    return layouts.left;
  }

  function store(rowLayout: Parameters<typeof rowText>[1]): void {
    const isRowsWhole = sizes.rows % tile.rows === 0;
    const isColumnsWhole = sizes.columns % tile.columns === 0;
    const guarded = (conditions: readonly string[], statement: string): void => {
      if (conditions.length === 0) writer.line(statement);
      else writer.line(`if (${conditions.join(" && ")}) { ${statement} }`);
    };
    const quarters = range(tile.threadColumns / 4).map((q) => {
      const quarter = quarterText(tile, threadColumn, q);
      return writer.local(first.column === "0u" ? quarter : `${first.column} / 4u + ${quarter}`);
    });
    const storeRow = (inTile: string, sumOf: (quarter: number) => string): void => {
      const row = writer.local(first.row === "0u" ? inTile : `${first.row} + ${inTile}`);
      const rowGuard = isRowsWhole ? [] : [`${row} < ${sizes.rows}u`];
      quarters.forEach((quarter, q) => {
        if (finish.lane !== null) {
          const guard = isColumnsWhole ? [] : [`${quarter} < ${sizes.columns / 4}u`];
          guarded([...rowGuard, ...guard], `${finishName}(${batch}, ${row}, ${quarter}, ${sumOf(q)});`);
          return;
        }
        eachLane((lane) => {
          const column = `${quarter} * 4u + ${lane}`;
          const guard = isColumnsWhole ? [] : [`${column} < ${sizes.columns}u`];
          guarded([...rowGuard, ...guard], `${finishName}(${batch}, ${row}, ${column}, ${sumOf(q)}[${lane}]);`);
        });
      });
    };
    const eachLane = (write: (lane: string) => void): void => {
      if (tile.shared) range(4).forEach((lane) => write(`${lane}u`));
      else inLoop(4, write);
    };
    const inLoop = (count: number, write: (index: string) => void): void => {
      const index = writer.fresh("i");
      writer.open(`for (var ${index} = 0u; ${index} < ${count}u; ${index}++)`);
      write(index);
      writer.close();
    };
    if (tile.shared) {
      totals.forEach((line, i) => storeRow(rowText(tile, rowLayout, threadRow, i), (q) => at(line, q)));
      return;
    }
    // For the text to be short, which is what this tile is for: there is one call, to be written out by whom it helps.
    const all = totals.flat();
    const kept = writer.variable(`array<vec4f, ${all.length}>(${all.join(", ")})`);
    inLoop(totals.length, (i) =>
      storeRow(rowAtText(tile, rowLayout, threadRow, i), (q) => `${kept}[${i} * ${quarters.length}u + ${q}u]`),
    );
  }
}

/**
 * The product with sides that are read in fours only where their arrays are bound so, which takes that all who read one can read fours;
 * and which arrays are.
 */
export function boundInFours(product: Product, finish: Finish, tile: Tile): [Product, IsVector] {
  // What is written out without memory of the workgroup may begin between two fours.
  const isUsable = ({ along }: Side): boolean => tile.shared || along === "own" || tile.depth % 4 === 0;
  const sides = [product.left, product.right].map((side) => ({ ...side, inFours: side.inFours && isUsable(side) }));
  const readLater = readBy(finish);
  const isVector: IsVector = (bound) => {
    if (bound.kind === "operand" && at(product.kernel.operands, bound.index).storage === "float16") return true;
    const readers = bound.kind === "operand" ? sides.filter((side) => operandsOf(side).includes(bound.index)) : [];
    if (readers.length === 0) return finish.isVector(bound);
    return readers.every(({ inFours }) => inFours) && (!readLater.has(bound.index) || finish.isVector(bound));
  };
  const [left, right] = sides.map((side) => ({
    ...side,
    inFours: side.inFours && operandsOf(side).every((index) => isVector({ kind: "operand", index })),
  })) as [Side, Side];
  return [{ ...product, left, right }, isVector];
}
