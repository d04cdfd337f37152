import type { AveragingProfile } from "./profile.ts";

/**
 * Times at which to draw profiles from 0 to `end`, rising: an even grid of `points` and one, and both sides of each time at which a stored
 * profile ends, where what is fitted from them may jump.
 * @example console.log(profileTimes(100, [powerProfile(60, 0.1)], 4)); // [ 0, 25, 50, 60, 60.00000006, 75, 100 ]
 */
export function profileTimes(
  end: number,
  stored: readonly Pick<AveragingProfile, "nimg">[],
  points: number,
): readonly number[] {
  const grid = Array.from({ length: points + 1 }, (_, i) => (end * i) / points);
  const jumps = stored.flatMap(({ nimg }) => [nimg, nimg * (1 + 1e-9)]).filter((time) => time <= end);
  return [...new Set([...grid, ...jumps])].sort((a, b) => a - b);
}
