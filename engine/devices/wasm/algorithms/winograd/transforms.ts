/**
 * The transforms of F(4x4, 3x3) for the points 0, ±a, ±b and infinity, four channels at a time: vectors hold the same place of a tile
 * in four channels. An output is Y = A' [(G g G') * (B' d B)] A, where a row of A' is the powers of the points, one of G are those of a point
 * over the product of its distances to the others, and one of B' is the polynomial that is zero at all points but its own.
 *
 * With a = 5/8 and b = 3/2, whose powers are short binary fractions, results are as near to the exact ones as direct sums are, up
 * to a factor of two; with 1 and 2, the usual choice, a factor of four.
 */
import { at } from "../../../../graph/shape.ts";
import {
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  memory,
  op,
  type Operand,
  type ValueType,
} from "../../assembler/index.ts";
import { type Lanes, loadRow, type Pixels, storeRow } from "./pixels.ts";

/** The transformed places of a tile are 6x6. */
export const places = 36;

/** Bytes from one transformed place to the next, and the first. */
type Places = { readonly pointer: Local; readonly stride: number };

const a = 5 / 8;
const b = 3 / 2;
const [aa, bb] = [a * a, b * b];
/** What G divides by. */
const [atZero, atA, atB] = [1 / (aa * bb), 1 / (2 * aa * (aa - bb)), 1 / (2 * bb * (bb - aa))];

const three = [0, 1, 2] as const;
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

/**
 * Both directions of a transform. What the first one makes goes through the places in memory, where it has room: all at once it would
 * be more than there are registers, and engines would move it to and fro. Each is hundreds of instructions long, so it is a function of the
 * module that all kernels with such tiles call: hosts optimize it within the first of them.
 */

/** Calls the function that does it between these pixels and places; only how they lie is a matter of its own. */
function callOnPixels(
  f: FunctionBuilder,
  name: string,
  relaxed: boolean,
  { lanes, rowBytes, rows, columns }: Pixels,
  { pointer, stride }: Places,
  build: (f: FunctionBuilder, pixels: Pixels, places: Places) => void,
): void {
  const own = `winograd_${name}_${rows}_${columns}_${rowBytes}_${stride}${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(own, ["i32", "i32", "i32", "i32", "i32"], [], (g, a, b, c, d, place) => {
    const lane = (at: Local): Lanes[number] => ({ pointer: at, offset: 0 });
    build(g, { lanes: [lane(a), lane(b), lane(c), lane(d)], rowBytes, rows, columns }, { pointer: place, stride });
  });
  const from = lanes.map((lane) => (lane.offset === 0 ? lane.pointer : op("i32.add", lane.pointer, i32(lane.offset))));
  f.call(target, ...from, pointer);
}

/** B' d B of a tile. */
export function transformImage(f: FunctionBuilder, relaxed: boolean, pixels: Pixels, to: Places): void {
  callOnPixels(f, "image", relaxed, pixels, to, (g, from, called) => {
    const transform = imageTransform(new Arithmetic(g, relaxed));
    for (const row of six) storeAt(g, called, rowPlaces(row), transform(loadRow(g, from, row, 6)));
    for (const column of six) {
      const inColumn = columnPlaces(column);
      storeAt(g, called, inColumn, transform(loadAt(g, called, inColumn)));
    }
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

/** A dY A' of a tile of a cotangent. */
export function transformCotangent(f: FunctionBuilder, relaxed: boolean, pixels: Pixels, to: Places): void {
  callOnPixels(f, "cotangent", relaxed, pixels, to, (g, from, called) => {
    const transform = cotangentTransform(new Arithmetic(g, relaxed));
    for (const row of four) storeAt(g, called, rowPlaces(row), transform(loadRow(g, from, row, 4)));
    for (const column of six) {
      const inColumn = columnPlaces(column);
      storeAt(g, called, inColumn, transform(loadAt(g, called, inColumn.slice(0, 4))));
    }
  });
}

const cotangentTransform =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [y0, y1, y2, y3] = values as readonly [Local, Local, Local, Local];
    const atPoint = (x: number): readonly [Local, Local] =>
      m.both(m.addScaled(y0, y2, x * x), m.scale(m.addScaled(y1, y3, x * x), x));
    return [y0, ...atPoint(a), ...atPoint(b), y3];
  };

/** A' M A of a tile. What is transformed is overwritten. */
export function transformOutput(f: FunctionBuilder, relaxed: boolean, from: Places, pixels: Pixels): void {
  callOnPixels(f, "output", relaxed, pixels, from, (g, to, called) => {
    const transform = outputTransform(new Arithmetic(g, relaxed));
    for (const column of six) {
      const inColumn = columnPlaces(column);
      storeAt(g, called, inColumn, transform(loadAt(g, called, inColumn)));
    }
    for (const row of four.slice(0, to.rows)) storeRow(g, to, row, transform(loadAt(g, called, rowPlaces(row))));
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
export function transformFilter(
  f: FunctionBuilder,
  relaxed: boolean,
  taps: readonly Local[],
  { pointer, stride }: Places,
): void {
  const parameters: readonly ValueType[] = ["i32", ...taps.map(() => "v128" as const)];
  const name = `winograd_filter_${stride}${relaxed ? "_relaxed" : ""}`;
  const target = f.module.define(name, parameters, [], (g, ...given) => {
    const [place, ...values] = given as readonly [Local, ...Local[]];
    const to = { pointer: place, stride };
    const transform = filterTransform(new Arithmetic(g, relaxed));
    for (const row of three) storeAt(g, to, rowPlaces(row), transform(values.slice(3 * row, 3 * row + 3)));
    for (const column of six) {
      const inColumn = columnPlaces(column);
      storeAt(g, to, inColumn, transform(loadAt(g, to, inColumn.slice(0, 3))));
    }
  });
  f.call(target, pointer, ...taps);
}

const filterTransform =
  (m: Arithmetic): Transform1d =>
  (values) => {
    const [g0, g1, g2] = values as readonly [Local, Local, Local];
    const atPoint = (x: number, divisor: number): readonly [Local, Local] =>
      m.both(m.scale(m.addScaled(g0, g2, x * x), divisor), m.scale(g1, x * divisor));
    return [m.scale(g0, atZero), ...atPoint(a, atA), ...atPoint(b, atB), g2];
  };

/** G' U G: each row of three taps as it is made. What is transformed is overwritten. */
export function transformFilterBack(
  f: FunctionBuilder,
  relaxed: boolean,
  from: Places,
  body: (row: number, taps: readonly Local[]) => void,
): void {
  const transform = filterTransformBack(new Arithmetic(f, relaxed));
  for (const column of six) {
    const inColumn = columnPlaces(column);
    storeAt(f, from, inColumn, transform(loadAt(f, from, inColumn)));
  }
  for (const row of three) body(row, transform(loadAt(f, from, rowPlaces(row))));
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

const rowPlaces = (row: number): readonly number[] => six.map((column) => 6 * row + column);
const columnPlaces = (column: number): readonly number[] => six.map((row) => 6 * row + column);

/** Stores values at the first of these places. */
function storeAt(
  f: FunctionBuilder,
  { pointer, stride }: Places,
  where: readonly number[],
  values: readonly Local[],
): void {
  values.forEach((value, index) => f.memory("v128.store", at(where, index) * stride, pointer, value));
}

function loadAt(f: FunctionBuilder, { pointer, stride }: Places, where: readonly number[]): readonly Local[] {
  return where.map((place) => f.let("v128", "m", memory("v128.load", place * stride, pointer)));
}
