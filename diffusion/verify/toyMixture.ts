import * as z from "zod";
import { type Device, EvenkeelError, mean, tensor, type Tensor, valueAndGradWithAux } from "../../engine/index.ts";
import { type StoredTensor, toFloat32, toFloat64 } from "../../engine/io/index.ts";
import { checkParameters, type NamedParameters } from "../../nn/index.ts";
import { runSampler, sigmaSteps, type StateDenoiser } from "../sample/index.ts";
import {
  createMixture,
  logDensity,
  type Mixture,
  mixtureDensities,
  mixtureDensity,
  modelScore,
  scoreLoss,
  describeScoreModel,
} from "../toy/index.ts";
import { normalizeWeights } from "../training/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { evaluateOn } from "./evaluateOn.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";

/** What is computed in float64, whatever the device. */
const float64Tolerance = 1e-9;

/** With the defaults of the published example. */
const odeOptions = z.strictObject({
  num_steps: z.number().int().positive().default(32),
  sigma_min: z.number().default(0.002),
  sigma_max: z.number().default(5),
  rho: z.number().default(7),
});

/** Points in the plane. @throws EvenkeelError `file` for anything else. */
function pointsOf(name: string, stored: StoredTensor): Float64Array {
  if (stored.shape.length !== 2 || stored.shape[1] !== 2) {
    throw new EvenkeelError("file", `${name} is [${stored.shape.join(", ")}], expected points [N, 2].`);
  }
  return toFloat64(stored);
}

/** Log densities [N] and scores [N, 2] in float64. */
function densities(
  mixture: Mixture,
  points: Float64Array,
  sigma: (i: number) => number,
): { readonly logDensity: Float64Array; readonly score: Float64Array } {
  const count = points.length / 2;
  const [logDensity, score] = [new Float64Array(count), new Float64Array(2 * count)];
  for (let i = 0; i < count; i++) {
    const found = mixtureDensity(mixture, points[2 * i] ?? NaN, points[2 * i + 1] ?? NaN, sigma(i));
    logDensity[i] = found.logDensity;
    score.set(found.score, 2 * i);
  }
  return { logDensity, score };
}

/** Densities at one noise level: in float64 on the host, and on the device. */
async function checkLevel(
  fixture: Fixture,
  checks: Checks,
  device: Device,
  mixture: Mixture,
  name: string,
  sigma: number,
): Promise<void> {
  const stored = fixture.stored(`${name}/x`);
  const points = pointsOf(`${name}/x`, stored);
  const exact = densities(mixture, points, () => sigma);
  const found = new Comparison(fixture, checks, `${name}/`);
  found.values("logp", exact.logDensity, "output", float64Tolerance);
  found.values("score", exact.score, "output", float64Tolerance);
  const count = points.length / 2;
  const computed = await evaluateOn(
    device,
    (x: Tensor, level: Tensor) => mixtureDensities(mixture, x, level),
    tensor(toFloat32(stored), { shape: [count, 2] }),
    tensor(new Float32Array(count).fill(sigma)),
  );
  const where = `in a graph on ${device.name}`;
  for (const [truth, value] of [
    ["logp", computed.logDensity],
    ["score", computed.score],
  ] as const) {
    if (found.has(truth)) {
      await checks.tensor(`${name}/${truth} (${where})`, value, fixture.stored(`${name}/${truth}`), "output");
    }
  }
}

/** Deterministic sampling with the exact score: D(x; sigma) = x + sigma^2 score. */
async function checkOde(fixture: Fixture, checks: Checks, mixture: Mixture, name: string): Promise<void> {
  const options = fixture.metadataOrDefaults("ode", odeOptions);
  const start = pointsOf(`${name}/x_init`, fixture.stored(`${name}/x_init`));
  fixture.requireLength(`${name}/trajectory`, (options.num_steps + 1) * start.length);
  const sigmas = sigmaSteps({
    steps: options.num_steps,
    sigmaMin: options.sigma_min,
    sigmaMax: options.sigma_max,
    rho: options.rho,
  });
  const denoise: StateDenoiser = async (x, sigma) => {
    const { score } = densities(mixture, x, () => sigma);
    return x.map((value, i) => value + sigma ** 2 * (score[i] ?? NaN));
  };
  const states: Float64Array[] = [];
  // The file has the state at the highest noise level, the sampler takes it divided by that.
  const noise = start.map((value) => value / options.sigma_max);
  const end = await runSampler(denoise, noise, sigmas, { onStep: ({ xCur }) => void states.push(xCur) });
  const trajectory = [...states, end].flatMap((state) => [...state]);
  checks.values(`${name}/trajectory`, trajectory, fixture.stored(`${name}/trajectory`), "output", float64Tolerance);
}

function mixtureOf(fixture: Fixture, name: string): Mixture {
  return createMixture(fixture.numbers(`${name}/phi`), fixture.numbers(`${name}/mu`), fixture.numbers(`${name}/Sigma`));
}

async function checkMixture(fixture: Fixture, checks: Checks, device: Device, name: string): Promise<void> {
  const has = (truth: string): boolean => fixture.has(`${name}/${truth}`);
  fixture.inputs(`${name}/`, ["phi", "mu", "Sigma"]);
  const groups = new Set(fixture.groupsUnder(`${name}/`));
  for (const group of groups) {
    const level = /^sigma(\d.*)$/.exec(group)?.[1];
    if (level === undefined) continue;
    fixture.inputs(`${name}/${group}/`, ["x"]);
    if (!has(`${group}/logp`) && !has(`${group}/score`)) continue;
    const sigma = Number(level);
    if (!(sigma > 0)) throw new EvenkeelError("file", `${group} names no noise level above 0.`);
    await checks.part(`${name}/${group}`, () =>
      checkLevel(fixture, checks, device, mixtureOf(fixture, name), `${name}/${group}`, sigma),
    );
  }
  fixture.inputs(`${name}/ode/`, ["x_init"]);
  if (has("ode/trajectory")) {
    await checks.part(`${name}/ode`, () => checkOde(fixture, checks, mixtureOf(fixture, name), `${name}/ode`));
  }
}

const modelLoss =
  /^sigma\^2 \* mean_dims\(\(gt_score - net_score\)\^2\), mean over batch; ground truth class (?<truth>\w+)$/;

/** With the defaults of the published example. */
const modelOptions = z.strictObject({
  num_layers: z.number().default(4),
  hidden_dim: z.number().default(64),
  sigma_data: z.number().default(0.5),
  training: z.boolean().default(true),
  // In words: only this loss is known, of any of the file's mixtures.
  loss: z
    .string()
    .regex(modelLoss)
    .default("sigma^2 * mean_dims((gt_score - net_score)^2), mean over batch; ground truth class A"),
});

/** The exact scores at the model's points: of the mixture that it learns. In a file without any mixture, those that it has. */
function exactScores(fixture: Fixture, found: Comparison, truthName: string, sigma: Float64Array): Float64Array {
  const isAlone = fixture.groupsUnder("").every((group) => group === "toy_model");
  if (isAlone && found.has("gt_score")) {
    fixture.leaveOut("toy_model/gt_score, whose mixture is not in the file");
    return fixture.numbers("toy_model/gt_score");
  }
  const points = pointsOf("toy_model/x", fixture.stored("toy_model/x"));
  const { score } = densities(mixtureOf(fixture, truthName), points, (i) => sigma[i] ?? NaN);
  // Stored as float32.
  found.values("gt_score", score, "output");
  return score;
}

/** The small model of a density: its score is a gradient, and its training differentiates that once more. */
async function checkModel(fixture: Fixture, checks: Checks, device: Device): Promise<void> {
  const options = fixture.metadataOrDefaults("toy_model", modelOptions);
  const truthName = modelLoss.exec(options.loss)?.groups?.["truth"] ?? "";
  const config = { layers: options.num_layers, dim: options.hidden_dim, sigmaData: options.sigma_data };
  const specs = describeScoreModel(config);
  const found = new Comparison(fixture, checks, "toy_model/");
  fixture.inputs("toy_model/", ["x", "sigma"]);
  fixture.inputs("toy_model/w/", Object.keys(specs));
  const hasLoss = found.has("loss") || fixture.hasGroup("toy_model/grad/");
  if (!hasLoss && !found.has("logp", "score", "gt_score")) return;

  const { shape } = fixture.stored("toy_model/x");
  const sigma = fixture.numbers("toy_model/sigma");
  fixture.requireLength("toy_model/sigma", pointsOf("toy_model/x", fixture.stored("toy_model/x")).length / 2);
  const exact = hasLoss || found.has("gt_score") ? exactScores(fixture, found, truthName, sigma) : null;
  if (!hasLoss && !found.has("logp", "score")) return;

  const weights = fixture.storedUnder("toy_model/w/");
  checkParameters(specs, weights, "toy_model/w");
  const named = Object.fromEntries([...weights.keys()].map((name) => [name, fixture.tensor(`toy_model/w/${name}`)]));
  // Each call of the published model in training mode normalizes its stored weights by force, and the file's gradient was taken
  // after an earlier call. Further ones change nothing: the weights are of magnitude 1 / (1 + epsilon) from then on.
  const normalizedTwice = (raw: NamedParameters): NamedParameters =>
    normalizeWeights(specs, normalizeWeights(specs, raw));
  const computed = await evaluateOn(
    device,
    (raw: NamedParameters, x: Tensor, level: Tensor, truth: Tensor | null) => {
      const trained = options.training ? normalizedTwice(raw) : raw;
      const logp = logDensity(config, trained, x, level);
      if (truth === null) return { logp, score: modelScore(config, trained, x, level), training: null };
      const objective = (arrays: NamedParameters): { value: Tensor; aux: Tensor } => {
        const score = modelScore(config, arrays, x, level);
        return { value: mean(scoreLoss(score, truth, level)), aux: score };
      };
      const { value: loss, gradient, aux: score } = valueAndGradWithAux(objective)(trained);
      return { logp, score, training: { loss, gradient } };
    },
    named,
    fixture.tensor("toy_model/x"),
    tensor(Float32Array.from(sigma)),
    exact === null || !hasLoss ? null : tensor(Float32Array.from(exact), { shape }),
  );
  await found.tensor("logp", computed.logp, "output");
  await found.tensor("score", computed.score, "output");
  if (computed.training === null) return;
  await found.tensor("loss", computed.training.loss, "scalar");
  for (const [name, value] of Object.entries<Tensor>(computed.training.gradient)) {
    await found.tensor(`grad/${name}`, value, "gradient");
  }
}

export const toyMixture: Kind = {
  prefix: "toy_mixture",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-6 },
  async check(fixture, checks, device) {
    for (const name of fixture.groupsUnder("")) {
      if (name === "toy_model") continue;
      await checks.part(name, () => checkMixture(fixture, checks, device, name));
    }
    if (fixture.hasGroup("toy_model/")) await checks.part("toy_model", () => checkModel(fixture, checks, device));
  },
};
