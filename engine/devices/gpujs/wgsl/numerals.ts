/** Numbers in the text of functions. */

/** Text of the f32 nearest to a number. */
export const f = (value: number): string => (value < 0 ? `(-${Math.fround(-value)}f)` : `${Math.fround(value)}f`);
export const ratio = (numerator: number, denominator: number): string => f(numerator / denominator);

/** coefficients[0] + coefficients[1] x + ..., by Horner's rule. */
export const polynomial = (x: string, coefficients: readonly number[]): string =>
  coefficients.reduceRight(
    (text, coefficient) => (text === "" ? f(coefficient) : `${f(coefficient)} + ${x} * (${text})`),
    "",
  );

export const infinityBits = "0x7f800000u";
export const nanBits = "0x7fc00000u";
