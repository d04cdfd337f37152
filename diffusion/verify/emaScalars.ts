import { z } from "zod";
import { EvenkeelError, type StoredTensor, toFloat64 } from "../../engine/index.ts";
import {
  gammaToSigmaRel,
  powerFunctionBeta,
  powerFunctionResponse,
  powerFunctionUpdateRate,
  powerProfile,
  profileInnerProduct,
  reconstruct,
  sigmaRelToGamma,
  solvePostHocCoefficients,
  traditionalBeta,
} from "../ema/index.ts";
import type { Checks } from "./checks.ts";
import type { Fixture } from "./fixture.ts";

/** What is computed in float64, whatever the device. */
export const float64Tolerance = 1e-9;
/** Coefficients of post-hoc averages: the systems have condition numbers up to 1e5. */
const coefficientTolerance = 1e-7;

const responseOptions = z.array(z.strictObject({ ofs: z.number(), std: z.number(), len: z.number() }));

/** Power-function averages: exponents, decay factors, responses, inner products; those that the file has. */
export async function checkAverages(fixture: Fixture, checks: Checks): Promise<void> {
  const group = async (name: string, check: () => void): Promise<void> => {
    if (fixture.hasGroup(name)) await checks.part(name, check);
  };
  await group("ema/std_to_exp/", () => {
    const gammas = fixture.numbers("ema/std_to_exp/std").map((std) => sigmaRelToGamma(std));
    checks.values("ema/std_to_exp/exp", gammas, fixture.stored("ema/std_to_exp/exp"), "output", float64Tolerance);
  });
  await group("ema/exp_to_std/", () => {
    const widths = fixture.numbers("ema/exp_to_std/exp").map((gamma) => gammaToSigmaRel(gamma));
    checks.each("ema/exp_to_std/std", widths, fixture.numbers("ema/exp_to_std/std"), float64Tolerance);
  });
  await group("ema/beta/", () => {
    const rows = fixture.rows("ema/beta/std_tnext_tdelta", 3);
    const truth = fixture.numbers("ema/beta/beta");
    const betas = rows.map(([std = NaN, next = NaN, delta = NaN]) => powerFunctionBeta(std, next, delta));
    checks.each("ema/beta/beta", betas, truth, float64Tolerance);
    // What training uses. Of values up to 1, as 1 - beta has lost its own digits in the truth.
    const rates = rows.map(([std = NaN, next = NaN, delta = NaN]) => powerFunctionUpdateRate(std, next, delta));
    const complement = truth.map((beta) => 1 - beta);
    checks.scaled("ema/beta/beta (1 - beta)", rates, complement, 1, "output", float64Tolerance);
  });
  await group("ema/response.", () => {
    for (const [i, { ofs, std, len }] of fixture.metadata("ema_response", responseOptions).entries()) {
      const name = `ema/response.${i}`;
      fixture.requireLength(name, len);
      checks.values(name, powerFunctionResponse(ofs, std, len), fixture.stored(name), "output", float64Tolerance);
    }
  });
  await group("ema/correlation/", () => {
    const column = (name: string): Float64Array => fixture.numbers(`ema/correlation/${name}`);
    const [aOfs, aStd, bOfs, bStd] = [column("a_ofs"), column("a_std"), column("b_ofs"), column("b_std")];
    const products = aOfs.map((ofs, i) =>
      profileInnerProduct(powerProfile(ofs, aStd[i] ?? NaN), powerProfile(bOfs[i] ?? NaN, bStd[i] ?? NaN)),
    );
    checks.each("ema/correlation/value", products, column("value"), float64Tolerance);
  });
}

/** Coefficients of post-hoc averages. */
export async function checkPostHoc(fixture: Fixture, checks: Checks): Promise<void> {
  for (const set of fixture.groupsUnder("posthoc/")) {
    await checks.part(`posthoc/${set}`, () => {
      const list = (name: string): Float64Array => fixture.numbers(`posthoc/${set}/${name}`);
      const fits = solvePostHocCoefficients(list("in_ofs"), list("in_std"), list("out_ofs"), list("out_std"));
      compareCoefficients(checks, `posthoc/${set}/coefs`, fits, fixture.stored(`posthoc/${set}/coefs`));
    });
  }
}

/** Each wanted average's coefficients [in] with a column of the stored [in, out]. */
export function compareCoefficients(
  checks: Checks,
  name: string,
  fits: readonly { readonly coefficients: Float64Array }[],
  truth: StoredTensor,
): void {
  const [inputs = 0, outputs = 0] = truth.shape;
  if (truth.shape.length !== 2 || outputs !== fits.length || inputs !== fits[0]?.coefficients.length) {
    const expected = `[${fits[0]?.coefficients.length ?? 0}, ${fits.length}]`;
    throw new EvenkeelError("file", `${name} is [${truth.shape.join(", ")}], expected ${expected}.`);
  }
  const table = toFloat64(truth);
  for (const [target, { coefficients }] of fits.entries()) {
    const column = coefficients.map((_, i) => table[i * outputs + target] ?? NaN);
    const each = fits.length === 1 ? name : `${name}[:, ${target}]`;
    checks.values(each, coefficients, column, "output", coefficientTolerance);
  }
}

/** The average of a trajectory of vectors, one for each step of `batch` images, up to `nimg` images. */
function track(theta: readonly Float64Array[], batch: number, std: number, nimg: number): Float64Array {
  let average = new Float64Array(theta[0]?.length ?? 0);
  for (const [step, vector] of theta.entries()) {
    const next = (step + 1) * batch;
    if (next > nimg) break;
    const beta = powerFunctionBeta(std, next, batch);
    average = average.map((value, i) => beta * value + (1 - beta) * (vector[i] ?? NaN));
  }
  return average;
}

/** A trajectory's averages, stored and wanted, and those that are made of the stored ones. */
export async function checkReconstruction(fixture: Fixture, checks: Checks): Promise<void> {
  const columns = fixture.stored("reconstruct/theta").shape[1] ?? 0;
  const theta = fixture.rows("reconstruct/theta", columns);
  const batch = fixture.number("reconstruct/batch_size");
  const [ofs, std] = [fixture.numbers("reconstruct/snapshot_ofs"), fixture.numbers("reconstruct/snapshot_std")];
  const [outOfs, outStd] = [fixture.number("reconstruct/out_ofs"), fixture.numbers("reconstruct/out_std")];
  const compare = (name: string, rows: readonly ArrayLike<number>[], rtol: number): void => {
    const values = rows.flatMap((row) => Array.from(row));
    checks.values(`reconstruct/${name}`, values, fixture.stored(`reconstruct/${name}`), "output", rtol);
  };
  compare(
    "snapshots",
    Array.from(ofs, (nimg, i) => track(theta, batch, std[i] ?? NaN, nimg)),
    float64Tolerance,
  );
  compare(
    "directly_tracked",
    Array.from(outStd, (width) => track(theta, batch, width, outOfs)),
    float64Tolerance,
  );

  const fits = solvePostHocCoefficients(
    ofs,
    std,
    outStd.map(() => outOfs),
    outStd,
  );
  compareCoefficients(checks, "reconstruct/coefs", fits, fixture.stored("reconstruct/coefs"));
  const snapshots = fixture.rows("reconstruct/snapshots", columns);
  const combined = fits.map(({ coefficients }) =>
    Array.from({ length: columns }, (_, i) =>
      snapshots.reduce((sum, row, k) => sum + (coefficients[k] ?? 0) * (row[i] ?? NaN), 0),
    ),
  );
  compare("result", combined, coefficientTolerance);

  // Once more as files of weights are combined: in float32.
  const sources = snapshots.map((row, i) => ({
    name: `snapshot ${i}`,
    profile: powerProfile(ofs[i] ?? NaN, std[i] ?? NaN),
    open: async () =>
      new Map<string, StoredTensor>([["theta", { name: "theta", dtype: "F64", shape: [columns], data: row.slice() }]]),
  }));
  const wanted = Array.from(outStd, (width) => powerProfile(outOfs, width));
  const results = await reconstruct(sources, wanted, { dtype: "F32" });
  const floats = results.flatMap(({ weights }) => {
    const theta32 = weights.get("theta");
    return theta32 === undefined ? [] : [...toFloat64(theta32)];
  });
  checks.values("reconstruct/result (float32)", floats, fixture.stored("reconstruct/result"), "output");
}

/** Decay factors of exponential averages. */
export function checkTraditional(fixture: Fixture, checks: Checks): void {
  const betas = fixture
    .rows("traditional_ema/halflifeMimg_rampup_cur_batch", 4)
    .map(([mimg = NaN, ratio = NaN, nimg = NaN, batch = NaN]) =>
      traditionalBeta({ halfLife: mimg * 1e6, rampupRatio: ratio < 0 ? null : ratio }, nimg, batch),
    );
  checks.each("traditional_ema/beta", betas, fixture.numbers("traditional_ema/beta"), float64Tolerance);
}
