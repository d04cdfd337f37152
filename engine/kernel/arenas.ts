/** How buffers that are allocated together share memory: a pure function of what they are, so that plans can rely on it. */
import type { DType } from "../graph/dtype.ts";
import type { ArenaPlace } from "./plan.ts";

/** A GPU binds ranges that begin at multiples of so many bytes. */
const alignment = 256;

/** Bytes that a buffer of so many elements takes in an arena; even an empty one has a place of its own. */
export const placeBytes = (length: number): number => Math.max(1, Math.ceil((4 * length) / alignment)) * alignment;

/**
 * Nothing begins at 0: all addresses in an arena are then made of the same parts, an offset among them, and kernels over different buffers
 * differ in numbers alone.
 */
export const firstPlace = alignment;

/** Places one after the other of so many words each, and the size in bytes of what holds them. */
export function placesInRow(lengths: readonly number[]): {
  readonly offsets: readonly number[];
  readonly bytes: number;
} {
  let bytes = firstPlace;
  const offsets = lengths.map((length) => {
    const offset = bytes;
    bytes += placeBytes(length);
    return offset;
  });
  return { offsets, bytes };
}

/** Where buffers that are allocated together lie. */
export type ArenaPlaces = {
  /** Null: in memory of its own. */
  readonly places: readonly (ArenaPlace | null)[];
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
};

/**
 * Places buffers in as few arenas as can be: one for each dtype, or several where one would be too large.
 * @param largest bytes that an arena may have
 */
export function placesTogether(
  buffers: readonly { readonly dtype: DType; readonly length: number }[],
  largest: number,
): ArenaPlaces {
  const arenas: number[] = [];
  const open = new Map<DType, number>();
  const places = buffers.map(({ dtype, length }): ArenaPlace | null => {
    const bytes = placeBytes(length);
    if (firstPlace + bytes > largest) return null;
    let arena = open.get(dtype);
    let offset = arena === undefined ? firstPlace : (arenas[arena] ?? firstPlace);
    if (arena === undefined || offset + bytes > largest) {
      arena = arenas.length;
      offset = firstPlace;
      open.set(dtype, arena);
    }
    arenas[arena] = offset + bytes;
    return { arena, offset };
  });
  return { places, arenas };
}
