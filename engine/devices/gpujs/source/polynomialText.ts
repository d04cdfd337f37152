import { literalText } from "./numbers.ts";

/** coefficients[0] + coefficients[1] x + ..., by Horner's rule. */
export function polynomialText(x: string, coefficients: readonly number[]): string {
  return coefficients.reduceRight(
    (text, coefficient) => (text === "" ? literalText(coefficient) : `${literalText(coefficient)} + ${x} * (${text})`),
    "",
  );
}
