/** Rows of pixels of a tile in four channels, which are the lanes of a vector; no pixel that is none of the tile's is touched. */
import { f32x4, type FunctionBuilder, type Local, memory, shuffle32 } from "../../assembler/index.ts";
import { transpose } from "../tile.ts";

/** Of each of four channels, where the tile begins. */
export type Lanes = readonly [Lane, Lane, Lane, Lane];
type Lane = { readonly pointer: Local; readonly offset: number };

export type Pixels = {
  readonly lanes: Lanes;
  readonly rowBytes: number;
  /** Rows and columns that there are. */
  readonly rows: number;
  readonly columns: number;
};

const zero = (f: FunctionBuilder): Local => f.let("v128", "zero", f32x4(0));

/** The first `wanted` pixels of a row, a vector for each, six or four; 0 where there is none. */
export function loadRow(f: FunctionBuilder, { lanes, rowBytes, rows, columns }: Pixels, row: number, wanted: 4 | 6) {
  if (row >= rows) return Array.from({ length: wanted }, () => zero(f));
  const four = lanes.map(({ pointer, offset }) =>
    loadPixels(f, pointer, offset + row * rowBytes, Math.min(4, columns)),
  );
  const first = transpose(f, four as [Local, Local, Local, Local]);
  return wanted === 4 ? first : [...first, ...loadPair(f, lanes, row * rowBytes + 16, columns - 4)];
}

/** Neighbouring pixels as a vector, up to four. */
function loadPixels(f: FunctionBuilder, pointer: Local, offset: number, count: number): Local {
  if (count === 4) return f.let("v128", "pixels", memory("v128.load", offset, pointer));
  const first = count === 1 ? "v128.load32_zero" : "v128.load64_zero";
  const pixels = f.let("v128", "pixels", memory(first, offset, pointer));
  if (count === 3) {
    f.memoryLane("v128.load32_lane", offset + 8, 2, pointer, pixels);
    f.set(pixels);
  }
  return pixels;
}

/** Two pixels of each lane, of which `count` are there. */
function loadPair(f: FunctionBuilder, [a, b, c, d]: Lanes, offset: number, count: number): readonly [Local, Local] {
  if (count <= 0) return [zero(f), zero(f)];
  if (count === 1) {
    const pixels = f.let("v128", "pixels", memory("v128.load32_zero", a.offset + offset, a.pointer));
    [b, c, d].forEach((lane, index) => {
      f.memoryLane("v128.load32_lane", lane.offset + offset, index + 1, lane.pointer, pixels);
      f.set(pixels);
    });
    return [pixels, zero(f)];
  }
  const pairs = (one: Lane, other: Lane): Local => {
    const pixels = f.let("v128", "pixels", memory("v128.load64_zero", one.offset + offset, one.pointer));
    f.memoryLane("v128.load64_lane", other.offset + offset, 1, other.pointer, pixels);
    f.set(pixels);
    return pixels;
  };
  const [ab, cd] = [pairs(a, b), pairs(c, d)];
  return [
    f.let("v128", "pixel", shuffle32([0, 2, 4, 6], ab, cd)),
    f.let("v128", "pixel", shuffle32([1, 3, 5, 7], ab, cd)),
  ];
}

/** Stores what of a row of four pixels there is. Where lanes are copies of another, the first of these is what stays. */
export function storeRow(
  f: FunctionBuilder,
  { lanes, rowBytes, rows, columns }: Pixels,
  row: number,
  pixels: readonly Local[],
): void {
  if (row >= rows) return;
  const four = transpose(f, pixels as [Local, Local, Local, Local]);
  for (const lane of [3, 2, 1, 0] as const) {
    const [{ pointer, offset }, value] = [lanes[lane], four[lane] as Local];
    const place = offset + row * rowBytes;
    if (columns === 4) f.memory("v128.store", place, pointer, value);
    else if (columns === 1) f.memoryLane("v128.store32_lane", place, 0, pointer, value);
    else {
      f.memoryLane("v128.store64_lane", place, 0, pointer, value);
      if (columns === 3) f.memoryLane("v128.store32_lane", place + 8, 2, pointer, value);
    }
  }
}
