/**
 * Which thread computes which result word: the parallel axes are dealt to gpu.js's three output dimensions, so that
 * most coordinates are a thread index as it is. Several axes on one dimension are told apart by multiplying with a
 * reciprocal, exactly: for t < 2^20 the error of `(t + 0.5) * f32(1 / n)` is below 2^-23 (t + 0.5) / n, and the next
 * whole number is at least 0.5 / n away.
 */
import { EvenkeelError } from "../../../errors.ts";
import type { KernelWriter } from "./writer.ts";

/** Threads per dimension at most: 65535 groups of 8 along x and y, of 1 along z (WebGPU's limit). */
const dimensionLimits = [524_280, 524_280, 65_535] as const;
/** Thread indices from here on have no exact f32. */
const exactLimit = 2 ** 24;

export type OutputGrid = {
  /** gpu.js's `output`, x first. */
  readonly output: readonly number[];
  /** Text of each parallel axis' coordinate, an i32 expression; "0" for axes of size 1. */
  readonly coordinates: readonly string[];
  /** Text that is 0 in threads of the high limbs and 1 in those of the low ones; null for results of one plane. */
  readonly plane: string | null;
};

/** A piece of an axis: coordinate = sum over its pieces of piece * stride. */
type Piece = { readonly axis: number; readonly size: number; readonly stride: number };

/** Gives every element of `sizes` (outermost first) a thread, `planes` times one after the other. */
export function outputGrid(writer: KernelWriter, sizes: readonly number[], planes: 1 | 2): OutputGrid {
  const total = sizes.reduce<number>((product, size) => product * size, planes);
  const axes = sizes.flatMap((size, axis) => (size === 1 ? [] : [{ axis, size, stride: 1 }]));
  const groups = dealt(axes, planes) ?? [axes];
  const flat = groups.length === 1;
  if (flat && axes.length > 1 && total > exactLimit) {
    throw new EvenkeelError(
      "kernel",
      `gpu.js kernels: a result of ${total} words over axes [${sizes.join(", ")}] has more than ${exactLimit} threads, ` +
        "and its axes don't fit three dimensions. Compute it in parts.",
    );
  }
  const coordinates = sizes.map(() => "0");
  const output: number[] = [];
  let plane: string | null = null;
  for (const [fromOutside, group] of groups.entries()) {
    const dimension = dimensionOf(writer, groups.length - 1 - fromOutside, groups.length);
    const points = group.reduce((product, piece) => product * piece.size, 1);
    let thread = `this.thread.${["x", "y", "z"][dimension] ?? "x"}`;
    const planar = fromOutside === 0 && planes === 2;
    output[dimension] = planar ? 2 * points : points;
    if (planar) {
      plane = writer.local(`(${thread} < ${points} ? 0 : 1)`);
      thread = `(${thread} - ${whole(writer, plane)} * ${points})`;
    }
    for (const { piece, text } of decoded(writer, thread, group, points)) {
      const part = piece.stride === 1 ? text : `${text} * ${piece.stride}`;
      const known = coordinates[piece.axis];
      coordinates[piece.axis] = known === undefined || known === "0" ? part : `${known} + ${part}`;
    }
  }
  if (writer.mode === "webgl2") for (const dimension of [0, 1, 2]) output[dimension] ??= 1;
  return { output, coordinates: coordinates.map((text) => (/ [+*] /.test(text) ? `(${text})` : text)), plane };
}

/**
 * The output dimension of a group, counted from the innermost. On webgl2 all outputs are three-dimensional, because gpu.js
 * compiles a kernel again for every dimensionality of texture it is given, and two groups lie on x and z, because an
 * output [w, h, 1] gets a texture of just that width and height, which may be wider than textures can be.
 */
function dimensionOf(writer: KernelWriter, fromInside: number, groups: number): number {
  return writer.mode === "webgl2" && groups === 2 && fromInside === 1 ? 2 : fromInside;
}

/** An i32 expression of a whole number held in a local. */
function whole(writer: KernelWriter, local: string): string {
  return writer.mode === "cpu" ? local : writer.call("whole", local);
}

/** The coordinates of a group's pieces from its thread index, outermost first. */
function decoded(
  writer: KernelWriter,
  thread: string,
  group: readonly Piece[],
  points: number,
): { readonly piece: Piece; readonly text: string }[] {
  const [outermost, ...inner] = group;
  if (outermost === undefined) return [];
  if (inner.length === 0) return [{ piece: outermost, text: thread }];
  let rest = writer.local(thread);
  const coordinates: { readonly piece: Piece; readonly text: string }[] = [];
  for (const piece of inner.reverse()) {
    const reciprocal = Math.fround(1 / piece.size);
    let quotient: string;
    let remainder: string;
    if (points <= 2 ** 20) {
      quotient = writer.local(`Math.floor((${rest} + 0.5) * ${reciprocal})`);
      remainder = writer.local(`(${rest} - ${quotient} * ${piece.size})`);
    } else {
      // Up to 2^24 the estimate may be one off: mend it by the remainder, whose arithmetic is exact.
      const estimate = writer.local(`Math.floor(${rest} * ${reciprocal})`);
      const off = writer.local(`(${rest} - ${estimate} * ${piece.size})`);
      const mend = writer.local(`(${off} < 0 ? (-1) : (${off} >= ${piece.size} ? 1 : 0))`);
      quotient = writer.local(`(${estimate} + ${mend})`);
      remainder = writer.local(`(${rest} - ${quotient} * ${piece.size})`);
    }
    coordinates.unshift({ piece, text: whole(writer, remainder) });
    rest = quotient;
  }
  return [{ piece: outermost, text: whole(writer, rest) }, ...coordinates];
}

/** The axes in one to three groups (outermost first) that each fit their output dimension; null if there is no way. */
function dealt(axes: readonly Piece[], planes: 1 | 2): Piece[][] | null {
  if (axes.length <= 1) return [[...axes]];
  const pieces = axes.flatMap((axis) => split(axis));
  for (let innermost = 1; innermost < pieces.length; innermost++) {
    for (let middle = 1; middle <= pieces.length - innermost; middle++) {
      const outer = pieces.slice(0, pieces.length - innermost - middle);
      const between = pieces.slice(pieces.length - innermost - middle, pieces.length - innermost);
      const groups = [outer, between, pieces.slice(pieces.length - innermost)].filter((group) => group.length > 0);
      if (fits(groups, planes)) return groups;
    }
  }
  return null;
}

function fits(groups: readonly (readonly Piece[])[], planes: 1 | 2): boolean {
  return groups.every((group, fromOutside) => {
    const points = group.reduce<number>((product, { size }) => product * size, fromOutside === 0 ? planes : 1);
    return points <= (dimensionLimits[groups.length - 1 - fromOutside] ?? 0);
  });
}

/** A long axis as an outer and an inner piece that each fit a dimension, if its size has such factors. */
function split(axis: Piece): Piece[] {
  const limit = dimensionLimits[0] / 2;
  if (axis.size <= limit) return [axis];
  for (let inner = Math.min(limit, axis.size >> 1); inner > 1; inner--) {
    if (axis.size % inner === 0 && axis.size / inner <= limit) {
      return [
        { axis: axis.axis, size: axis.size / inner, stride: axis.stride * inner },
        { axis: axis.axis, size: inner, stride: axis.stride },
      ];
    }
  }
  return [axis];
}
