import { z } from "zod";
import { type Device, reshape, type Tensor, toFloat32 } from "../../engine/index.ts";
import { learningRate } from "../../nn/index.ts";
import { drawLatents } from "../encoding/index.ts";
import { noiseLevels, precondition, uncertaintyLoss, weightedError } from "../network/index.ts";
import { presetOf } from "../presets.ts";
import type { Checks } from "./checks.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { checkAverages, checkPostHoc, checkReconstruction, checkTraditional, float64Tolerance } from "./emaScalars.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import { lossSchema } from "./networkOptions.ts";

/** Rows of settings and the learning rate of each. */
function checkLearningRates(fixture: Fixture, checks: Checks): void {
  const rates = fixture
    .rows("lr/reflr_refbatches_rampupMimg_batch_curnimg", 5)
    .map(([reference = NaN, referenceBatches = NaN, rampUpMimg = NaN, batch = NaN, nimg = NaN]) =>
      learningRate(nimg, batch, { reference, referenceBatches, rampUpMimg }),
    );
  checks.each("lr/lr", rates, fixture.numbers("lr/lr"), float64Tolerance);
}

const presetFields = z.strictObject({
  duration: z.number(),
  batch: z.number(),
  channels: z.number(),
  lr: z.number(),
  decay: z.number(),
  dropout: z.number(),
  P_mean: z.number(),
  P_std: z.number(),
});

/** Our presets of the published names are the published ones. */
function checkPresets(fixture: Fixture, checks: Checks): void {
  const published = fixture.metadata("presets", z.record(z.string(), presetFields));
  for (const [name, fields] of Object.entries(published)) {
    const ours = presetOf(name);
    const keys = Object.keys(fields) as (keyof typeof fields)[];
    checks.each(
      `presets ${name}`,
      keys.map((key) => ours[key]),
      keys.map((key) => fields[key]),
      0,
    );
  }
}

export async function checkPreconditioning(fixture: Fixture, checks: Checks, device: Device): Promise<void> {
  const sigmaData = fixture.metadata("precond_sigma_data", z.number());
  const factors = await evaluateOn(
    device,
    (sigma: Tensor) => precondition(sigma, sigmaData),
    fixture.tensor("precond/sigma"),
  );
  const names = { c_in: factors.cIn, c_noise: factors.cNoise, c_skip: factors.cSkip, c_out: factors.cOut };
  for (const [name, factor] of Object.entries(names)) {
    await checks.tensor(`precond/${name}`, factor, fixture.stored(`precond/${name}`), "output");
  }
}

/** The loss of a network's answer that the file has. Without a `logvar` it is the weighted error alone. */
export async function checkLossOfAnswer(fixture: Fixture, checks: Checks, device: Device): Promise<void> {
  const { noise: distribution, sigmaData } = fixture.metadata("loss_params", lossSchema);
  const compute = (images: Tensor, normals: Tensor, noise: Tensor, denoised: Tensor, u: Tensor | null) => {
    const sigma = noiseLevels(normals, distribution);
    const error = weightedError(images, denoised, reshape(sigma, [sigma.size]), sigmaData);
    return {
      sigma,
      noisy_input: images.add(sigma.multiply(noise)),
      loss: u === null ? error : uncertaintyLoss(error, u),
    };
  };
  const of = (name: string): Tensor => fixture.tensor(`loss/${name}`);
  const u = fixture.has("loss/logvar") ? of("logvar") : null;
  const results = await evaluateOn(device, compute, of("images"), of("rnd_normal"), of("noise"), of("denoised"), u);
  for (const [name, result] of Object.entries(results)) {
    await checks.tensor(`loss/${name}`, result, fixture.stored(`loss/${name}`), "output");
  }
}

function checkWhitening(fixture: Fixture, checks: Checks): void {
  const floats = (name: string): Float32Array => toFloat32(fixture.stored(`latent_whitening/${name}`));
  const whitening = { scale: floats("scale"), bias: floats("bias") };
  const truth = fixture.stored("latent_whitening/final_f32");
  const latents = drawLatents(floats("raw_mean_std"), floats("noise"), truth.shape, whitening);
  checks.values("latent_whitening/final_f32", latents, truth, "output");
}

export const scalars: Kind = {
  prefix: "edm2_scalars",
  extension: ".safetensors",
  // Of what is computed in float32; the rest has tolerances of its own.
  tolerances: { output: 1e-6, gradient: 1e-6, scalar: 1e-6 },
  async check(fixture, checks, device) {
    const groups: [group: string, check: () => Promise<void> | void][] = [
      ["ema", () => checkAverages(fixture, checks)],
      ["posthoc", () => checkPostHoc(fixture, checks)],
      ["reconstruct", () => checkReconstruction(fixture, checks)],
      ["traditional_ema", () => checkTraditional(fixture, checks)],
      ["lr", () => checkLearningRates(fixture, checks)],
      ["precond", () => checkPreconditioning(fixture, checks, device)],
      ["loss", () => checkLossOfAnswer(fixture, checks, device)],
      ["latent_whitening", () => checkWhitening(fixture, checks)],
    ];
    for (const [group, check] of groups) {
      if (fixture.hasGroup(`${group}/`)) await checks.part(group, check);
    }
    if (fixture.hasMetadata("presets")) await checks.part("presets", () => checkPresets(fixture, checks));
  },
};
