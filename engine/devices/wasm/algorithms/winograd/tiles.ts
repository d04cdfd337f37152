/** Tiles of 4x4 pixels that cover images, and how they are gone through: image by image, row by row. */
import { at } from "../../../../graph/shape.ts";
import type { Affine } from "../../../../kernel/kernel.ts";
import { type FunctionBuilder, i32, type Local, op, type Operand } from "../../assembler/index.ts";
import { advance, after, repeat, smaller } from "../tile.ts";
import type { Lanes } from "./pixels.ts";

/** Rows and columns of pixels in a tile. */
export const tileSide = 4;

/** The tiles of an image. Those of the last row and column may reach beyond it: so many of their pixels are in it. */
export type Grid = Readonly<Record<"rows" | "columns" | "lastRows" | "lastColumns", number>>;

export function gridOf({ y, x }: Readonly<Record<"y" | "x", number>>): Grid {
  const [rows, columns] = [Math.ceil(y / tileSide), Math.ceil(x / tileSide)];
  return { rows, columns, lastRows: y - tileSide * (rows - 1), lastColumns: x - tileSide * (columns - 1) };
}

export const tilesOf = ({ rows, columns }: Grid): number => rows * columns;

/** Channels, or tiles, with those that fill the last vector, or the last rows of a register tile. */
export const filled = (count: number): number => 4 * Math.ceil(count / 4);

/**
 * Bytes from one transformed place to the next, at least `bytes`: a line more than a multiple of four, so that the 36 places of a
 * tile are not all in the same few lines of the cache.
 */
export const placeBytes = (bytes: number): number => 256 * Math.ceil(bytes / 256) + 192;

/** Bytes from a channel, an image and a row of what is transformed to the next. */
export type Strides = { readonly channel: number; readonly image: number; readonly row: number };

/** A tile of an array: where its pixels of the first channel begin, and its row and column among those of its image. */
export type Cursor = {
  readonly pointer: Local;
  readonly strides: Strides;
  readonly row: Local;
  readonly column: Local;
};

/** The first tile of an image of an array that lies at `base`; `image`: how many bytes behind the first image that one is. */
export function cursorAt(
  f: FunctionBuilder,
  base: Local,
  { offset, coefficients }: Affine,
  axes: Readonly<Record<"y" | "channel", number>> & { readonly n: number | null },
  image: (bytes: number) => Operand,
): Cursor {
  const bytes = (axis: number): number => 4 * at(coefficients, axis);
  const strides = { channel: bytes(axes.channel), image: axes.n === null ? 0 : bytes(axes.n), row: bytes(axes.y) };
  const first = op("i32.add", base, image(strides.image));
  return {
    pointer: f.let("i32", "tile", op("i32.add", first, i32(4 * offset))),
    strides,
    row: f.let("i32", "row", i32(0)),
    column: f.let("i32", "column", i32(0)),
  };
}

/** Moves a cursor from the first tile of an image to the one with this number; `tile` is overwritten. */
export function moveTo(f: FunctionBuilder, grid: Grid, { pointer, strides, row, column }: Cursor, tile: Local): void {
  const moved = (count: Operand, bytes: number): void =>
    f.set(pointer, op("i32.add", pointer, op("i32.mul", count, i32(bytes))));
  moved(op("i32.div_u", tile, i32(tilesOf(grid))), strides.image);
  f.set(tile, op("i32.rem_u", tile, i32(tilesOf(grid))));
  f.set(row, op("i32.div_u", tile, i32(grid.columns)));
  f.set(column, op("i32.rem_u", tile, i32(grid.columns)));
  moved(row, tileSide * strides.row);
  moved(column, 4 * tileSide);
}

/** What of a tile is in its image. */
export type Extent = { readonly rows: number; readonly columns: number };

/** Runs `body` for `count` tiles, at least one; the cursor is behind them in the end. Tiles that reach beyond an image have code of their own. */
function forTiles(
  f: FunctionBuilder,
  grid: Grid,
  { pointer, strides, row, column }: Cursor,
  count: Local,
  body: (extent: Extent) => void,
): void {
  const along = (position: Local, tiles: number, last: number, then: (pixels: number) => void): void => {
    if (last === tileSide || tiles === 1) {
      then(last);
      return;
    }
    f.op("i32.eq", position, i32(tiles - 1));
    f.if(
      () => then(last),
      () => then(tileSide),
    );
  };
  /** Counts to the next; behind the last comes the first again, and `then`. */
  const next = (position: Local, tiles: number, then: () => void): void => {
    f.tee(position, op("i32.add", position, i32(1)));
    f.op("i32.eq", i32(tiles));
    f.if(() => {
      f.set(position, i32(0));
      then();
    });
  };
  repeat(f, count, () => {
    along(column, grid.columns, grid.lastColumns, (columns) => {
      along(row, grid.rows, grid.lastRows, (rows) => body({ rows, columns }));
    });
    advance(f, pointer, 4 * tileSide);
    next(column, grid.columns, () => {
      advance(f, pointer, tileSide * strides.row - 4 * tileSide * grid.columns);
      next(row, grid.rows, () => advance(f, pointer, strides.image - tileSide * strides.row * grid.rows));
    });
  });
}

/** Channels that transformed values have side by side. */
export const panelChannels = 8;
export const panelRow = 4 * panelChannels;

/** Tiles of which four channels are taken together before the next four: neighbours share lines of the cache. */
const neighbours = 8;

/** Where transformed values are: those of the first channel of the first tile, and bytes to the next tile and to channel number 8. */
type Transformed = { readonly pointer: Local; readonly tile: number; readonly panel: number };

/**
 * Runs `body` for each four channels of `count` tiles, at least one; the cursor is behind them in the end. Behind the last channel come
 * copies of it.
 */
export function forChannels(
  f: FunctionBuilder,
  grid: Grid,
  channels: number,
  cursor: Cursor,
  count: Local,
  { pointer, tile, panel }: Transformed,
  body: (lanes: Lanes, extent: Extent, place: Local) => void,
): void {
  const { channel } = cursor.strides;
  const vectors = Math.ceil(channels / 4);
  const isWhole = channels % 4 === 0;
  const [left, places] = [after(f, "left", count, 0), after(f, "places", pointer, 0)];
  const inner: Cursor = {
    pointer: f.local("i32", "tile"),
    strides: cursor.strides,
    row: f.local("i32", "row"),
    column: f.local("i32", "column"),
  };
  f.loop((again) => {
    const chunk = smaller(f, "chunk", left, neighbours);
    const [plane, to] = [after(f, "plane", cursor.pointer, 0), after(f, "to", places, 0)];
    // Steps to the second four channels of a panel and to the next panel take turns: together they are a panel.
    const step = panel === panelRow ? null : f.let("i32", "step", i32(16));
    const behind = isWhole ? null : f.let("i32", "behind", i32((channels - 1) * channel));
    repeat(f, vectors, () => {
      f.set(inner.pointer, plane);
      f.set(inner.row, cursor.row);
      f.set(inner.column, cursor.column);
      const offsets = behind === null ? null : [1, 2, 3].map((lane) => smaller(f, "lane", behind, lane * channel));
      const place = after(f, "place", to, 0);
      forTiles(f, grid, inner, chunk, (extent) => {
        const lane = (index: number): Lanes[number] => {
          const offset = offsets?.[index - 1];
          if (offset === undefined) return { pointer: inner.pointer, offset: index * channel };
          return { pointer: f.let("i32", "lane", op("i32.add", inner.pointer, offset)), offset: 0 };
        };
        body([lane(0), lane(1), lane(2), lane(3)], extent, place);
        advance(f, place, tile);
      });
      advance(f, plane, 4 * channel);
      if (behind !== null) advance(f, behind, -4 * channel);
      if (step === null) advance(f, to, 16);
      else {
        f.set(to, op("i32.add", to, step));
        f.set(step, op("i32.sub", i32(panel), step));
      }
    });
    f.set(cursor.pointer, inner.pointer);
    advance(f, cursor.pointer, -4 * channel * (vectors - 1));
    f.set(cursor.row, inner.row);
    f.set(cursor.column, inner.column);
    advance(f, places, neighbours * tile);
    f.tee(left, op("i32.sub", left, chunk));
    f.branchIf(again);
  });
}
