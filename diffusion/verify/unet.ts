import { type Device, reduceSum, reshape, type Tensor, valueAndGradWithAux } from "../../engine/index.ts";
import { toFloat64 } from "../../engine/io/index.ts";
import { applyUNet, type NamedParameters, type NetworkRun } from "../../nn/index.ts";
import { denoise, logvar, type NetworkConfig, noiseLevels, uncertaintyLoss, weightedError } from "../network/index.ts";
import { denoiserParameters, normalizeWeights } from "../training/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import type { Fixture } from "./fixture.ts";
import { labelsFor, perImage } from "./inputs.ts";
import type { Kind } from "./kind.ts";
import {
  edm2,
  type FixtureNetwork,
  type LossOptions,
  type NetworkDialect,
  type NetworkPart,
  networkUnder,
  networkWithLoss,
  refuseDropout,
  specsOf,
} from "./networkOptions.ts";

/** What the checks of one network share. */
export type NetworkContext = {
  readonly fixture: Fixture;
  readonly checks: Checks;
  readonly device: Device;
  readonly config: NetworkConfig;
  readonly dialect: NetworkDialect;
  /** Arrays under `weights/` that are none of the network's. */
  readonly isOther: (name: string) => boolean;
  readonly run: NetworkRun;
};

function arraysOf({ fixture, config, dialect, isOther }: NetworkContext, part: NetworkPart): FixtureNetwork {
  return networkUnder(fixture, "weights/", config, part, dialect, isOther);
}

/** How many images the group's images `name` are. */
function countOf(fixture: Fixture, name: string): number {
  return fixture.stored(name).shape[0] ?? 0;
}

async function checkRaw(context: NetworkContext): Promise<void> {
  const { fixture, checks, device, config, run } = context;
  fixture.inputs("unet/", ["x", "noise_labels", "class_labels"]);
  const found = new Comparison(fixture, checks, "unet/");
  if (!found.has("out")) return;
  const { weights, buffers } = arraysOf(context, "unet");
  const count = countOf(fixture, "unet/x");
  const raw = (named: NamedParameters, x: Tensor, noise: Tensor, classes: Tensor | null): Tensor =>
    applyUNet(config.unet, denoiserParameters(named, buffers).unet, x, noise, classes, run);
  const labels = labelsFor(fixture, "unet/", config.unet.labelDim, count);
  const noise = perImage(fixture, "unet/noise_labels", count);
  await found.tensor("out", await evaluateOn(device, raw, weights, fixture.tensor("unet/x"), noise, labels), "output");
}

/** The denoised images, with the labels and without any. */
async function checkDenoiser(context: NetworkContext): Promise<void> {
  const { fixture, checks, device, config, run } = context;
  fixture.inputs("precond/", ["x", "sigma", "class_labels"]);
  const found = new Comparison(fixture, checks, "precond/");
  if (!found.has("D", "D_no_labels")) return;
  const { weights, buffers } = arraysOf(context, "unet");
  const count = countOf(fixture, "precond/x");
  // Where only the answer without labels is there, nothing needs them.
  const labels = found.has("D") ? labelsFor(fixture, "precond/", config.unet.labelDim, count) : null;
  const compute = (named: NamedParameters, x: Tensor, sigma: Tensor, classes: Tensor | null) => {
    const parameters = denoiserParameters(named, buffers);
    const answer = (given: Tensor | null): Tensor => denoise(config, parameters, x, sigma, given, run);
    return {
      ...(found.has("D") ? { D: answer(classes) } : {}),
      ...(found.has("D_no_labels") ? { D_no_labels: answer(null) } : {}),
    };
  };
  const sigma = perImage(fixture, "precond/sigma", count);
  const answers = await evaluateOn(device, compute, weights, fixture.tensor("precond/x"), sigma, labels);
  for (const [name, answer] of Object.entries<Tensor>(answers)) await found.tensor(name, answer, "output");
}

async function checkLossHead(context: NetworkContext): Promise<void> {
  const { fixture, checks, device, config } = context;
  const found = new Comparison(fixture, checks, "precond/");
  if (!found.has("logvar")) return;
  const { weights, buffers } = arraysOf(context, "lossHead");
  const sigma = fixture.tensor("precond/sigma", [fixture.stored("precond/sigma").data.length]);
  const head = (named: NamedParameters, levels: Tensor): Tensor =>
    logvar(config, denoiserParameters(named, buffers), levels);
  await found.tensor("logvar", await evaluateOn(device, head, weights, sigma), "output");
}

/** Loss, gradient and forced normalization, as in a training step. */
async function checkLoss(context: NetworkContext, { noise: distribution, sigmaData }: LossOptions): Promise<void> {
  const { fixture, checks, device, config, run } = context;
  fixture.inputs("loss/", ["images", "rnd_normal", "noise", "class_labels"]);
  const found = new Comparison(fixture, checks);
  const hasLoss = found.has("loss/loss", "loss/objective", "loss/mean") || fixture.hasGroup("grad/");
  if (!hasLoss) {
    if (fixture.hasGroup("weights_after/")) await checkNormalization(context);
    if (config.unet.dropout > 0) fixture.leaveOut("option dropout, which acts in training only");
    return;
  }
  refuseDropout(config);
  const network = arraysOf(context, "whole");
  const count = countOf(fixture, "loss/images");
  const compute = (weights: NamedParameters, clean: Tensor, normals: Tensor, noise: Tensor, classes: Tensor | null) => {
    const normalized = normalizeWeights(network.specs, weights);
    const objective = (trained: NamedParameters) => {
      const parameters = denoiserParameters(trained, network.buffers);
      const sigma = noiseLevels(normals, distribution);
      const noisy = clean.add(reshape(sigma, [count, 1, 1, 1]).multiply(noise));
      const error = weightedError(clean, denoise(config, parameters, noisy, sigma, classes, run), sigma, sigmaData);
      const loss = config.lossHead ? uncertaintyLoss(error, logvar(config, parameters, sigma)) : error;
      return { value: reduceSum(loss).multiply(1 / count), aux: loss };
    };
    const { value, gradient, aux } = valueAndGradWithAux(objective)(normalized);
    return { objective: value, loss: aux, mean: aux.mean(), gradient, normalized };
  };
  const result = await evaluateOn(
    device,
    compute,
    network.weights,
    fixture.tensor("loss/images"),
    perImage(fixture, "loss/rnd_normal", count),
    fixture.tensor("loss/noise"),
    labelsFor(fixture, "loss/", config.unet.labelDim, count),
  );
  await found.tensor("loss/loss", result.loss, "output");
  // Elements of both signs cancel in the sums, so their errors are measured by the elements.
  const elements = await result.loss.data("f32");
  const magnitude = elements.reduce((sum, value) => sum + Math.abs(value), 0);
  const compareSum = async (name: string, sum: Tensor, scale: number): Promise<void> => {
    if (!found.has(name)) return;
    const truth = fixture.stored(name);
    checks.scaled(name, await sum.data(), toFloat64(truth), scale, "output", checks.outputTolerance(truth.dtype));
  };
  await compareSum("loss/objective", result.objective, magnitude / count);
  await compareSum("loss/mean", result.mean, magnitude / elements.length);
  for (const [name, value] of Object.entries(result.gradient)) {
    // What took no part has no gradient in the reference.
    if (name.startsWith("unet.emb_augment.") && run.augmentLabels === undefined) continue;
    await found.tensor(`grad/${context.dialect.nameOf(name)}`, value, "gradient");
  }
  await compareAfter(context, { ...result.normalized, ...network.buffers });
}

/** What a training step does to the weights before anything else. */
async function checkNormalization(context: NetworkContext): Promise<void> {
  const { config, device, fixture } = context;
  const isWhole = config.lossHead && fixture.hasGroup("weights_after/logvar_");
  const { specs, weights, buffers } = arraysOf(context, isWhole ? "whole" : "unet");
  const normalized = await evaluateOn(device, (named: NamedParameters) => normalizeWeights(specs, named), weights);
  await compareAfter(context, { ...normalized, ...buffers });
}

async function compareAfter({ fixture, checks, dialect }: NetworkContext, after: NamedParameters): Promise<void> {
  const found = new Comparison(fixture, checks, "weights_after/");
  for (const [name, value] of Object.entries(after)) await found.tensor(dialect.nameOf(name), value, "output");
}

/** Raw network, denoiser, loss head, and the loss with its gradient: those of which the file has a result. */
export async function checkNetwork(context: NetworkContext, loss: LossOptions): Promise<void> {
  const { checks, fixture } = context;
  fixture.inputs("", ["class_labels", "augment_labels"]);
  const arrays = Object.keys(specsOf(context.config, "whole"));
  fixture.inputs("weights/", arrays.map(context.dialect.nameOf));
  await checks.part("", () => checkRaw(context));
  await checks.part("", () => checkDenoiser(context));
  await checks.part("", () => checkLossHead(context));
  await checks.part("", () => checkLoss(context, loss));
}

export const unets: Kind = {
  prefix: "edm2_unet_",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 2e-5, scalar: 1e-4 },
  async check(fixture, checks, device) {
    const { network: config, loss } = networkWithLoss(fixture, "weights/");
    const context = { fixture, checks, device, config, dialect: edm2, isOther: () => false, run: {} };
    await checkNetwork(context, loss);
  },
};
