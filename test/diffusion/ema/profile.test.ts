import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type AveragingProfile,
  compareProfiles,
  exponentialProfile,
  maximumSigmaRel,
  powerProfile,
  profileDensity,
  profileInnerProduct,
} from "../../../diffusion/ema/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";

const times = fc.double({ min: 0.5, max: 20, noNaN: true });
const powers = fc
  .tuple(times, fc.double({ min: 0.01, max: maximumSigmaRel, noNaN: true }))
  .map(([nimg, sigmaRel]): AveragingProfile => powerProfile(nimg, sigmaRel));
const exponentials = fc
  .tuple(times, fc.double({ min: 0.01, max: 0.14, noNaN: true }))
  .map(([nimg, share]): AveragingProfile => exponentialProfile(nimg, share * nimg));
const profiles = fc.oneof(powers, exponentials);

/** Tanh-sinh quadrature over [0, end]: exact to rounding also for the root-like starts of flat profiles. */
function integrate(f: (x: number) => number, end: number): number {
  const h = 1 / 64;
  let sum = 0;
  for (let k = -64 * 4; k <= 64 * 4; k++) {
    const s = (Math.PI / 2) * Math.sinh(k * h);
    // The point and its distance from the nearer end, without cancellation.
    const x = end / (1 + Math.exp(-2 * s));
    sum += ((f(x) * (Math.PI / 2) * Math.cosh(k * h)) / Math.cosh(s) ** 2) * (end / 2);
  }
  return sum * h;
}

describe("averaging profiles", () => {
  it("integrate to 1", () => {
    fc.assert(
      fc.property(profiles, (profile) => {
        const integral = integrate((tau) => profileDensity(profile, tau), profile.nimg);
        // Powers up to 100 of numbers within 2^-53 and a sum of 513 terms: 7e-14. The quadrature itself is exact to rounding.
        assert.ok(Math.abs(integral - 1) <= 1e-12, String(integral));
      }),
    );
  });

  it("have inner products that are the integrals of their products", () => {
    fc.assert(
      fc.property(profiles, profiles, (a, b) => {
        const product = profileInnerProduct(a, b);
        const end = Math.min(a.nimg, b.nimg);
        const integral = integrate((tau) => profileDensity(a, tau) * profileDensity(b, tau), end);
        // Either side rounds by 1e-13 at most, as above. Absolute, in units of the norms, for profiles that hardly overlap.
        const scale = Math.sqrt(profileInnerProduct(a, a) * profileInnerProduct(b, b));
        assert.ok(Math.abs(product - integral) <= 1e-10 * Math.max(Math.abs(integral), 1e-6 * scale));
        assert.equal(product, profileInnerProduct(b, a));
        assert.ok(product <= scale * (1 + 1e-12));
      }),
    );
  });

  it("don't depend on the unit of time, up to the largest and smallest numbers", () => {
    fc.assert(
      fc.property(powers, powers, fc.constantFrom(1e-100, 1e9, 1e100), (a, b, factor) => {
        const scaled = (profile: AveragingProfile): AveragingProfile => ({ ...profile, nimg: profile.nimg * factor });
        const [product, far] = [profileInnerProduct(a, b), profileInnerProduct(scaled(a), scaled(b)) * factor];
        assert.ok(Math.abs(far - product) <= 1e-11 * product);
      }),
    );
    const narrow = profileInnerProduct(powerProfile(1, 1e-4), powerProfile(1e12, 1e-4));
    assert.equal(narrow, 0);
  });

  it("of long exponential averages keep their precision", () => {
    const exponential = exponentialProfile(1e6, 100);
    // Far narrower than anything the power function does in its last 1%, so that the product is the density there.
    const power = powerProfile(1e6, 0.2);
    const product = profileInnerProduct(power, exponential);
    const gamma = 1.8262137798958404;
    const mean = 1 - (gamma * 100) / Math.LN2 / 1e6;
    assert.ok(Math.abs(product / profileDensity(power, 1e6) / mean - 1) < 1e-6);
  });

  it("are zero outside of their time", () => {
    for (const profile of [powerProfile(8, 0.1), exponentialProfile(8, 0.5)]) {
      assert.equal(profileDensity(profile, -1), 0);
      assert.equal(profileDensity(profile, 8.001), 0);
      assert.ok(profileDensity(profile, 8) > 0);
    }
    assert.equal(profileDensity(powerProfile(8, 0.1), 0), 0);
  });

  it("are ordered by time, then by width", () => {
    const sorted = [powerProfile(1, 0.05), powerProfile(1, 0.1), powerProfile(2, 0.05), powerProfile(2, 0.1)];
    assert.deepEqual([3, 1, 2, 0].map((i) => sorted[i] as AveragingProfile).sort(compareProfiles), sorted);
  });

  it("are refused where they make no sense", () => {
    const refuses = (make: () => unknown, message: RegExp): void =>
      assert.throws(
        make,
        (error) => error instanceof EvenkeelError && error.code === "range" && message.test(error.message),
      );
    refuses(() => powerProfile(0, 0.1), /time is 0 images/);
    refuses(() => powerProfile(5, 0.3), /sigma_rel is 0.3/);
    refuses(() => exponentialProfile(5, 0), /half-life is 0/);
    refuses(() => exponentialProfile(100, 50), /still 25.0% initial weights/);
  });
});
