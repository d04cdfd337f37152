import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import { type StoredTensor, toFloat64 } from "../../engine/io/index.ts";
import {
  compareProfiles,
  fitProfiles,
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
import { type Checks, roundingOf } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import type { Fixture } from "./fixture.ts";

/** What is computed in float64, whatever the device. */
export const float64Tolerance = 1e-9;
/** Coefficients of post-hoc averages: the systems have condition numbers up to 1e5. */
const coefficientTolerance = 1e-7;

/** Condition numbers are told in four digits. */
const conditionTolerance = 1e-3;

const responseOptions = z.array(z.strictObject({ ofs: z.number(), std: z.number(), len: z.number().optional() }));

/** Power-function averages: exponents, decay factors, responses, inner products; those that the file has. */
export async function checkAverages(fixture: Fixture, checks: Checks): Promise<void> {
  const group = async (name: string, inputs: readonly string[], truth: string, check: (found: Comparison) => void) => {
    fixture.inputs(name, inputs);
    const found = new Comparison(fixture, checks, name);
    if (found.has(truth)) await checks.part(name, () => check(found));
  };
  await group("ema/std_to_exp/", ["std"], "exp", (found) => {
    const gammas = fixture.numbers("ema/std_to_exp/std").map((std) => sigmaRelToGamma(std));
    found.values("exp", gammas, "output", float64Tolerance);
  });
  await group("ema/exp_to_std/", ["exp"], "std", (found) => {
    const widths = fixture.numbers("ema/exp_to_std/exp").map((gamma) => gammaToSigmaRel(gamma));
    found.each("std", widths, float64Tolerance);
  });
  await group("ema/beta/", ["std_tnext_tdelta"], "beta", (found) => {
    const rows = fixture.rows("ema/beta/std_tnext_tdelta", 3);
    const betas = rows.map(([std = NaN, next = NaN, delta = NaN]) => powerFunctionBeta(std, next, delta));
    found.each("beta", betas, float64Tolerance);
    // What training uses. Of values up to 1, as 1 - beta has lost its own digits in the truth.
    const rates = rows.map(([std = NaN, next = NaN, delta = NaN]) => powerFunctionUpdateRate(std, next, delta));
    const truth = fixture.stored("ema/beta/beta");
    const complement = toFloat64(truth).map((beta) => 1 - beta);
    const tolerance = float64Tolerance + roundingOf(truth.dtype);
    checks.scaled("ema/beta/beta (1 - beta)", rates, complement, 1, "output", tolerance);
  });
  if (fixture.hasGroup("ema/response.")) await checks.part("ema/response", () => checkResponses(fixture, checks));
  await group("ema/correlation/", ["a_ofs", "a_std", "b_ofs", "b_std"], "value", (found) => {
    const column = (name: string): Float64Array => fixture.numbers(`ema/correlation/${name}`);
    const [aOfs, aStd, bOfs, bStd] = [column("a_ofs"), column("a_std"), column("b_ofs"), column("b_std")];
    const products = aOfs.map((ofs, i) =>
      profileInnerProduct(powerProfile(ofs, aStd[i] ?? NaN), powerProfile(bOfs[i] ?? NaN, bStd[i] ?? NaN)),
    );
    found.each("value", products, float64Tolerance);
  });
}

/** Responses of profiles, over as many images as they have elements. */
function checkResponses(fixture: Fixture, checks: Checks): void {
  for (const [i, { ofs, std, len }] of fixture.metadata("ema_response", responseOptions).entries()) {
    const name = `ema/response.${i}`;
    if (!fixture.has(name)) continue;
    if (len !== undefined) fixture.requireLength(name, len);
    const stored = fixture.stored(name);
    const response = powerFunctionResponse(ofs, std, stored.data.length);
    checks.values(name, response, stored, "output", float64Tolerance);
  }
}

/** Coefficients of post-hoc averages, and the condition numbers of their systems. */
export async function checkPostHoc(fixture: Fixture, checks: Checks): Promise<void> {
  for (const set of fixture.groupsUnder("posthoc/")) {
    const prefix = `posthoc/${set}/`;
    const condition = `posthoc_cond_${set}`;
    fixture.inputs(prefix, ["in_ofs", "in_std", "out_ofs", "out_std"]);
    if (!fixture.has(`${prefix}coefs`)) continue;
    await checks.part(`posthoc/${set}`, () => {
      const list = (name: string): Float64Array => fixture.numbers(prefix + name);
      const fits = solvePostHocCoefficients(list("in_ofs"), list("in_std"), list("out_ofs"), list("out_std"));
      compareCoefficients(checks, `${prefix}coefs`, fits, fixture.stored(`${prefix}coefs`));
      if (!fixture.hasMetadata(condition)) return;
      // Of the system of all that are stored, also where a target is earlier than some of them.
      const stored = Array.from(list("in_ofs"), (ofs, i) => powerProfile(ofs, list("in_std")[i] ?? NaN));
      const last = stored.toSorted(compareProfiles).slice(-1);
      const whole = fitProfiles(stored, last).map(({ conditionNumber }) => conditionNumber);
      checks.each(condition, whole, [fixture.metadata(condition, z.number())], conditionTolerance);
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
  // Those of one average may be a vector.
  const [inputs = 0, outputs = 0] = fits.length === 1 && truth.shape.length === 1 ? [...truth.shape, 1] : truth.shape;
  if (truth.shape.length > 2 || outputs !== fits.length || inputs !== fits[0]?.coefficients.length) {
    const expected = `[${fits[0]?.coefficients.length ?? 0}, ${fits.length}]`;
    throw new EvenkeelError("file", `${name} is [${truth.shape.join(", ")}], expected ${expected}.`);
  }
  const table = toFloat64(truth);
  for (const [target, { coefficients }] of fits.entries()) {
    const column = coefficients.map((_, i) => table[i * outputs + target] ?? NaN);
    const each = fits.length === 1 ? name : `${name}[:, ${target}]`;
    checks.values(each, coefficients, column, "output", coefficientTolerance + roundingOf(truth.dtype));
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
  const prefix = "reconstruct/";
  fixture.inputs(prefix, ["theta", "batch_size", "snapshot_ofs", "snapshot_std", "out_ofs", "out_std"]);
  const found = new Comparison(fixture, checks, prefix);
  if (!found.has("snapshots", "directly_tracked", "coefs", "result")) return;
  const [numbers, number] = [
    (name: string) => fixture.numbers(prefix + name),
    (name: string) => fixture.number(prefix + name),
  ];
  const trackAll = (times: ArrayLike<number>, widths: Float64Array): Float64Array[] => {
    const columns = fixture.stored("reconstruct/theta").shape[1] ?? 0;
    const theta = fixture.rows("reconstruct/theta", columns);
    const batch = number("batch_size");
    const outside = Array.from(times).find((nimg) => !(nimg % batch === 0 && nimg > 0 && nimg <= theta.length * batch));
    if (outside !== undefined) {
      throw new EvenkeelError(
        "file",
        `averages are at ${outside} images, which is no step of ${theta.length} of ${batch} images each.`,
      );
    }
    return Array.from(widths, (width, i) => track(theta, batch, width, times[i] ?? NaN));
  };
  const compare = (name: string, rows: readonly ArrayLike<number>[], rtol: number): void =>
    found.values(name, Float64Array.from(rows.flatMap((row) => Array.from(row))), "output", rtol);
  const wantedAt = (): Float64Array => new Float64Array(numbers("out_std").length).fill(number("out_ofs"));
  if (found.has("snapshots")) {
    compare("snapshots", trackAll(numbers("snapshot_ofs"), numbers("snapshot_std")), float64Tolerance);
  }
  if (found.has("directly_tracked"))
    compare("directly_tracked", trackAll(wantedAt(), numbers("out_std")), float64Tolerance);
  if (!found.has("coefs", "result")) return;

  const [ofs, std, outStd] = [numbers("snapshot_ofs"), numbers("snapshot_std"), numbers("out_std")];
  const fits = solvePostHocCoefficients(ofs, std, wantedAt(), outStd);
  if (found.has("coefs")) compareCoefficients(checks, "reconstruct/coefs", fits, fixture.stored("reconstruct/coefs"));
  if (!found.has("result")) return;
  const columns = fixture.shapeOf("reconstruct/result")?.[1] ?? 0;
  const snapshots = found.has("snapshots") ? fixture.rows("reconstruct/snapshots", columns) : trackAll(ofs, std);
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
  const wanted = Array.from(outStd, (width) => powerProfile(number("out_ofs"), width));
  const results = await reconstruct(sources, wanted, { dtype: "F32" });
  const floats = results.flatMap(({ weights }) => {
    const theta32 = weights.get("theta");
    return theta32 === undefined ? [] : [...toFloat64(theta32)];
  });
  checks.values("reconstruct/result (float32)", floats, fixture.stored("reconstruct/result"), "output");
}

/** Decay factors of exponential averages. */
export function checkTraditional(fixture: Fixture, checks: Checks): void {
  const inputs = "halflifeMimg_rampup_cur_batch";
  fixture.inputs("traditional_ema/", [inputs]);
  const found = new Comparison(fixture, checks, "traditional_ema/");
  if (!found.has("beta")) return;
  const betas = fixture
    .rows(`traditional_ema/${inputs}`, 4)
    .map(([mimg = NaN, ratio = NaN, nimg = NaN, batch = NaN]) =>
      traditionalBeta({ halfLife: mimg * 1e6, rampupRatio: ratio < 0 ? null : ratio }, nimg, batch),
    );
  found.each("beta", betas, float64Tolerance);
}
