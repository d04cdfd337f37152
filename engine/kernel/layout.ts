/**
 * How the elements of an array lie in memory. Most lie in their order. Of an image with channels it may be better for all channels of a
 * pixel to lie side by side, and of a filter all inputs of a tap: then what moves by a pixel, or a tap, moves by whole fours.
 */
import { combine, type Bounds, type IndexExpression, rangeOf } from "./indexing.ts";
import type { AxisSymbol } from "./indexing.ts";

/**
 * An array as images one after the other, of so many channels with so many pixels each: element `(image * channels + channel) * pixels +
 * pixel` lies at `(image * pixels + pixel) * channels + channel`.
 */
export type ChannelsLast = { readonly channels: number; readonly pixels: number };

/** Null: in the order of the elements. */
export type Layout = ChannelsLast | null;

export const sameLayout = (one: Layout, other: Layout): boolean =>
  one?.channels === other?.channels && one?.pixels === other?.pixels;

export type Moved =
  | { readonly kind: "at"; readonly at: IndexExpression }
  /** It is no affine function of the axes unless this one is cut so that its inner part has `inner` points. */
  | { readonly kind: "cut"; readonly axis: AxisSymbol; readonly inner: number }
  | { readonly kind: "none" };

/** Where the element lies whose number is `flat`, of an array with channels last. */
export function moved(flat: IndexExpression, { channels, pixels }: ChannelsLast, bounds: Bounds): Moved {
  const images = digits(flat, channels * pixels, bounds);
  if (images.kind !== "digits") return images;
  const inner = digits(images.rest, pixels, bounds);
  if (inner.kind !== "digits") return inner;
  const image = combine(images.quotient, channels * pixels);
  return { kind: "at", at: combine(inner.rest, channels, combine(inner.quotient, 1, image)) };
}

type Digits = { readonly kind: "digits"; readonly quotient: IndexExpression; readonly rest: IndexExpression };

/** `flat` as `quotient * stride + rest`, where the rest is from 0 to below the stride. */
function digits(flat: IndexExpression, stride: number, bounds: Bounds): Digits | Exclude<Moved, { kind: "at" }> {
  const whole = flat.terms.filter(({ coefficient }) => coefficient % stride === 0);
  const others = flat.terms.filter(({ coefficient }) => coefficient % stride !== 0);
  const { low, high } = rangeOf({ offset: flat.offset, terms: others }, bounds);
  const quotient = Math.floor(low / stride);
  if (high - quotient * stride < stride) {
    return {
      kind: "digits",
      quotient: {
        offset: quotient,
        terms: whole.map(({ axis, coefficient }) => ({ axis, coefficient: coefficient / stride })),
      },
      rest: { offset: flat.offset - quotient * stride, terms: others },
    };
  }
  for (const { axis, coefficient } of others) {
    const inner = stride / coefficient;
    if (inner > 1 && Number.isInteger(inner) && inner < axis.size && axis.size % inner === 0) {
      return { kind: "cut", axis, inner };
    }
  }
  return { kind: "none" };
}
