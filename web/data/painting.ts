/** Painting on a square of pixels: red, green, blue of each, row by row. */

/** Width and height of drawings. */
export const drawingSize = 16;

/** A colour: red, green, blue, 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/** A place: column and row. */
export type Place = readonly [x: number, y: number];

export const white: Color = [255, 255, 255];

export function blank(): Uint8Array {
  return new Uint8Array(3 * drawingSize ** 2).fill(255);
}

const isInside = ([x, y]: Place): boolean => x >= 0 && y >= 0 && x < drawingSize && y < drawingSize;

export function colorAt(pixels: Uint8Array, [x, y]: Place): Color {
  const at = 3 * (y * drawingSize + x);
  return [pixels[at] ?? 0, pixels[at + 1] ?? 0, pixels[at + 2] ?? 0];
}

export const isSame = (one: Color, other: Color): boolean => one.every((value, i) => value === other[i]);

/** The places from one to another, as a pen goes (Bresenham's line). */
export function lineOf([x0, y0]: Place, [x1, y1]: Place): readonly Place[] {
  const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
  return Array.from({ length: steps + 1 }, (_, i): Place => {
    const share = steps === 0 ? 0 : i / steps;
    return [Math.round(x0 + share * (x1 - x0)), Math.round(y0 + share * (y1 - y0))];
  });
}

/** The places and, if they are mirrored, those on the other side of the middle. */
export function mirrored(places: readonly Place[], isMirrored: boolean): readonly Place[] {
  return isMirrored
    ? places.flatMap(([x, y]): Place[] => [
        [x, y],
        [drawingSize - 1 - x, y],
      ])
    : places;
}

/** A copy with a colour at these places; those outside don't count. */
export function painted(pixels: Uint8Array, places: readonly Place[], color: Color): Uint8Array {
  const copy = pixels.slice();
  for (const place of places) if (isInside(place)) copy.set(color, 3 * (place[1] * drawingSize + place[0]));
  return copy;
}

/** A copy with a colour wherever the place's own is, as far as it reaches over edges. */
export function filled(pixels: Uint8Array, start: Place, color: Color): Uint8Array {
  const old = colorAt(pixels, start);
  if (isSame(old, color)) return pixels;
  const copy = pixels.slice();
  const open: Place[] = [start];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    if (!isInside(place) || !isSame(colorAt(copy, place), old)) continue;
    const [x, y] = place;
    copy.set(color, 3 * (y * drawingSize + x));
    open.push([x - 1, y], [x + 1, y], [x, y - 1], [x, y + 1]);
  }
  return copy;
}

/** `#1f2e3d`. */
export const hexOf = (color: Color): string => `#${color.map((value) => value.toString(16).padStart(2, "0")).join("")}`;

export function colorOfHex(hex: string): Color {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** Colours to begin with, with what they are called. */
export const palette: readonly (readonly [name: string, color: Color])[] = [
  ["black", [22, 22, 26]],
  ["grey", [128, 132, 138]],
  ["white", white],
  ["red", [214, 44, 44]],
  ["orange", [240, 136, 32]],
  ["yellow", [250, 210, 60]],
  ["green", [52, 160, 74]],
  ["turquoise", [44, 174, 178]],
  ["blue", [38, 92, 200]],
  ["violet", [126, 70, 180]],
  ["pink", [236, 116, 170]],
  ["brown", [122, 78, 44]],
];

/** What a colour is called: its name in the palette, or its numbers. */
export function colorName(color: Color): string {
  return palette.find(([, each]) => isSame(each, color))?.[0] ?? hexOf(color);
}
