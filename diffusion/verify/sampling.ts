import { z } from "zod";
import { type Device, EvenkeelError, type StoredTensor, toFloat32 } from "../../engine/index.ts";
import { DenoiserProgram, networkConfigFromReference, tensorsOfWeights } from "../network/index.ts";
import {
  type Denoiser,
  guidedDenoiser,
  type Guide,
  type HostArray,
  runSampler,
  sigmaSteps,
  stateDenoiser,
} from "../sample/index.ts";
import type { Checks } from "./checks.ts";
import { type Fixture, parseOptions } from "./fixture.ts";
import type { Kind } from "./kind.ts";

/** Noise levels are computed in float64. */
const levelTolerance = 1e-9;

const networkOptions = z.record(z.string(), z.unknown());
const configOptions = z.looseObject({
  main: networkOptions,
  guide: networkOptions.optional(),
  label_dim: z.number(),
  guide_label_dim: z.number().optional(),
});

const caseOptions = z.strictObject({
  num_steps: z.number().int().positive(),
  rho: z.number(),
  sigma_min: z.number(),
  sigma_max: z.number(),
  guidance: z.number().default(1),
  S_churn: z.number().default(0),
  S_min: z.number().default(0),
  S_max: z.number().default(Infinity),
  S_noise: z.number().default(1),
  note: z.string().optional(),
});

/** The networks of a file, on the device. */
type Networks = { readonly main: DenoiserProgram; readonly guide: DenoiserProgram | null };

async function loadNetworks(fixture: Fixture, device: Device): Promise<Networks> {
  const { main, guide, guide_label_dim, ...common } = fixture.metadata("config", configOptions);
  const load = async (prefix: string, options: Readonly<Record<string, unknown>>): Promise<DenoiserProgram> => {
    const config = networkConfigFromReference(options);
    return DenoiserProgram.create(config, tensorsOfWeights(config, fixture.storedUnder(prefix), prefix), device);
  };
  const mainProgram = await load("net/", { ...common, ...main });
  try {
    const guideOptions = { ...common, ...guide, label_dim: guide_label_dim ?? common.label_dim };
    return { main: mainProgram, guide: guide === undefined ? null : await load("gnet/", guideOptions) };
  } catch (reason) {
    mainProgram.dispose();
    throw reason;
  }
}

const denoiserOf =
  (program: DenoiserProgram): Denoiser =>
  (x, sigma, labels) =>
    program.denoise(x, sigma, labels);

/** What a run of the sampler went through, step after step. */
type Recording = Readonly<
  Record<"x_cur" | "x_hat" | "x_euler" | "denoised_main" | "t_hat" | "churn_step_index", number[]>
>;

async function checkCase(
  fixture: Fixture,
  checks: Checks,
  { main, guide }: Networks,
  name: string,
  given: unknown,
): Promise<void> {
  const options = parseOptions("options", caseOptions, given);
  const { num_steps: steps, guidance, S_churn: sChurn, S_min: sMin, S_max: sMax, S_noise: sNoise } = options;
  fixture.requireLength(`${name}/t_steps`, steps + 1);
  if (guidance !== 1 && guide === null) throw new EvenkeelError("file", "has guidance, but the file has no guide.");
  const sigmas = sigmaSteps({
    steps,
    rho: options.rho,
    sigmaMin: options.sigma_min,
    sigmaMax: options.sigma_max,
  });

  const record: Recording = { x_cur: [], x_hat: [], x_euler: [], denoised_main: [], t_hat: [], churn_step_index: [] };
  // Guidance mixes the main network's answer with the guide's, so it is noted where it is given: twice a step, last once.
  const answers: HostArray[] = [];
  const noting: Denoiser = async (...inputs) => {
    const answer = await denoiserOf(main)(...inputs);
    answers.push(answer);
    return answer;
  };
  const guides: Guide[] = guide === null ? [] : [{ denoise: denoiserOf(guide), weight: guidance, labels: "none" }];
  const start = fixture.stored(`${name}/noise`);
  const labels = main.config.unet.labelDim > 0 ? toFloat32(fixture.stored("class_labels")) : null;
  const denoise = stateDenoiser(guidedDenoiser(noting, guides), labels, start.shape);
  const churnNoise = sChurn > 0 ? fixture.numbers(`${name}/churn_noise`) : new Float64Array();
  const out = await runSampler(denoise, toFloat32(start), sigmas, {
    sChurn,
    sMin,
    sMax,
    sNoise,
    churnNoise(index) {
      const drawn = record.churn_step_index.push(index);
      return churnNoise.slice((drawn - 1) * start.data.length, drawn * start.data.length);
    },
    onStep({ index, tHat, xCur, xHat, xEuler }) {
      record.t_hat.push(tHat);
      record.x_cur.push(...xCur);
      record.x_hat.push(...xHat);
      if (index < steps - 1) record.x_euler.push(...xEuler);
      record.denoised_main.push(...(answers[2 * index] ?? []));
    },
  });

  const stored = (tensor: string): StoredTensor => fixture.stored(`${name}/${tensor}`);
  const compare = (tensor: string, actual: ArrayLike<number>, rtol?: number): void =>
    checks.values(`${name}/${tensor}`, actual, stored(tensor), "output", rtol);
  const compareSteps = (tensor: string, actual: ArrayLike<number>): void =>
    checks.rows(`${name}/${tensor}`, actual, stored(tensor));
  compare("t_steps", sigmas, levelTolerance);
  compare("t_hat", record.t_hat, levelTolerance);
  compareSteps("x_cur", record.x_cur);
  compareSteps("denoised_main", record.denoised_main);
  if (sChurn > 0) {
    compare("churn_step_index", record.churn_step_index, 0);
    compareSteps("x_hat", record.x_hat);
  }
  if (steps > 1) compareSteps("x_euler", record.x_euler);
  compare("out", out);
}

export const sampling: Kind = {
  prefix: "edm2_sampling",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    const networks = await loadNetworks(fixture, device);
    try {
      for (const [name, options] of fixture.cases()) {
        await checks.part(name, () => checkCase(fixture, checks, networks, name, options));
      }
    } finally {
      networks.main.dispose();
      networks.guide?.dispose();
    }
  },
};
