/** Copies of operands in the order in which a product reads them. */
import { type FunctionBuilder, type Local, memory } from "../../assembler/index.ts";
import { advance, after, loadLanes, repeat, transpose } from "../tile.ts";

/** A nest of loops over memory: sizes, and bytes from one step to the next. */
export type Nest = readonly { readonly size: number; readonly step: number }[];

/** Runs `body` at every point of the nest. */
export function walk(f: FunctionBuilder, nest: Nest, from: Local, body: (from: Local) => void): void {
  const [first, ...rest] = nest;
  if (first === undefined) {
    body(from);
    return;
  }
  const pointer = after(f, "from", from, 0);
  repeat(f, first.size, () => {
    walk(f, rest, pointer, body);
    advance(f, pointer, first.step);
  });
}

/** Copies the numbers of a nest one after the other. `to` moves along. */
export function packRow(f: FunctionBuilder, nest: Nest, from: Local, to: Local): void {
  const { size, step } = nest.at(-1) ?? { size: 0, step: 0 };
  walk(f, nest.slice(0, -1), from, (start) => {
    const source = after(f, "source", start, 0);
    repeat(f, Math.floor(size / 4), () => {
      f.memory("v128.store", 0, to, loadLanes(f, source, 0, step, 4));
      advance(f, source, 4 * step);
      advance(f, to, 16);
    });
    for (let index = 0; index < size % 4; index++) {
      f.memory("f32.store", 4 * index, to, memory("f32.load", index * step, source));
    }
    advance(f, to, 4 * (size % 4));
  });
}

/** Copies `rows` rows, a multiple of 4, whose numbers are neighbours, as `packRow` does each: `length` bytes apart at `to`, which stays. */
export function packTurnedRows(
  f: FunctionBuilder,
  nest: Nest,
  rows: number,
  from: Local,
  to: Local,
  length: number,
): void {
  const { size, step } = nest.at(-1) ?? { size: 0, step: 0 };
  const place = after(f, "place", to, 0);
  walk(f, nest.slice(0, -1), from, (start) => {
    const source = after(f, "source", start, 0);
    repeat(f, Math.floor(size / 4), () => {
      for (let block = 0; block < rows; block += 4) {
        const numbers = [0, 1, 2, 3].map((index) =>
          f.let("v128", "numbers", memory("v128.load", index * step + 4 * block, source)),
        );
        transpose(f, numbers as [Local, Local, Local, Local]).forEach((row, lane) => {
          f.memory("v128.store", (block + lane) * length, place, row);
        });
      }
      advance(f, source, 4 * step);
      advance(f, place, 16);
    });
    for (let index = 0; index < size % 4; index++) {
      for (let row = 0; row < rows; row++) {
        f.memory("f32.store", row * length + 4 * index, place, memory("f32.load", index * step + 4 * row, source));
      }
    }
    advance(f, place, 4 * (size % 4));
  });
}

/** For every point of the nest copies `vectors` vectors of columns `column` bytes apart. `to` moves along. */
export function packPanel(
  f: FunctionBuilder,
  nest: Nest,
  vectors: number,
  column: number,
  from: Local,
  to: Local,
): void {
  const { size, step } = nest.at(-1) ?? { size: 0, step: 0 };
  const width = 16 * vectors;
  walk(f, nest.slice(0, -1), from, (start) => {
    const source = after(f, "source", start, 0);
    const single = (): void => {
      for (let vector = 0; vector < vectors; vector++) {
        f.memory("v128.store", 16 * vector, to, loadLanes(f, source, 4 * vector * column, column, 4));
      }
      advance(f, source, step);
      advance(f, to, width);
    };
    if (step !== 4 || column === 4) {
      repeat(f, size, single);
      return;
    }
    repeat(f, Math.floor(size / 4), () => {
      for (let vector = 0; vector < vectors; vector++) {
        const rows = [0, 1, 2, 3].map((lane) =>
          f.let("v128", "row", memory("v128.load", (4 * vector + lane) * column, source)),
        );
        transpose(f, rows as [Local, Local, Local, Local]).forEach((values, index) => {
          f.memory("v128.store", index * width + 16 * vector, to, values);
        });
      }
      advance(f, source, 16);
      advance(f, to, 4 * width);
    });
    repeat(f, size % 4, single);
  });
}
