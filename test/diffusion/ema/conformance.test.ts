import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { SafetensorsFile, StoredTensor } from "../../../engine/io/index.ts";
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
} from "../../../diffusion/ema/index.ts";
import { numbersOf, readReference, rowsOf } from "./referenceFiles.ts";

let file: SafetensorsFile;
before(async () => {
  file = await readReference("edm2_scalars.safetensors");
});

/** Relative to the truth itself, as these are single numbers. */
function assertClose(actual: number, truth: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - truth) <= tolerance * Math.abs(truth), `${what}: ${actual}, wanted ${truth}`);
}

/** Relative to the largest of the truth. */
function assertAllClose(actual: ArrayLike<number>, truth: readonly number[], tolerance: number, what: string): void {
  const scale = Math.max(...truth.map(Math.abs));
  assert.equal(actual.length, truth.length, what);
  truth.forEach((value, i) => {
    const found = actual[i] ?? Number.NaN;
    assert.ok(Math.abs(found - value) <= tolerance * scale, `${what}[${i}]: ${found}, wanted ${value}`);
  });
}

const setsOf = (group: string): string[] => [
  ...new Set(
    [...file.entries.keys()].filter((name) => name.startsWith(`${group}/`)).map((name) => name.split("/")[1] ?? ""),
  ),
];

describe("EMA against the reference", () => {
  it("exponents and widths", () => {
    const gammas = numbersOf(file, "ema/std_to_exp/exp");
    // The reference finds roots by eigenvalues, exact to some 1e-14 of the largest coefficient.
    numbersOf(file, "ema/std_to_exp/std").forEach((std, i) => {
      const truth = gammas[i] ?? Number.NaN;
      assert.ok(Math.abs(sigmaRelToGamma(std) - truth) <= 1e-12 * Math.max(1, truth), `sigma_rel ${std}`);
    });
    const widths = numbersOf(file, "ema/exp_to_std/std");
    numbersOf(file, "ema/exp_to_std/exp").forEach((gamma, i) =>
      assertClose(gammaToSigmaRel(gamma), widths[i] ?? Number.NaN, 1e-15, `gamma ${gamma}`),
    );
  });

  it("betas", () => {
    const betas = numbersOf(file, "ema/beta/beta");
    rowsOf(file, "ema/beta/std_tnext_tdelta").forEach(([std = 0, tNext = 0, tDelta = 0], i) => {
      const truth = betas[i] ?? Number.NaN;
      assertClose(powerFunctionBeta(std, tNext, tDelta), truth, 1e-12, `beta ${std} ${tNext} ${tDelta}`);
      const rate = powerFunctionUpdateRate(std, tNext, tDelta);
      // gamma is exact to 1e-14 in either program, and d beta / d log gamma is below 1.
      assert.ok(Math.abs(rate - (1 - truth)) <= 3e-14, `rate ${std} ${tNext} ${tDelta}`);
    });
  });

  it("discrete responses", () => {
    const cases = JSON.parse(file.metadata.get("ema_response") ?? "") as { ofs: number; std: number; len: number }[];
    assert.ok(cases.length > 0);
    cases.forEach(({ ofs, std, len }, i) =>
      assertAllClose(
        powerFunctionResponse(ofs, std, len),
        numbersOf(file, `ema/response.${i}`),
        1e-12,
        `response.${i}`,
      ),
    );
  });

  it("inner products", () => {
    const [aOfs, aStd, bOfs, bStd, value] = ["a_ofs", "a_std", "b_ofs", "b_std", "value"].map((name) =>
      numbersOf(file, `ema/correlation/${name}`),
    ) as [number[], number[], number[], number[], number[]];
    value.forEach((truth, i) => {
      const a = powerProfile(aOfs[i] ?? 0, aStd[i] ?? 0);
      const b = powerProfile(bOfs[i] ?? 0, bStd[i] ?? 0);
      assertClose(profileInnerProduct(a, b), truth, 1e-12, `inner product ${i}`);
    });
  });

  it("coefficients and condition numbers", () => {
    const sets = setsOf("posthoc");
    assert.ok(sets.length > 0);
    for (const set of sets) {
      const [inOfs, inStd, outOfs, outStd] = ["in_ofs", "in_std", "out_ofs", "out_std"].map((name) =>
        numbersOf(file, `posthoc/${set}/${name}`),
      ) as [number[], number[], number[], number[]];
      const fits = solvePostHocCoefficients(inOfs, inStd, outOfs, outStd);
      const truth = rowsOf(file, `posthoc/${set}/coefs`);
      fits.forEach(({ coefficients }, target) =>
        assertAllClose(
          coefficients,
          truth.map((row) => row[target] ?? Number.NaN),
          1e-7,
          `${set} target ${target}`,
        ),
      );
      const condition = Number(file.metadata.get(`posthoc_cond_${set}`));
      // The reference also counts snapshots later than the target, which this solver never uses.
      const usesAll = inOfs.every((time) => time <= Math.min(...outOfs));
      const found = fits[0]?.conditionNumber ?? Number.NaN;
      if (usesAll) assertClose(found, condition, 1e-2, `${set} condition`);
      else assert.ok(found < condition, set);
    }
  });

  it("a reconstructed trajectory, near to the directly tracked one", async () => {
    const [theta, snapshots] = [rowsOf(file, "reconstruct/theta"), rowsOf(file, "reconstruct/snapshots")];
    const [ofs, std] = [numbersOf(file, "reconstruct/snapshot_ofs"), numbersOf(file, "reconstruct/snapshot_std")];
    const batch = numbersOf(file, "reconstruct/batch_size")[0] ?? 0;
    const outOfs = numbersOf(file, "reconstruct/out_ofs")[0] ?? 0;
    const outStds = numbersOf(file, "reconstruct/out_std");
    // Our own averages of the trajectory are the stored ones.
    for (const [i, row] of snapshots.entries()) {
      let average = row.map(() => 0);
      for (let step = 0; (step + 1) * batch <= (ofs[i] ?? 0); step++) {
        const beta = powerFunctionBeta(std[i] ?? 0, (step + 1) * batch, batch);
        average = average.map((value, j) => beta * value + (1 - beta) * (theta[step]?.[j] ?? 0));
      }
      assertAllClose(average, row, 1e-12, `snapshot ${i}`);
    }
    const fits = solvePostHocCoefficients(
      ofs,
      std,
      outStds.map(() => outOfs),
      outStds,
    );
    const results = rowsOf(file, "reconstruct/result");
    const coefficients = rowsOf(file, "reconstruct/coefs");
    fits.forEach((fit, target) => {
      const truth = results[target] ?? [];
      const combined = truth.map((_, j) =>
        snapshots.reduce((sum, row, i) => sum + (fit.coefficients[i] ?? 0) * (row[j] ?? 0), 0),
      );
      assertAllClose(
        fit.coefficients,
        coefficients.map((row) => row[target] ?? 0),
        1e-7,
        `coefficients ${target}`,
      );
      assertAllClose(combined, truth, 1e-9, `result ${target}`);
    });
    // The same through snapshots in float32.
    const sources = snapshots.map((row, i) => ({
      name: `snapshot ${i}`,
      profile: powerProfile(ofs[i] ?? 0, std[i] ?? 0),
      open: async () =>
        new Map<string, StoredTensor>([
          ["theta", { name: "theta", dtype: "F64", shape: [row.length], data: Float64Array.from(row) }],
        ]),
    }));
    const wanted = outStds.map((value) => powerProfile(outOfs, value));
    const stored = await reconstruct(sources, wanted, { dtype: "F32" });
    stored.forEach(({ weights }, target) => {
      const data = weights.get("theta")?.data;
      assert.ok(data instanceof Float32Array);
      assertAllClose(data, results[target] ?? [], 1e-6, `float32 result ${target}`);
    });
  });

  it("betas of exponential averages", () => {
    const rows = rowsOf(file, "traditional_ema/halflifeMimg_rampup_cur_batch");
    const betas = rows.map(([mimg = 0, ratio = 0, nimg = 0, batch = 0]) =>
      traditionalBeta({ halfLife: mimg * 1e6, rampupRatio: ratio < 0 ? null : ratio }, nimg, batch),
    );
    assertAllClose(betas, numbersOf(file, "traditional_ema/beta"), 2 ** -52, "traditional_ema");
  });
});
