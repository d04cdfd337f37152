import { type Device, reduceSum, reshape, type Tensor, valueAndGradWithAux } from "../../engine/index.ts";
import { applyUNet, type NamedParameters, type Run } from "../../nn/index.ts";
import { denoise, edm2Loss, logvar, type NetworkConfig, noiseLevels } from "../network/index.ts";
import { assembleNetwork, normalizeWeights } from "../training/index.ts";
import type { Checks } from "./checks.ts";
import { evaluateOn } from "./evaluateOn.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import {
  edm2,
  type FixtureNetwork,
  type LossOptions,
  type NetworkDialect,
  networkUnder,
  networkWithLoss,
} from "./networkOptions.ts";

/** What the checks of one network share. */
export type NetworkContext = {
  readonly fixture: Fixture;
  readonly checks: Checks;
  readonly device: Device;
  readonly config: NetworkConfig;
  readonly network: FixtureNetwork;
  readonly dialect: NetworkDialect;
  readonly labels: Tensor | null;
  readonly run: Run;
};

async function checkRaw({ fixture, checks, device, config, network, labels, run }: NetworkContext): Promise<void> {
  const noiseLabels = fixture.tensor("unet/noise_labels");
  const raw = (weights: NamedParameters, x: Tensor, noise: Tensor, classes: Tensor | null): Tensor =>
    applyUNet(config.unet, assembleNetwork(weights, network.buffers).unet, x, noise, classes, run);
  const out = await evaluateOn(device, raw, network.weights, fixture.tensor("unet/x"), noiseLabels, labels);
  await checks.tensor("unet/out", out, fixture.stored("unet/out"), "output");
}

async function checkDenoiser({ fixture, checks, device, config, network, labels, run }: NetworkContext): Promise<void> {
  const compute = (weights: NamedParameters, x: Tensor, sigma: Tensor, classes: Tensor | null) => {
    const parameters = assembleNetwork(weights, network.buffers);
    return {
      D: denoise(config, parameters, x, sigma, classes, run),
      ...(config.lossHead ? { logvar: logvar(config, parameters, sigma) } : {}),
      ...(classes === null ? {} : { D_no_labels: denoise(config, parameters, x, sigma, null, run) }),
    };
  };
  const [x, sigma] = [fixture.tensor("precond/x"), fixture.tensor("precond/sigma")];
  const results = await evaluateOn(device, compute, network.weights, x, sigma, labels);
  for (const [name, result] of Object.entries(results)) {
    await checks.tensor(`precond/${name}`, result, fixture.stored(`precond/${name}`), "output");
  }
}

/** Loss, gradient and forced normalization, as in a training step. */
async function checkLoss(context: NetworkContext, { noise: distribution }: LossOptions): Promise<void> {
  const { fixture, checks, device, config, network, labels, run, dialect } = context;
  const images = fixture.tensor("loss/images");
  const [count = 0] = images.shape;
  const compute = (weights: NamedParameters, clean: Tensor, normals: Tensor, noise: Tensor, classes: Tensor | null) => {
    const normalized = normalizeWeights(network.specs, weights);
    const objective = (trained: NamedParameters) => {
      const parameters = assembleNetwork(trained, network.buffers);
      const sigma = noiseLevels(reshape(normals, [count]), distribution);
      const { loss } = edm2Loss(config, parameters, clean, sigma, noise, classes, run);
      return { value: reduceSum(loss).multiply(1 / count), aux: loss };
    };
    const { value, gradient, aux } = valueAndGradWithAux(objective)(normalized);
    return { objective: value, loss: aux, mean: aux.mean(), gradient, normalized };
  };
  const result = await evaluateOn(
    device,
    compute,
    network.weights,
    images,
    fixture.tensor("loss/rnd_normal"),
    fixture.tensor("loss/noise"),
    labels,
  );
  const truth = fixture.stored("loss/loss");
  await checks.tensor("loss/loss", result.loss, truth, "output");
  // Elements of both signs cancel in the sums, so their errors are measured by the elements.
  const magnitude = fixture.numbers("loss/loss").reduce((sum, value) => sum + Math.abs(value), 0);
  const objective = await result.objective.data();
  checks.scaled("loss/objective", objective, fixture.numbers("loss/objective"), magnitude / count, "output");
  if (config.lossHead || fixture.has("loss/mean")) {
    const mean = await result.mean.data();
    checks.scaled("loss/mean", mean, fixture.numbers("loss/mean"), magnitude / truth.data.length, "output");
  }

  for (const [name, value] of Object.entries(result.gradient)) {
    // What took no part has no gradient in the reference.
    if (name.startsWith("unet.emb_augment.") && run.augmentLabels === undefined) continue;
    const stored = `grad/${dialect.nameOf(name)}`;
    await checks.tensor(stored, value, fixture.stored(stored), "gradient");
  }
  const after: NamedParameters = { ...result.normalized, ...network.buffers };
  for (const [name, { isForced }] of Object.entries(network.specs)) {
    const stored = `weights_after/${dialect.nameOf(name)}`;
    // A file may leave out what stays as it is.
    if (isForced !== true && !fixture.has(stored)) continue;
    await checks.tensor(stored, after[name] as Tensor, fixture.stored(stored), "output");
  }
}

/** Raw network, denoiser, and the loss with its gradient. */
export async function checkNetwork(context: NetworkContext, loss: LossOptions): Promise<void> {
  const { checks } = context;
  await checks.part("", () => checkRaw(context));
  await checks.part("", () => checkDenoiser(context));
  await checks.part("", () => checkLoss(context, loss));
}

export const unets: Kind = {
  prefix: "edm2_unet_",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 2e-5, scalar: 1e-4 },
  async check(fixture, checks, device) {
    const { network: config, loss } = networkWithLoss(fixture);
    const network = networkUnder(fixture, "weights/", config);
    const labels = config.unet.labelDim > 0 ? fixture.tensor("class_labels") : null;
    await checkNetwork({ fixture, checks, device, config, network, dialect: edm2, labels, run: {} }, loss);
  },
};
