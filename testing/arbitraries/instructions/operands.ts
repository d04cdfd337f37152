/** What an instruction of a random program sees of earlier values, and how it adapts them, so that it is valid on any. */
import type { DType } from "../../../engine/graph/dtype.ts";
import { at, sameShape, type Shape, sizeOf } from "../../../engine/graph/shape.ts";
import {
  absolute,
  add,
  and,
  broadcastTo,
  cast,
  clamp,
  iota,
  isFinite,
  minimum,
  multiply,
  reshape,
  scalar,
  slice,
  type Tensor,
  where,
} from "../../../engine/index.ts";

/** What an instruction sees. */
export type Context = {
  /** Operand number i, as it is. */
  readonly any: (i: 0 | 1 | 2) => Tensor;
  /** Operand number i as a dtype. */
  readonly of: (i: 0 | 1 | 2, dtype: DType) => Tensor;
  readonly choices: readonly [number, number];
};

/** What an instruction makes of earlier values; `undefined` if it has nothing to do on these. */
export type Instructed = (context: Context) => Tensor | undefined;

/** Kinds of instructions, by name. */
export type Instructions = { readonly [name: string]: Instructed };

/** f32 of finite, moderate size, so that a cast to an integer is neither an error nor a saturation. */
const tame = (x: Tensor): Tensor => clamp(where(isFinite(x), x, 0), -1e9, 1e9);

/** x as a dtype; of an f32 that becomes an integer, what is finite and moderate. */
export function toDtype(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  if (x.dtype !== "f32" || dtype === "bool") return cast(x, dtype);
  return cast(dtype === "u32" ? absolute(tame(x)) : tame(x), dtype);
}

/** y with a shape that broadcasts with x: itself if it does, else one element of it, else a number. */
export function beside(x: Tensor, y: Tensor): Tensor {
  const rank = Math.min(x.rank, y.rank);
  const fits = Array.from({ length: rank }, (_, i) => i + 1).every((back) => {
    const [a, b] = [at(x.shape, x.rank - back), at(y.shape, y.rank - back)];
    return a === b || a === 1 || b === 1;
  });
  return fits ? y : firstElement(y);
}

/** A scalar: the first element, or one where there is none. */
export function firstElement(y: Tensor): Tensor {
  if (y.size === 0) return cast(scalar(1, "u32"), y.dtype);
  return reshape(
    slice(
      y,
      y.shape.map(() => [0, 1] as const),
    ),
    [],
  );
}

/** An axis of x. */
export const axisOf = (x: Tensor, choice: number): number => (x.rank === 0 ? 0 : choice % x.rank);

/** x with at least one axis. */
export const lifted = (x: Tensor): Tensor => (x.rank === 0 ? reshape(x, [1]) : x);

/** x with exactly `rank` axes. */
export const ofRank = (x: Tensor, rank: number): Tensor => {
  if (x.rank < rank) return reshape(x, [...new Array<number>(rank - x.rank).fill(1), ...x.shape]);
  return reshape(x, [sizeOf(x.shape.slice(0, x.rank - rank + 1)), ...x.shape.slice(x.rank - rank + 1)]);
};

/** x with one axis. */
export const flat = (x: Tensor): Tensor => reshape(x, [x.size]);

/** x, as integers if it is of booleans. */
export const numeric = (x: Tensor): Tensor => (x.dtype === "bool" ? cast(x, "i32") : x);

/** One of a list. */
export const choose = <T>(list: readonly T[], choice: number): T => at(list, choice % list.length);

/** An index along an axis of x, some of it often and some not at all. */
export function someIndex(x: Tensor, from: Tensor, axis: number): Tensor {
  const places = add(multiply(iota(x.shape, 0), 5), multiply(iota(x.shape, axis), 3));
  return minimum(and(add(places, firstElement(from)), 7), Math.max(0, at(x.shape, axis) - 1));
}

/** g if it has the shape, else an element of it everywhere. */
export const ofShape = (g: Tensor, shape: Shape): Tensor =>
  sameShape(g.shape, shape) ? g : broadcastTo(firstElement(g), shape);
