/** Loops over pointers, and the tiles of matrix products that fit into registers. */
import { f32x4, type FunctionBuilder, i32, type Local, memory, op, shuffle32 } from "../assembler/index.ts";

/** Runs `body` so many times. */
export function repeat(f: FunctionBuilder, count: number, body: () => void): void {
  if (count === 1) body();
  if (count <= 1) return;
  const left = f.let("i32", "left", i32(count));
  f.loop((again) => {
    body();
    f.tee(left, op("i32.sub", left, i32(1)));
    f.branchIf(again);
  });
}

/** Adds a constant to a pointer. */
export function advance(f: FunctionBuilder, pointer: Local, bytes: number): void {
  if (bytes !== 0) f.set(pointer, op("i32.add", pointer, i32(bytes)));
}

export function after(f: FunctionBuilder, name: string, pointer: Local, bytes: number): Local {
  return f.let("i32", name, bytes === 0 ? pointer : op("i32.add", pointer, i32(bytes)));
}

function multiplyAdd(f: FunctionBuilder, relaxed: boolean, sum: Local, x: Local, y: Local): void {
  if (relaxed) f.op("f32x4.relaxed_madd", x, y, sum);
  else f.op("f32x4.add", sum, op("f32x4.mul", x, y));
  f.set(sum);
}

/** Some rows of a matrix, each in one piece; `row` bytes from one to the next. */
export type Rows = { readonly pointer: Local; readonly row: number };

/**
 * `rows` rows of `depth` numbers times the row-major matrix at `right` with `vectors` vectors a row. With `isFirst` false their
 * sums are added to what is there.
 */
function rowTile(
  f: FunctionBuilder,
  { relaxed, rows, depth, vectors, isFirst }: RowTile,
  left: Rows,
  right: Local,
  to: Rows,
): void {
  const places = Array.from({ length: rows }, (_, i) =>
    Array.from({ length: vectors }, (__, j) => i * to.row + 16 * j),
  );
  const sums = places.map((row) => row.map(() => f.let("v128", "sum", f32x4(0))));
  const [a, b] = [after(f, "a", left.pointer, 0), after(f, "b", right, 0)];
  // One step a pass: engines keep the sums in registers then, and lose them when several are written out.
  repeat(f, depth, () => {
    const columns = sums[0]?.map((_, j) => f.let("v128", "b", memory("v128.load", 16 * j, b)));
    sums.forEach((row, i) => {
      const x = f.let("v128", "a", memory("v128.load32_splat", i * left.row, a));
      row.forEach((sum, j) => {
        const y = columns?.[j];
        if (y !== undefined) multiplyAdd(f, relaxed, sum, x, y);
      });
    });
    advance(f, a, 4);
    advance(f, b, 16 * vectors);
  });
  sums.forEach((row, i) => {
    row.forEach((sum, j) => {
      const place = places[i]?.[j] ?? 0;
      const total = isFirst ? sum : op("f32x4.add", memory("v128.load", place, to.pointer), sum);
      f.memory("v128.store", place, to.pointer, total);
    });
  });
}

/**
 * So many such tiles, one below the other. A function of the module that all kernels with such tiles call: a host that optimizes
 * functions as they are used has it fast after the first of them.
 */
export function rowTiles(f: FunctionBuilder, tile: RowTile, count: number, left: Rows, right: Local, to: Rows): void {
  const { relaxed, rows, depth, vectors, isFirst } = tile;
  const sizes = [rows, depth, vectors, left.row, to.row].join("_");
  const name = `tiles_${sizes}${isFirst ? "" : "_more"}${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(name, ["i32", "i32", "i32", "i32"], [], (g, from, panel, result, rest) => {
    g.loop((again) => {
      rowTile(g, tile, { pointer: from, row: left.row }, panel, { pointer: result, row: to.row });
      advance(g, from, rows * left.row);
      advance(g, result, rows * to.row);
      g.tee(rest, op("i32.sub", rest, i32(1)));
      g.branchIf(again);
    });
  });
  f.call(target, left.pointer, right, to.pointer, i32(count));
}

export type RowTile = {
  readonly relaxed: boolean;
  readonly rows: number;
  readonly depth: number;
  readonly vectors: number;
  readonly isFirst: boolean;
};

/** Rows of a tile of scalar products, and columns. */
export const dotRows = 2;
export const dotColumns = 4;

/**
 * The products of two rows at `left` with four at `right`, `vectors` vectors each, as two rows of four numbers at `to`. `adds` them to
 * what is there.
 */
function dotTile(
  f: FunctionBuilder,
  { relaxed, vectors, adds }: { readonly relaxed: boolean; readonly vectors: number; readonly adds: boolean },
  left: Local,
  right: Local,
  to: { readonly pointer: Local; readonly row: number },
): void {
  const [lefts, rights] = [range(dotRows), range(dotColumns)];
  const sums = lefts.map(() => rights.map(() => f.let("v128", "sum", f32x4(0))));
  const [a, b] = [after(f, "a", left, 0), after(f, "b", right, 0)];
  const row = 16 * vectors;
  repeat(f, vectors, () => {
    const xs = lefts.map((i) => f.let("v128", "a", memory("v128.load", i * row, a)));
    for (const j of rights) {
      const y = f.let("v128", "b", memory("v128.load", j * row, b));
      xs.forEach((x, i) => {
        const sum = sums[i]?.[j];
        if (sum !== undefined) multiplyAdd(f, relaxed, sum, x, y);
      });
    }
    advance(f, a, 16);
    advance(f, b, 16);
  });
  sums.forEach((four, i) => {
    const total = addLanes(f, four as [Local, Local, Local, Local]);
    const sum = adds ? op("f32x4.add", memory("v128.load", i * to.row, to.pointer), total) : total;
    f.memory("v128.store", i * to.row, to.pointer, sum);
  });
}

/** Of a matrix of such tiles: so many below each other, each with so many beside it, which all of a function of the module have. */
export function dotTiles(
  f: FunctionBuilder,
  tile: { readonly relaxed: boolean; readonly vectors: number; readonly adds: boolean },
  count: { readonly below: number; readonly beside: number },
  left: Local,
  right: Local,
  to: { readonly pointer: Local; readonly row: number },
): void {
  const { relaxed, vectors, adds } = tile;
  const rowBytes = 16 * vectors;
  const name = `dots_${vectors}_${count.beside}_${to.row}${adds ? "_more" : ""}${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(name, ["i32", "i32", "i32", "i32"], [], (g, from, panel, result, rest) => {
    g.loop((again) => {
      const columns = after(g, "columns", panel, 0);
      repeat(g, count.beside, () => {
        dotTile(g, tile, from, columns, { pointer: result, row: to.row });
        advance(g, columns, dotColumns * rowBytes);
        advance(g, result, 4 * dotColumns);
      });
      advance(g, from, dotRows * rowBytes);
      // Past the second row.
      advance(g, result, dotRows * to.row - 4 * dotColumns * count.beside);
      g.tee(rest, op("i32.sub", rest, i32(1)));
      g.branchIf(again);
    });
  });
  f.call(target, left, right, to.pointer, i32(count.below));
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** The sums of the lanes of four vectors, as one vector. */
function addLanes(f: FunctionBuilder, [a, b, c, d]: readonly [Local, Local, Local, Local]): Local {
  const pair = (x: Local, y: Local): Local =>
    f.let("v128", "pair", op("f32x4.add", shuffle32([0, 4, 1, 5], x, y), shuffle32([2, 6, 3, 7], x, y)));
  const [x, y] = [pair(a, b), pair(c, d)];
  return f.let("v128", "total", op("f32x4.add", shuffle32([0, 1, 4, 5], x, y), shuffle32([2, 3, 6, 7], x, y)));
}

/** Up to four numbers `stride` bytes apart as one vector; other lanes are 0. */
export function loadLanes(f: FunctionBuilder, pointer: Local, offset: number, stride: number, lanes: number): Local {
  if (stride === 4 && lanes === 4) return f.let("v128", "lanes", memory("v128.load", offset, pointer));
  const vector = f.let("v128", "lanes", memory("v128.load32_zero", offset, pointer));
  for (let lane = 1; lane < lanes; lane++) {
    f.memoryLane("v128.load32_lane", offset + lane * stride, lane, pointer, vector);
    f.set(vector);
  }
  return vector;
}

/** Rows of four vectors as columns. */
export function transpose(f: FunctionBuilder, [a, b, c, d]: readonly [Local, Local, Local, Local]): readonly Local[] {
  const pick = (lanes: readonly [number, number, number, number], x: Local, y: Local): Local =>
    f.let("v128", "turned", shuffle32(lanes, x, y));
  const [ab, cd] = [pick([0, 4, 1, 5], a, b), pick([0, 4, 1, 5], c, d)];
  const [ab2, cd2] = [pick([2, 6, 3, 7], a, b), pick([2, 6, 3, 7], c, d)];
  return [
    pick([0, 1, 4, 5], ab, cd),
    pick([2, 3, 6, 7], ab, cd),
    pick([0, 1, 4, 5], ab2, cd2),
    pick([2, 3, 6, 7], ab2, cd2),
  ];
}
