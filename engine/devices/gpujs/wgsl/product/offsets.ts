/** Where elements of a product's arrays lie, as u32 text: sums that may wrap on the way to what is in bounds. */
import { addressText, coordinatesOf } from "../addresses.ts";
import type { WgslWriter } from "../writer.ts";
import type { Direction } from "./sides.ts";

/** What point number `index` of a direction adds to an address: text that can stand in a sum. */
export function offsetText(writer: WgslWriter, { runs }: Direction, index: string): string {
  const axes = coordinatesOf(
    isAtom(index) || runs.length < 2 ? index : writer.local(index),
    runs.map(({ size }) => size),
    (text) => writer.local(text),
  );
  const text = addressText(
    { offset: 0, coefficients: runs.map(({ step }) => step) },
    axes.map((axis) => (isAtom(axis.text) ? axis : { ...axis, text: `(${axis.text})` })),
  );
  return text.startsWith("0u - ") ? `(${text})` : text;
}

/** Whether an offset is a multiple of the index. */
export const isLinear = ({ runs }: Direction): boolean => runs.length < 2;

/** A sum of texts, without what is 0. */
export function sumText(...terms: readonly string[]): string {
  return terms.filter((term) => term !== "0u").join(" + ") || "0u";
}

const isAtom = (text: string): boolean => /^\w+$/.test(text);
