/** Where elements of a product's arrays lie, as u32 text: sums that may wrap on the way to what is in bounds. */
import { addressText, coordinatesOf } from "../addresses.ts";
import type { Affine } from "../../../../kernel/kernel.ts";
import type { Direction } from "./sides.ts";

/**
 * What point number `index` of a direction adds to an address: text that can stand in a sum.
 * @param local gives a name to a text
 */
export function offsetText(local: (text: string) => string, { runs }: Direction, index: string): string {
  const axes = coordinatesOf(
    isAtom(index) || runs.length < 2 ? index : local(index),
    runs.map(({ size }) => size),
    local,
  );
  const text = addressText(
    { offset: 0, coefficients: runs.map(({ step }) => step) },
    axes.map((axis) => (isAtom(axis.text) ? axis : { ...axis, text: `(${axis.text})` })),
  );
  return text.startsWith("0u - ") ? `(${text})` : text;
}

/** The offset of an address; a negative one is what wraps to it. */
export const offsetNumeral = ({ offset }: Affine): string => `${offset < 0 ? 2 ** 32 + offset : offset}u`;

/** Whether an offset is a multiple of the index. */
export const isLinear = ({ runs }: Direction): boolean => runs.length < 2;

/** A sum of texts, without what is 0. */
export function sumText(...terms: readonly string[]): string {
  return terms.filter((term) => term !== "0u").join(" + ") || "0u";
}

const isAtom = (text: string): boolean => /^\w+$/.test(text);
