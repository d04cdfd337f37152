/** Loops over pointers, and the tiles of matrix products that fit into registers. */
import { f32x4, type FunctionBuilder, i32, type Local, memory, op, shuffle32 } from "../assembler/index.ts";

/** Runs `body` so many times; at least once if a local says how many. */
export function repeat(f: FunctionBuilder, count: number | Local, body: () => void): void {
  if (count === 1) body();
  if (typeof count === "number" && count <= 1) return;
  const left = f.let("i32", "left", typeof count === "number" ? i32(count) : count);
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

/** The smaller one of two numbers. */
export function smaller(f: FunctionBuilder, name: string, one: Local, other: Local | number): Local {
  const value = typeof other === "number" ? i32(other) : other;
  return f.let("i32", name, op("select", one, value, op("i32.lt_s", one, value)));
}

/** Some rows of a matrix of results, each in one piece; `row` bytes from one to the next. */
export type Rows = { readonly pointer: Local; readonly row: number };

/** Rows of factors: `row` bytes from one to the next, `step` bytes from a number to the next that is summed. */
export type Factors = Rows & { readonly step: number };

/**
 * `rows` rows of `depth` numbers times the matrix at `right`, of which `vectors` vectors of each row are taken. With `isFirst` false
 * their sums are added to what is there.
 */
export function rowTile(
  f: FunctionBuilder,
  { relaxed, rows, depth, vectors, isFirst }: RowTile,
  left: Factors,
  right: Rows,
  to: Rows,
): void {
  const places = Array.from({ length: rows }, (_, i) =>
    Array.from({ length: vectors }, (__, j) => i * to.row + 16 * j),
  );
  const sums = places.map((row) => row.map(() => f.let("v128", "sum", f32x4(0))));
  const [a, b] = [after(f, "a", left.pointer, 0), after(f, "b", right.pointer, 0)];
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
    advance(f, a, left.step);
    advance(f, b, right.row);
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
export function rowTiles(
  f: FunctionBuilder,
  tile: RowTile & { readonly depth: number },
  count: number | Local,
  left: Factors,
  right: Rows,
  to: Rows,
): void {
  const { relaxed, rows, depth, vectors, isFirst } = tile;
  const sizes = [rows, depth, vectors, left.row, left.step, right.row, to.row].join("_");
  const name = `tiles_${sizes}${isFirst ? "" : "_more"}${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(name, ["i32", "i32", "i32", "i32"], [], (g, from, panel, result, rest) => {
    g.loop((again) => {
      rowTile(g, tile, { ...left, pointer: from }, { ...right, pointer: panel }, { ...to, pointer: result });
      advance(g, from, rows * left.row);
      advance(g, result, rows * to.row);
      g.tee(rest, op("i32.sub", rest, i32(1)));
      g.branchIf(again);
    });
  });
  f.call(target, left.pointer, right.pointer, to.pointer, typeof count === "number" ? i32(count) : count);
}

export type RowTile = {
  readonly relaxed: boolean;
  readonly rows: number;
  /** A number, or a local that holds one. */
  readonly depth: number | Local;
  readonly vectors: number;
  readonly isFirst: boolean;
};

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
