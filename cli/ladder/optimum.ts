/** An average's length and its error. */
export type LengthPoint = { readonly sigmaRel: number; readonly error: number };

/** The best length of a sweep. */
export type Optimum = LengthPoint & {
  /** Whether it is the shortest or longest of those tried, so that the true one may lie outside. */
  readonly isAtEdge: boolean;
};

/** Shortest first, without what diverged. */
function inOrder(points: readonly LengthPoint[]): readonly LengthPoint[] {
  return points.filter(({ error }) => Number.isFinite(error)).sort((a, b) => a.sigmaRel - b.sigmaRel);
}

/**
 * The best length between those tried: the vertex of the parabola through the best one and its neighbours, in the logarithm of the
 * length. Null without a point.
 */
export function optimumOf(sweep: readonly LengthPoint[]): Optimum | null {
  const points = inOrder(sweep);
  const errors = points.map(({ error }) => error);
  const best = errors.indexOf(Math.min(...errors));
  const [before, at, after] = [points[best - 1], points[best], points[best + 1]];
  if (at === undefined) return null;
  if (before === undefined || after === undefined) return { ...at, isAtEdge: true };
  const [left, right] = [Math.log(before.sigmaRel / at.sigmaRel), Math.log(after.sigmaRel / at.sigmaRel)];
  // error = at + slope x + bend x^2 through both neighbours, where x is 0 at the best point.
  const [down, up] = [(before.error - at.error) / left, (after.error - at.error) / right];
  const bend = (up - down) / (right - left);
  const slope = down - bend * left;
  if (bend <= 0) return { ...at, isAtEdge: false };
  const x = -slope / (2 * bend);
  return { sigmaRel: at.sigmaRel * Math.exp(x), error: at.error - slope ** 2 / (4 * bend), isAtEdge: false };
}

/**
 * By what share of the best error the error rises where the length is `factor` times longer or shorter than the best one tried; the
 * mean of both sides, or the one that was tried. Null if neither was.
 */
export function riseOf(sweep: readonly LengthPoint[], factor: number): number | null {
  const points = inOrder(sweep);
  const best = points.reduce<LengthPoint | null>((a, b) => (a === null || b.error < a.error ? b : a), null);
  if (best === null) return null;
  const sides = [best.sigmaRel / factor, best.sigmaRel * factor].flatMap((length) => errorAt(points, length) ?? []);
  if (sides.length === 0) return null;
  return sides.reduce((sum, error) => sum + error, 0) / sides.length / best.error - 1;
}

/** The error at a length between two that were tried, on a line in the logarithm of the length. */
function errorAt(points: readonly LengthPoint[], length: number): number | null {
  const after = points.find(({ sigmaRel }) => sigmaRel >= length);
  const before = points.findLast(({ sigmaRel }) => sigmaRel <= length);
  if (before === undefined || after === undefined) return null;
  if (before === after) return before.error;
  const share = Math.log(length / before.sigmaRel) / Math.log(after.sigmaRel / before.sigmaRel);
  return before.error + share * (after.error - before.error);
}
