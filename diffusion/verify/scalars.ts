import * as z from "zod";
import { type Device, reshape, type Tensor } from "../../engine/index.ts";
import { toFloat32 } from "../../engine/io/index.ts";
import { learningRate } from "../../nn/index.ts";
import { drawLatents, vaeWhitening } from "../encoding/index.ts";
import { noiseLevels, precondition, uncertaintyLoss, weightedError } from "../network/index.ts";
import { presetOf } from "../presets/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import { checkAverages, checkPostHoc, checkReconstruction, checkTraditional, float64Tolerance } from "./emaScalars.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import { edm2, type NetworkDialect } from "./networkOptions.ts";

/** Rows of settings and the learning rate of each. */
function checkLearningRates(fixture: Fixture, checks: Checks): void {
  const inputs = "reflr_refbatches_rampupMimg_batch_curnimg";
  fixture.inputs("lr/", [inputs]);
  const found = new Comparison(fixture, checks, "lr/");
  if (!found.has("lr")) return;
  const rates = fixture
    .rows(`lr/${inputs}`, 5)
    .map(([reference = NaN, referenceBatches = NaN, rampUpMimg = NaN, batch = NaN, nimg = NaN]) =>
      learningRate(nimg, batch, { reference, referenceBatches, rampUpMimg }),
    );
  found.each("lr", rates, float64Tolerance);
}

const presetFields = z
  .strictObject({
    duration: z.number(),
    batch: z.number(),
    channels: z.number(),
    lr: z.number(),
    decay: z.number(),
    dropout: z.number(),
    P_mean: z.number(),
    P_std: z.number(),
  })
  .partial();

/** Our presets of the published names are the published ones. */
function checkPresets(fixture: Fixture, checks: Checks): void {
  const published = fixture.metadata("presets", z.record(z.string(), presetFields));
  for (const [name, fields] of Object.entries(published)) {
    const ours = presetOf(name);
    const keys = Object.keys(fields) as (keyof typeof fields)[];
    checks.each(
      `presets ${name}`,
      keys.map((key) => ours[key]),
      keys.map((key) => fields[key] ?? NaN),
      0,
    );
  }
}

export async function checkPreconditioning(fixture: Fixture, checks: Checks, device: Device): Promise<void> {
  fixture.inputs("precond/", ["sigma"]);
  const found = new Comparison(fixture, checks, "precond/");
  if (!found.has("c_in", "c_noise", "c_skip", "c_out")) return;
  const sigmaData = fixture.hasMetadata("precond_sigma_data")
    ? fixture.metadata("precond_sigma_data", z.number())
    : defaultSigmaData;
  const factors = await evaluateOn(
    device,
    (sigma: Tensor) => precondition(sigma, sigmaData),
    fixture.tensor("precond/sigma"),
  );
  const names = { c_in: factors.cIn, c_noise: factors.cNoise, c_skip: factors.cSkip, c_out: factors.cOut };
  for (const [name, factor] of Object.entries(names)) await found.tensor(name, factor, "output");
}

/** Of the published networks. */
const defaultSigmaData = 0.5;

/** The loss of a network's answer that the file has. Without a `logvar` it is the weighted error alone. */
export async function checkLossOfAnswer(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  dialect: NetworkDialect,
): Promise<void> {
  fixture.inputs("loss/", ["images", "rnd_normal", "noise", "denoised", "logvar"]);
  const found = new Comparison(fixture, checks, "loss/");
  const { noise: distribution, sigmaData } = fixture.metadataOrDefaults("loss_params", dialect.loss);
  const of = (name: string): Tensor => fixture.tensor(`loss/${name}`);
  const sigmaOf = (normals: Tensor): Tensor => noiseLevels(normals, distribution);
  const perImage = (x: Tensor): Tensor => reshape(x, [x.size, 1, 1, 1]);
  if (found.has("sigma")) await found.tensor("sigma", await evaluateOn(device, sigmaOf, of("rnd_normal")), "output");
  if (found.has("noisy_input")) {
    const compute = (images: Tensor, normals: Tensor, noise: Tensor): Tensor =>
      images.add(perImage(sigmaOf(normals)).multiply(noise));
    const noisy = await evaluateOn(device, compute, of("images"), of("rnd_normal"), of("noise"));
    await found.tensor("noisy_input", noisy, "output");
  }
  if (found.has("loss")) {
    const compute = (images: Tensor, normals: Tensor, denoised: Tensor, u: Tensor | null): Tensor => {
      const error = weightedError(images, denoised, reshape(sigmaOf(normals), [normals.size]), sigmaData);
      return u === null ? error : uncertaintyLoss(error, perImage(u));
    };
    const u = fixture.has("loss/logvar") ? of("logvar") : null;
    const loss = await evaluateOn(device, compute, of("images"), of("rnd_normal"), of("denoised"), u);
    await found.tensor("loss", loss, "output");
  }
}

/** Latents drawn and whitened: by the VAE's own factors where the file has none. */
function checkWhitening(fixture: Fixture, checks: Checks): void {
  const prefix = "latent_whitening/";
  fixture.inputs(prefix, ["raw_mean_std", "noise", "scale", "bias"]);
  const found = new Comparison(fixture, checks, prefix);
  if (!found.has("final_f32")) return;
  const floats = (name: string): Float32Array => toFloat32(fixture.stored(prefix + name));
  const ofVae = vaeWhitening();
  const whitening = {
    scale: found.has("scale") ? floats("scale") : ofVae.scale,
    bias: found.has("bias") ? floats("bias") : ofVae.bias,
  };
  const { shape } = fixture.stored(`${prefix}noise`);
  found.values("final_f32", drawLatents(floats("raw_mean_std"), floats("noise"), shape, whitening), "output");
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
      ["loss", () => checkLossOfAnswer(fixture, checks, device, edm2)],
      ["latent_whitening", () => checkWhitening(fixture, checks)],
    ];
    for (const [group, check] of groups) {
      if (fixture.hasGroup(`${group}/`)) await checks.part(group, check);
    }
    if (fixture.hasMetadata("presets")) await checks.part("presets", () => checkPresets(fixture, checks));
  },
};
