/**
 * The transforms of F(4x4, 3x3) for the points 0, ±a, ±b and infinity, four tiles at a time: vectors hold the same place of four
 * tiles. An output is Y = A' [(G g G') * (B' d B)] A, where a row of A' is the powers of the points, one of G are those of a point
 * over the product of its distances to the others, and one of B' is the polynomial that is zero at all points but its own.
 *
 * With a = 5/8 and b = 3/2, whose powers are short binary fractions, results are as near to the exact ones as direct sums are, up
 * to a factor of two; with 1 and 2, the usual choice, a factor of four.
 *
 * Each is a thousand instructions long, so it is a function of the module that all kernels call.
 */
import {
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  memory,
  op,
  type Operand,
  shuffle32,
  type ValueType,
} from "../../assembler/index.ts";
import { transpose } from "../tile.ts";

/** The transformed places of a tile are 6x6. */
export const places = 36;

/** Bytes from one transformed place to the next, and the first. */
type Places = { readonly pointer: Local; readonly stride: number };

/** The same within a function that is called with any such. */
type CalledPlaces = { readonly pointer: Local; readonly stride: Local };

/** The pixels of four tiles: `across` are beside each other, the others below. */
export type Pixels = { readonly pointer: Local; readonly rowBytes: number; readonly across: 2 | 4 };

const a = 5 / 8;
const b = 3 / 2;
const [aa, bb] = [a * a, b * b];
/** What G divides by. */
const [atZero, atA, atB] = [1 / (aa * bb), 1 / (2 * aa * (aa - bb)), 1 / (2 * bb * (bb - aa))];

const four = [0, 1, 2, 3] as const;
const six = [0, 1, 2, 3, 4, 5] as const;

/** Arithmetic on vectors that are named as they come to be. */
class Arithmetic {
  readonly #f: FunctionBuilder;
  readonly #relaxed: boolean;

  constructor(f: FunctionBuilder, relaxed: boolean) {
    this.#f = f;
    this.#relaxed = relaxed;
  }

  add(x: Operand, y: Operand): Local {
    return this.#f.let("v128", "t", op("f32x4.add", x, y));
  }

  subtract(x: Operand, y: Operand): Local {
    return this.#f.let("v128", "t", op("f32x4.sub", x, y));
  }

  scale(x: Operand, factor: number): Local {
    return this.#f.let("v128", "t", op("f32x4.mul", x, f32x4(factor)));
  }

  /** sum + x * factor */
  addScaled(sum: Operand, x: Operand, factor: number): Local {
    const value = this.#relaxed
      ? op("f32x4.relaxed_madd", x, f32x4(factor), sum)
      : op("f32x4.add", sum, op("f32x4.mul", x, f32x4(factor)));
    return this.#f.let("v128", "t", value);
  }

  /** even + odd and even - odd */
  both(even: Operand, odd: Operand): readonly [Local, Local] {
    return [this.add(even, odd), this.subtract(even, odd)];
  }
}

type Transform1d = (values: readonly Local[]) => readonly Local[];

/** Transforms the columns, then the rows of a matrix that is given and returned row by row. */
function transform2d(columns: number, values: readonly Local[], transform: Transform1d): readonly Local[] {
  const done = Array.from({ length: columns }, (_, column) =>
    transform(values.filter((__, index) => index % columns === column)),
  );
  return (done[0] ?? []).flatMap((_, row) => transform(done.flatMap((column) => column.slice(row, row + 1))));
}

/** Calls the function that does it between these pixels and places; only their rows and how they lie are a matter of its own. */
function callOnPixels(
  f: FunctionBuilder,
  name: string,
  relaxed: boolean,
  { pointer, rowBytes, across }: Pixels,
  places: Places,
  build: (f: FunctionBuilder, pixels: Pixels, places: CalledPlaces) => void,
): void {
  const own = `winograd_${name}_${across}_${rowBytes}${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(own, ["i32", "i32", "i32"], [], (g, from, to, stride) => {
    build(g, { pointer: from, rowBytes, across }, { pointer: to, stride });
  });
  f.call(target, pointer, places.pointer, i32(places.stride));
}

/** B' d B of four tiles. */
export function transformImage(f: FunctionBuilder, relaxed: boolean, pixels: Pixels, to: Places): void {
  callOnPixels(f, "image", relaxed, pixels, to, (g, from, called) => {
    const values = six.flatMap((row) => loadSix(g, from, row));
    store(g, called, transform2d(6, values, imageTransform(new Arithmetic(g, relaxed))));
  });
}

const imageTransform =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [d0, d1, d2, d3, d4, d5] = values as readonly [Local, Local, Local, Local, Local, Local];
    const [evenA, oddA] = [m.addScaled(d4, d2, -bb), m.scale(m.addScaled(d3, d1, -bb), a)];
    const [evenB, oddB] = [m.addScaled(d4, d2, -aa), m.scale(m.addScaled(d3, d1, -aa), b)];
    const ends = ([x, y, z]: readonly [Local, Local, Local]): Local =>
      m.addScaled(m.addScaled(z, y, -(aa + bb)), x, aa * bb);
    return [ends([d0, d2, d4]), ...m.both(evenA, oddA), ...m.both(evenB, oddB), ends([d1, d3, d5])];
  };

/** Four pixels of a row of each of four tiles: a vector for each place in the row. */
function loadFour(f: FunctionBuilder, pixels: Pixels, row: number): readonly Local[] {
  const tiles = four.map((tile) =>
    f.let("v128", "pixels", memory("v128.load", rowOfTile(pixels, row, tile), pixels.pointer)),
  );
  return transpose(f, tiles as [Local, Local, Local, Local]);
}

/** Six pixels: of the last two, only those after the tiles that are beside each other have to be loaded. */
function loadSix(f: FunctionBuilder, pixels: Pixels, row: number): readonly Local[] {
  const { pointer, rowBytes, across } = pixels;
  const columns = loadFour(f, pixels, row);
  const [first, second] = columns as readonly [Local, Local];
  const end = (y: number): Local =>
    f.let("v128", "end", memory("v128.load64_zero", y * rowBytes + 16 * across, pointer));
  const shift = (lanes: readonly [number, number, number, number], x: Local, y: Local): Local =>
    f.let("v128", "shifted", shuffle32(lanes, x, y));
  if (across === 4) {
    const last = end(row);
    return [...columns, shift([1, 2, 3, 4], first, last), shift([1, 2, 3, 5], second, last)];
  }
  const pairs = shift([0, 4, 1, 5], end(row), end(row + 4));
  return [...columns, shift([1, 4, 3, 5], first, pairs), shift([1, 6, 3, 7], second, pairs)];
}

/** A dY A' of four tiles of a cotangent. */
export function transformCotangent(f: FunctionBuilder, relaxed: boolean, pixels: Pixels, to: Places): void {
  callOnPixels(f, "cotangent", relaxed, pixels, to, (g, from, called) => {
    const values = four.flatMap((row) => loadFour(g, from, row));
    store(g, called, transform2d(4, values, cotangentTransform(new Arithmetic(g, relaxed))));
  });
}

/** Where a row of one of the four tiles begins, from the pointer. */
function rowOfTile({ rowBytes, across }: Pixels, row: number, tile: number): number {
  return (row + 4 * Math.floor(tile / across)) * rowBytes + 16 * (tile % across);
}

const cotangentTransform =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [y0, y1, y2, y3] = values as readonly [Local, Local, Local, Local];
    const at = (x: number): readonly [Local, Local] =>
      m.both(m.addScaled(y0, y2, x * x), m.scale(m.addScaled(y1, y3, x * x), x));
    return [y0, ...at(a), ...at(b), y3];
  };

/** A' M A of four tiles. */
export function transformOutput(f: FunctionBuilder, relaxed: boolean, from: Places, pixels: Pixels): void {
  callOnPixels(f, "output", relaxed, pixels, from, (g, to, called) => {
    const outputs = transform2d(6, load(g, called), outputTransform(new Arithmetic(g, relaxed)));
    for (const row of four) {
      const tiles = transpose(g, outputs.slice(4 * row, 4 * row + 4) as [Local, Local, Local, Local]);
      tiles.forEach((pixelsOfTile, tile) => {
        g.memory("v128.store", rowOfTile(to, row, tile), to.pointer, pixelsOfTile);
      });
    }
  });
}

const outputTransform =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [m0, m1, m2, m3, m4, m5] = values as readonly [Local, Local, Local, Local, Local, Local];
    const [[evenA, oddA], [evenB, oddB]] = [m.both(m1, m2), m.both(m3, m4)];
    return [
      m.add(m0, m.add(evenA, evenB)),
      m.addScaled(m.scale(oddA, a), oddB, b),
      m.addScaled(m.scale(evenA, aa), evenB, bb),
      m.addScaled(m.addScaled(m5, oddA, a * aa), oddB, b * bb),
    ];
  };

/** G g G' of nine values. */
export function transformFilter(f: FunctionBuilder, relaxed: boolean, taps: readonly Local[], to: Places): void {
  const parameters: readonly ValueType[] = [...taps.map(() => "v128" as const), "i32", "i32"];
  const name = `winograd_filter${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(name, parameters, [], (g, ...given) => {
    const [pointer, stride] = given.slice(taps.length) as [Local, Local];
    const values = transform2d(3, given.slice(0, taps.length), filterTransform(new Arithmetic(g, relaxed)));
    store(g, { pointer, stride }, values);
  });
  f.call(target, ...taps, to.pointer, i32(to.stride));
}

const filterTransform =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [g0, g1, g2] = values as readonly [Local, Local, Local];
    const at = (x: number, divisor: number): readonly [Local, Local] =>
      m.both(m.scale(m.addScaled(g0, g2, x * x), divisor), m.scale(g1, x * divisor));
    return [m.scale(g0, atZero), ...at(a, atA), ...at(b, atB), g2];
  };

/** G' U G of 36 values: nine taps. */
export function transformFilterBack(f: FunctionBuilder, relaxed: boolean, sums: readonly Local[]): readonly Local[] {
  return transform2d(6, sums, filterTransformBack(new Arithmetic(f, relaxed)));
}

const filterTransformBack =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [u0, u1, u2, u3, u4, u5] = values as readonly [Local, Local, Local, Local, Local, Local];
    const [[evenA, oddA], [evenB, oddB]] = [m.both(u1, u2), m.both(u3, u4)];
    return [
      m.addScaled(m.addScaled(m.scale(u0, atZero), evenA, atA), evenB, atB),
      m.addScaled(m.scale(oddA, a * atA), oddB, b * atB),
      m.addScaled(m.addScaled(u5, evenA, aa * atA), evenB, bb * atB),
    ];
  };

function store(f: FunctionBuilder, places: CalledPlaces, values: readonly Local[]): void {
  for (const value of values) {
    f.memory("v128.store", 0, places.pointer, value);
    next(f, places);
  }
}

function load(f: FunctionBuilder, from: CalledPlaces): readonly Local[] {
  return Array.from({ length: places }, () => {
    const value = f.let("v128", "m", memory("v128.load", 0, from.pointer));
    next(f, from);
    return value;
  });
}

function next(f: FunctionBuilder, { pointer, stride }: CalledPlaces): void {
  f.set(pointer, op("i32.add", pointer, stride));
}
