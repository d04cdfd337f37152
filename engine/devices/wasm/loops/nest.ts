/** Loops as a tiling, and what their code asks of it. */
import { at } from "../../../graph/shape.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import type { Split, Tiling } from "../../../kernel/tiling.ts";

/** Which axis becomes lanes, and how many points (on that axis: vectors) of an axis one pass of its loop computes, where more than one. */
export type Tile = { readonly vector: number | null; readonly unroll: ReadonlyMap<number, number> };

export type Nest = Tile & {
  /** Parallel axes, outermost loop first. */
  readonly order: readonly number[];
  /** Innermost reduce axes that are written out in full. */
  readonly flattened: ReadonlySet<number>;
  /** The axis that threads share, or null if there is one point only. */
  readonly split: number | null;
};

/** Lanes of a vector of 32-bit numbers. */
const lanes = 4;

/** Elements along `axis` that one pass of its loop covers. */
export function blockOf({ vector, unroll }: Tile, axis: number): number {
  return (unroll.get(axis) ?? 1) * (axis === vector ? lanes : 1);
}

/** The tiling that {@link nestOf} reads as `nest`. */
export function tilingOf({ axes }: Pick<Kernel, "axes">, nest: Nest): Tiling {
  const { vector, unroll, order, flattened, split } = nest;
  const within = (axis: number, by: number): number => Math.max(1, Math.min(by, at(axes, axis).size));
  const reduce = axes.flatMap(({ role }, axis) => (role === "reduce" && !flattened.has(axis) ? [axis] : []));
  const loops = [...order, ...reduce].map(
    (axis): Split => ({ axis, by: within(axis, blockOf(nest, axis)), as: axis === split ? "grid" : "loop" }),
  );
  const written = axes.flatMap((_, axis): Split[] => (flattened.has(axis) ? [{ axis, by: 1, as: "unroll" }] : []));
  const unrolled = [...unroll.keys()].map(
    (axis): Split => ({ axis, by: within(axis, axis === vector ? lanes : 1), as: "unroll" }),
  );
  const vectors: readonly Split[] = vector === null ? [] : [{ axis: vector, by: 1, as: "lane" }];
  return { splits: [...loops, ...written, ...unrolled, ...vectors], stages: [] };
}

export function nestOf({ axes }: Pick<Kernel, "axes">, { splits }: Tiling): Nest {
  const loops = splits.filter(({ as }) => as === "grid" || as === "loop");
  const loopOf = (axis: number): Split | undefined => loops.find((loop) => loop.axis === axis);
  const unrolled = splits.filter(({ as }) => as === "unroll");
  return {
    vector: splits.find(({ as }) => as === "lane")?.axis ?? null,
    unroll: new Map(
      unrolled.flatMap(({ axis, by }) => {
        const loop = loopOf(axis);
        return loop === undefined ? [] : [[axis, loop.by / by]];
      }),
    ),
    order: loops.flatMap(({ axis }) => (at(axes, axis).role === "parallel" ? [axis] : [])),
    flattened: new Set(unrolled.flatMap(({ axis }) => (loopOf(axis) === undefined ? [axis] : []))),
    split: loops.find(({ as }) => as === "grid")?.axis ?? null,
  };
}
