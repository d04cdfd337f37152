/**
 * Regions (pads, concatenations) without a test per element: the range of an axis is cut into segments within which every
 * region on that axis is known to be inside or outside, and each segment gets code of its own.
 */
import { at } from "../../../graph/shape.ts";
import type { Scalar } from "../../../kernel/kernel.ts";
import { rewriter, scalarsOf } from "../../../kernel/scalar.ts";

/** A range `start <= axis < stop` of an axis. */
export type Segment = { readonly start: number; readonly stop: number };

/** The shortest list of segments covering 0..size such that no region of `roots` on `axis` begins or ends within one. */
export function segmentsOf(roots: readonly Scalar[], axis: number, size: number): readonly Segment[] {
  const cuts = new Set<number>([0, size]);
  for (const scalar of scalarsOf(...roots)) {
    if (scalar.kind !== "region" || scalar.axis !== axis || scalar.start >= scalar.stop) continue;
    for (const cut of [scalar.start, scalar.stop]) if (cut > 0 && cut < size) cuts.add(cut);
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.slice(1).map((stop, index) => ({ start: at(sorted, index), stop }));
}

/** `scalar` where `axis` is within `segment`, one of `segmentsOf`. Unchanged parts stay the same objects. */
export function restrict(scalar: Scalar, axis: number, segment: Segment): Scalar {
  const rewrite = rewriter((expression, visit) => {
    if (expression.kind !== "region" || expression.axis !== axis) return undefined;
    const inside = expression.start <= segment.start && segment.stop <= expression.stop;
    return visit(inside ? expression.inside : expression.outside);
  });
  return rewrite(scalar);
}
