/**
 * Post-hoc averages (Karras et al. 2024, section 3.2 and appendix C): the combination of stored averages whose profile is
 * nearest, in the L2 norm over training time, to a wanted profile. With A_ij = <p_i, p_j> and b_i = <p_i, p_wanted> the
 * coefficients solve A x = b.
 */
import { atOnce, EvenkeelError } from "../../engine/index.ts";
import { ExactDot } from "./exactDot.ts";
import {
  type AveragingProfile,
  compareProfiles,
  describeProfile,
  powerProfile,
  profileInnerProduct,
} from "./profile.ts";
import { SymmetricSystem } from "./symmetricSystem.ts";

/** Options of a post-hoc average. */
export type PostHocOptions = {
  /**
   * Divide the coefficients by their sum, as the authors' program does (their paper doesn't): the result is then an average
   * whose shares add up to 1. Default true.
   */
  readonly normalize?: boolean;
};

/** How one wanted profile is made of the stored ones. */
export type PostHocFit = {
  readonly wanted: AveragingProfile;
  /** One for each stored profile, in their order; 0 for those later than the wanted one. */
  readonly coefficients: Float64Array;
  /** The sum of the coefficients before they were divided by it. */
  readonly sum: number;
  /** Integral of (fitted - wanted)^2 over that of wanted^2, with the coefficients as they are returned. */
  readonly relativeError: number;
  /** Of the matrix A of the stored profiles that could be used. */
  readonly conditionNumber: number;
};

/**
 * Fits each wanted profile by the stored ones that are not later than it.
 * @throws EvenkeelError `value` if no stored profile is early enough, two are equal, or they are too alike for float64.
 * @example
 * ```ts
 * const stored = [1, 2, 3, 4].flatMap((nimg) => [powerProfile(nimg, 0.05), powerProfile(nimg, 0.1)]);
 * const [fit] = fitProfiles(stored, [powerProfile(4, 0.15)]);
 * console.log(fit?.coefficients.length, fit?.coefficients.at(-1)); // 8 1.1154
 * ```
 */
export function fitProfiles(
  stored: readonly AveragingProfile[],
  wanted: readonly AveragingProfile[],
  options: PostHocOptions = {},
): readonly PostHocFit[] {
  return atOnce(fittingProfiles(stored, wanted, options));
}

/**
 * The same with a pause after each.
 * @example
 * ```ts
 * import { inTurns } from "evenkeel/engine";
 *
 * const stored = [1, 2, 3, 4].flatMap((nimg) => [powerProfile(nimg, 0.05), powerProfile(nimg, 0.1)]);
 * // Timers and clicks are served between the fits.
 * const fits = await inTurns(fittingProfiles(stored, [powerProfile(4, 0.15), powerProfile(4, 0.2)]));
 * console.log(fits.length); // 2
 * ```
 */
export function* fittingProfiles(
  stored: readonly AveragingProfile[],
  wanted: readonly AveragingProfile[],
  options: PostHocOptions = {},
): Generator<void, readonly PostHocFit[]> {
  refuseEqualProfiles(stored);
  // Targets of one time share the matrix, and with it all the work.
  const bases = new Map<number, Basis>();
  const fits: PostHocFit[] = [];
  for (const profile of wanted) {
    const basis = bases.get(profile.nimg) ?? createBasis(stored, profile);
    bases.set(profile.nimg, basis);
    fits.push(fit(stored.length, basis, profile, options.normalize ?? true));
    yield;
  }
  return fits;
}

/**
 * Coefficients of power-function averages: `inNimg[i]`, `inSigmaRel[i]` tell the time (in images) and the width of the
 * stored average i, `outNimg[j]`, `outSigmaRel[j]` those of the wanted average j.
 * @throws EvenkeelError `shape` for lists of different lengths, `range` for invalid numbers, `value` as {@link fitProfiles}.
 * @example
 * ```ts
 * const [fit] = solvePostHocCoefficients([1, 1, 2, 2, 3, 3, 4, 4], [0.05, 0.1, 0.05, 0.1, 0.05, 0.1, 0.05, 0.1], [4], [0.15]);
 * console.log(fit?.coefficients.at(-1)); // 1.1154
 * ```
 */
export function solvePostHocCoefficients(
  inNimg: ArrayLike<number>,
  inSigmaRel: ArrayLike<number>,
  outNimg: ArrayLike<number>,
  outSigmaRel: ArrayLike<number>,
  options: PostHocOptions = {},
): readonly PostHocFit[] {
  return fitProfiles(pairUp("stored", inNimg, inSigmaRel), pairUp("wanted", outNimg, outSigmaRel), options);
}

function pairUp(what: string, nimg: ArrayLike<number>, sigmaRel: ArrayLike<number>): AveragingProfile[] {
  if (nimg.length !== sigmaRel.length) {
    throw new EvenkeelError(
      "shape",
      `solvePostHocCoefficients: ${nimg.length} times but ${sigmaRel.length} sigma_rel of ${what} averages.`,
    );
  }
  const widths = Array.from(sigmaRel);
  return Array.from(nimg, (time, i) => powerProfile(time, widths[i] ?? Number.NaN));
}

function refuseEqualProfiles(stored: readonly AveragingProfile[]): void {
  const sorted = stored.toSorted(compareProfiles);
  sorted.forEach((profile, i) => {
    const before = sorted[i - 1];
    if (before?.kind === profile.kind && compareProfiles(before, profile) === 0) {
      throw new EvenkeelError(
        "value",
        `post-hoc average: two stored averages have ${describeProfile(profile)}. Leave one of them out.`,
      );
    }
  });
}

/** The stored profiles usable at one target time. `indices` are their places in the caller's list. */
type Basis = {
  readonly indices: readonly number[];
  readonly profiles: readonly AveragingProfile[];
  readonly system: SymmetricSystem;
  readonly conditionNumber: number;
};

function createBasis(stored: readonly AveragingProfile[], wanted: AveragingProfile): Basis {
  const used = stored.map((profile, index) => ({ profile, index })).filter(({ profile: p }) => p.nimg <= wanted.nimg);
  if (used.length === 0) {
    throw new EvenkeelError(
      "value",
      `post-hoc average: none of the ${stored.length} stored averages was taken by ${wanted.nimg} images.`,
    );
  }
  const profiles = used.map(({ profile }) => profile);
  // Indices are below the number of profiles.
  const at = (i: number): AveragingProfile => profiles[i] as AveragingProfile;
  try {
    const system = new SymmetricSystem(profiles.length, (i, j) => profileInnerProduct(at(i), at(j)) * wanted.nimg);
    return { indices: used.map(({ index }) => index), profiles, system, conditionNumber: system.conditionNumber() };
  } catch (cause) {
    throw tooAlike(profiles.length, cause);
  }
}

function tooAlike(count: number, cause: unknown): unknown {
  if (!(cause instanceof EvenkeelError)) return cause;
  return new EvenkeelError(
    "value",
    `post-hoc average: the profiles of the ${count} stored averages are too alike to be told apart (${cause.message}) ` +
      "Use fewer of them, for example every second time.",
    { cause },
  );
}

function fit(storedCount: number, basis: Basis, wanted: AveragingProfile, normalize: boolean): PostHocFit {
  const { system, profiles } = basis;
  const b = Float64Array.from(profiles, (profile) => profileInnerProduct(profile, wanted) * wanted.nimg);
  let solution: Float64Array;
  try {
    solution = system.solve(b);
  } catch (cause) {
    throw tooAlike(profiles.length, cause);
  }
  const total = new ExactDot();
  for (const coefficient of solution) total.add(coefficient, 1);
  const sum = total.value;
  if (normalize) {
    if (!(sum > 0)) {
      throw new EvenkeelError(
        "value",
        `post-hoc average: the coefficients for ${describeProfile(wanted)} add up to ${sum}, so they can't be normalized: ` +
          "the stored averages do not cover this profile.",
      );
    }
    solution = solution.map((coefficient) => coefficient / sum);
  }
  const coefficients = new Float64Array(storedCount);
  basis.indices.forEach((place, i) => (coefficients[place] = solution[i] ?? 0));
  const relativeError = relativeSquaredError(system, solution, b, profileInnerProduct(wanted, wanted) * wanted.nimg);
  return { wanted, coefficients, sum, relativeError, conditionNumber: basis.conditionNumber };
}

/**
 * |sum_i x_i p_i - p|^2 / |p|^2 = (|p|^2 - x.b - x.(b - A x)) / |p|^2. The terms cancel to the last digits of float64 for
 * a good fit, hence the exact sums; in this form errors of x count only squared.
 */
function relativeSquaredError(
  system: SymmetricSystem,
  x: Float64Array,
  b: Float64Array<ArrayBuffer>,
  squaredNorm: number,
): number {
  const dot = new ExactDot().add(squaredNorm, 1);
  const residual = system.residual(x, b);
  x.forEach((coefficient, i) => dot.add(-coefficient, b[i] ?? 0).add(-coefficient, residual[i] ?? 0));
  return Math.max(0, dot.value / squaredNorm);
}
