/** Numbers in the text of functions. */

/** Text of the f32 nearest to a number. */
export const f = (value: number): string => (value < 0 ? `(-${Math.fround(-value)}f)` : `${Math.fround(value)}f`);
export const ratio = (numerator: number, denominator: number): string => f(numerator / denominator);

export const infinityBits = "0x7f800000u";
export const nanBits = "0x7fc00000u";
