import type { PostHocFit } from "./postHoc.ts";
import { type AveragingProfile, profileDensity } from "./profile.ts";
import { profileTimes } from "./profileTimes.ts";

/** A stored average's part in another. */
export type AverageShare = {
  /** Images seen when it was stored. */
  readonly nimg: number;
  /** Its width; null for an exponential average. */
  readonly sigmaRel: number | null;
  readonly coefficient: number;
};

/** A post-hoc average as it is drawn: what is wanted over training time, and what the stored averages make of it. */
export type FitDescription = {
  /** Images seen, rising from 0 to the average's own time; the arrays below have a number for each. */
  readonly times: Float64Array;
  /** The wanted profile's density, relative to that of the uniform average: the share of a training time, 1 where all have the same. */
  readonly target: Float64Array;
  /** The sum of the stored profiles' densities, each times its coefficient, on the same scale. */
  readonly fit: Float64Array;
  /** Stored averages up to the average's time, in the order of time and width. */
  readonly coefficients: readonly AverageShare[];
  /** The integral of (fit - target)^2 over that of target^2. */
  readonly error: number;
};

/** @param stored the profiles that the fit was made of, in its order. @param points of the even grid, beside those at jumps. */
export function describeFit(
  stored: readonly AveragingProfile[],
  { wanted, coefficients, relativeError }: PostHocFit,
  points: number,
): FitDescription {
  const end = wanted.nimg;
  const used = stored
    .map((profile, i) => ({ profile, coefficient: coefficients[i] ?? 0 }))
    .filter(({ profile }) => profile.nimg <= end);
  const times = Float64Array.from(
    profileTimes(
      end,
      used.map(({ profile }) => profile),
      points,
    ),
  );
  return {
    times,
    target: times.map((time) => end * profileDensity(wanted, time)),
    fit: times.map((time) =>
      used.reduce((sum, { profile, coefficient }) => sum + end * coefficient * profileDensity(profile, time), 0),
    ),
    coefficients: used.map(({ profile, coefficient }) => ({
      nimg: profile.nimg,
      sigmaRel: profile.kind === "power" ? profile.sigmaRel : null,
      coefficient,
    })),
    error: relativeError,
  };
}
