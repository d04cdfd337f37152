/**
 * The transforms of F(2x2, 3x3), four tiles at a time: vectors hold the same place of four tiles beside each other. With
 * output Y = A' [(G g G') * (B' d B)] A, where
 *
 *     B' = 1  0 -1  0    G =  1   0   0     A' = 1  1  1  0
 *          0  1  1  0        1/2 1/2 1/2         0  1 -1 -1
 *          0 -1  1  0        1/2 -1/2 1/2
 *          0  1  0 -1         0   0   1
 */
import { f32x4, type FunctionBuilder, type Local, memory, op, type Operand, shuffle32 } from "../assembler.ts";

/** Bytes from one of the 16 transformed places to the next, and of the pointer's place. */
type Places = { readonly pointer: Local; readonly offset: number; readonly stride: number };

const four = [0, 1, 2, 3] as const;

/** Even and odd pixels of eight that follow each other. */
function split(f: FunctionBuilder, low: Operand, high: Operand): readonly [Local, Local] {
  const [a, b] = [f.let("v128", "low", low), f.let("v128", "high", high)];
  return [f.let("v128", "even", shuffle32([0, 2, 4, 6], a, b)), f.let("v128", "odd", shuffle32([1, 3, 5, 7], a, b))];
}

/** B' d B of four tiles whose first pixel is at `pixels`; rows are `rowBytes` apart. */
export function transformImage(f: FunctionBuilder, pixels: Local, offset: number, rowBytes: number, to: Places): void {
  const rows = four.map((row) => {
    const at = offset + row * rowBytes;
    const [d0, d1] = split(f, memory("v128.load", at, pixels), memory("v128.load", at + 16, pixels));
    const end = f.let("v128", "end", memory("v128.load64_zero", at + 32, pixels));
    const d2 = f.let("v128", "even", shuffle32([1, 2, 3, 4], d0, end));
    const d3 = f.let("v128", "odd", shuffle32([1, 2, 3, 5], d1, end));
    return inputCombination(f, [d0, d1, d2, d3]);
  });
  for (const column of four) {
    const combined = inputCombination(f, [
      pick(rows, 0, column),
      pick(rows, 1, column),
      pick(rows, 2, column),
      pick(rows, 3, column),
    ]);
    combined.forEach((value, row) => store(f, to, 4 * row + column, value));
  }
}

/** B' of four values. */
function inputCombination(f: FunctionBuilder, [a, b, c, d]: readonly [Local, Local, Local, Local]): readonly Local[] {
  return [
    f.let("v128", "t", op("f32x4.sub", a, c)),
    f.let("v128", "t", op("f32x4.add", b, c)),
    f.let("v128", "t", op("f32x4.sub", c, b)),
    f.let("v128", "t", op("f32x4.sub", b, d)),
  ];
}

/** A dY A' of four tiles of a cotangent. */
export function transformCotangent(f: FunctionBuilder, pixels: Local, rowBytes: number, to: Places): void {
  const [d00, d01] = split(f, memory("v128.load", 0, pixels), memory("v128.load", 16, pixels));
  const [d10, d11] = split(f, memory("v128.load", rowBytes, pixels), memory("v128.load", rowBytes + 16, pixels));
  const columns = [cotangentCombination(f, d00, d10), cotangentCombination(f, d01, d11)];
  for (const row of four) {
    const combined = cotangentCombination(f, pick(columns, 0, row), pick(columns, 1, row));
    combined.forEach((value, column) => store(f, to, 4 * row + column, value));
  }
}

/** A of two values. */
function cotangentCombination(f: FunctionBuilder, a: Local, b: Local): readonly Local[] {
  return [
    a,
    f.let("v128", "t", op("f32x4.add", a, b)),
    f.let("v128", "t", op("f32x4.sub", a, b)),
    f.let("v128", "t", op("f32x4.neg", b)),
  ];
}

/** A' M A of four tiles: two rows of eight pixels, at `pixels`. */
export function transformOutput(
  f: FunctionBuilder,
  from: Places,
  pixels: Local,
  offset: number,
  rowBytes: number,
): void {
  const columns = four.map((column) =>
    outputCombination(
      f,
      four.map((row) => load(f, from, 4 * row + column)),
    ),
  );
  for (const row of [0, 1]) {
    const [even, odd] = outputCombination(
      f,
      four.map((column) => pick(columns, column, row)),
    );
    if (even === undefined || odd === undefined) continue;
    const at = offset + row * rowBytes;
    f.memory("v128.store", at, pixels, shuffle32([0, 4, 1, 5], even, odd));
    f.memory("v128.store", at + 16, pixels, shuffle32([2, 6, 3, 7], even, odd));
  }
}

/** A' of four values. */
function outputCombination(f: FunctionBuilder, values: readonly Local[]): readonly Local[] {
  const [a, b, c, d] = values as readonly [Local, Local, Local, Local];
  return [
    f.let("v128", "t", op("f32x4.add", op("f32x4.add", a, b), c)),
    f.let("v128", "t", op("f32x4.sub", op("f32x4.sub", b, c), d)),
  ];
}

/** G g G' of nine values. */
export function transformFilter(f: FunctionBuilder, taps: readonly Local[], to: Places): void {
  const columns = [0, 1, 2].map((column) =>
    filterCombination(f, [0, 1, 2].map((row) => taps[3 * row + column]) as [Local, Local, Local]),
  );
  for (const row of four) {
    const combined = filterCombination(f, [pick(columns, 0, row), pick(columns, 1, row), pick(columns, 2, row)]);
    combined.forEach((value, column) => store(f, to, 4 * row + column, value));
  }
}

/** G of three values. */
function filterCombination(f: FunctionBuilder, [a, b, c]: readonly [Local, Local, Local]): readonly Local[] {
  const outer = f.let("v128", "outer", op("f32x4.mul", op("f32x4.add", a, c), f32x4(0.5)));
  const inner = f.let("v128", "inner", op("f32x4.mul", b, f32x4(0.5)));
  return [a, f.let("v128", "t", op("f32x4.add", outer, inner)), f.let("v128", "t", op("f32x4.sub", outer, inner)), c];
}

/** G' U G of 16 values: nine taps. */
export function transformFilterBack(f: FunctionBuilder, places: readonly Local[]): readonly Local[] {
  const columns = four.map((column) =>
    backCombination(
      f,
      four.map((row) => places[4 * row + column]),
    ),
  );
  return [0, 1, 2].flatMap((row) =>
    backCombination(
      f,
      four.map((column) => pick(columns, column, row)),
    ),
  );
}

/** G' of four values. */
function backCombination(f: FunctionBuilder, values: readonly (Local | undefined)[]): readonly Local[] {
  const [a, b, c, d] = values as readonly [Local, Local, Local, Local];
  const half = f.let("v128", "half", op("f32x4.mul", op("f32x4.add", b, c), f32x4(0.5)));
  return [
    f.let("v128", "t", op("f32x4.add", a, half)),
    f.let("v128", "t", op("f32x4.mul", op("f32x4.sub", b, c), f32x4(0.5))),
    f.let("v128", "t", op("f32x4.add", half, d)),
  ];
}

function pick(values: readonly (readonly Local[])[], i: number, j: number): Local {
  const value = values[i]?.[j];
  if (value === undefined) throw new RangeError(`winograd: no value ${i}, ${j}`);
  return value;
}

function store(f: FunctionBuilder, { pointer, offset, stride }: Places, place: number, value: Local): void {
  f.memory("v128.store", offset + place * stride, pointer, value);
}

function load(f: FunctionBuilder, { pointer, offset, stride }: Places, place: number): Local {
  return f.let("v128", "m", memory("v128.load", offset + place * stride, pointer));
}
