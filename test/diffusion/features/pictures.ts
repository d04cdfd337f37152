import type { Shape } from "../../../engine/index.ts";

/** Pictures u8 [N, C, H, W], made of whole numbers alone, so that they are the same wherever they are made. */
export type Pictures = { readonly shape: Shape; readonly values: Uint8Array };

/** Ramps with discs, checks and noise in colour, [3, 3, 32, 32]. */
export function colourPictures(): Pictures {
  return pictures([3, 3, 32, 32], (n, c, y, x) => {
    const inDisc = (x - 16) ** 2 + (y - 10 - 4 * c) ** 2 < 64;
    if (n === 0) return inDisc ? 230 - 60 * c : 8 * (c === 1 ? y : x);
    if (n === 1) return (Math.floor(x / 4) + Math.floor(y / (3 + c))) % 2 === 0 ? 220 - 40 * c : 30 + 20 * c;
    // A linear congruential generator, jumped to by its position.
    const mixed = Math.imul(((c * 32 + y) * 32 + x + 1) * 2654435761, 1664525) + 1013904223;
    return (mixed >>> 16) & 255;
  });
}

/** Rings in grey, larger than the network's input and not square, [1, 1, 300, 260]. */
export function greyPicture(): Pictures {
  return pictures([1, 1, 300, 260], (_n, _c, y, x) => (((x - 100) ** 2 + (y - 170) ** 2) >> 6) & 255);
}

function pictures(
  shape: readonly [number, number, number, number],
  valueAt: (n: number, c: number, y: number, x: number) => number,
): Pictures {
  const [, channels, height, width] = shape;
  const values = Uint8Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, at) => {
    const [line, x] = [Math.floor(at / width), at % width];
    const [plane, y] = [Math.floor(line / height), line % height];
    return valueAt(Math.floor(plane / channels), plane % channels, y, x);
  });
  return { shape, values };
}
