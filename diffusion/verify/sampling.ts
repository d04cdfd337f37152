import { z } from "zod";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { toFloat32 } from "../../engine/io/index.ts";
import { DenoiserProgram, type NetworkConfig } from "../network/index.ts";
import {
  type ChurnOptions,
  type Denoiser,
  guidedDenoiser,
  type Guide,
  type HostArray,
  runSampler,
  sigmaSteps,
  stateDenoiser,
} from "../sample/index.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { type Fixture, parseOptions } from "./fixture.ts";
import { labelsFor } from "./inputs.ts";
import type { Kind } from "./kind.ts";
import { networkOf, networkUnder, specsOf } from "./networkOptions.ts";

/** Noise levels are computed in float64. */
const levelTolerance = 1e-9;

const networkOptions = z.record(z.string(), z.unknown());
const configOptions = z.looseObject({
  main: networkOptions.default({}),
  guide: networkOptions.optional(),
  guide_label_dim: z.number().optional(),
});

/** Zod's numbers are finite, and S_max need not be. */
const realOrInfinite = z.custom<number>((value) => typeof value === "number" && !Number.isNaN(value), "not a number");

/** A case's options with the reference's defaults. */
const caseOptions = z.strictObject({
  num_steps: z.number().int().positive().default(32),
  rho: z.number().default(7),
  sigma_min: z.number().default(0.002),
  sigma_max: z.number().default(80),
  guidance: z.number().default(1),
  S_churn: z.number().default(0),
  S_min: z.number().default(0),
  S_max: z.union([realOrInfinite, z.literal(["inf", "Infinity"]).transform(() => Infinity)]).default(Infinity),
  S_noise: z.number().default(1),
  /** Of the state, which here is always float64. */
  dtype: z.string().optional(),
  note: z.string().optional(),
});

/** Results of a case: of its noise levels alone, and of its networks. */
const levels = ["t_steps", "t_hat", "churn_step_index"];
const states = ["x_cur", "x_hat", "x_euler", "denoised_main", "out"];

type CaseOptions = z.infer<typeof caseOptions>;

/** The networks of a file. On the device they are when a case first needs them. */
class Networks implements AsyncDisposable {
  readonly #fixture: Fixture;
  readonly #device: Device;
  readonly #programs = new Map<string, Promise<DenoiserProgram>>();

  constructor(fixture: Fixture, device: Device) {
    this.#fixture = fixture;
    this.#device = device;
    for (const prefix of ["net/", "gnet/"]) {
      if (fixture.hasGroup(prefix)) fixture.inputs(prefix, Object.keys(specsOf(this.#configOf(prefix), "whole")));
    }
    fixture.inputs("", ["class_labels"]);
  }

  main(): Promise<DenoiserProgram> {
    return this.#load("net/");
  }

  /** @throws EvenkeelError `file` if there is none. */
  guide(): Promise<DenoiserProgram> {
    if (!this.#fixture.hasGroup("gnet/")) {
      throw new EvenkeelError("file", "has guidance, but the file has no guide: there is no tensor gnet/....");
    }
    return this.#load("gnet/");
  }

  /** Options that both have in common, and a network's own. The guide has labels of its own number, or none. */
  #configOf(prefix: string): NetworkConfig {
    const { main, guide, guide_label_dim, ...common } = this.#fixture.metadata("config", configOptions);
    if (prefix === "net/") return networkOf(this.#fixture, prefix, { ...common, ...main });
    const { label_dim: _mainLabelDim, ...shared } = common;
    const labels = guide_label_dim === undefined ? {} : { label_dim: guide_label_dim };
    return networkOf(this.#fixture, prefix, { ...shared, ...labels, ...guide });
  }

  #load(prefix: string): Promise<DenoiserProgram> {
    const create = async (): Promise<DenoiserProgram> => {
      // Sampling doesn't use the loss head.
      const config = { ...this.#configOf(prefix), lossHead: false };
      const { weights, buffers } = networkUnder(this.#fixture, prefix, config, "unet");
      return DenoiserProgram.create(config, { ...weights, ...buffers }, this.#device);
    };
    const program = this.#programs.get(prefix) ?? create();
    this.#programs.set(prefix, program);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of await Promise.allSettled(this.#programs.values())) {
      if (program.status === "fulfilled") program.value.dispose();
    }
  }
}

/** What follows from the noise levels and the churn alone: steps that draw noise, and noise levels of first evaluations. */
async function churnOf(
  sigmas: readonly number[],
  churn: ChurnOptions,
): Promise<{ readonly drawing: number[]; readonly tHat: number[] }> {
  const [drawing, tHat]: [number[], number[]] = [[], []];
  // The levels don't depend on the state: one number of it will do, and no network.
  await runSampler(async (x) => x, new Float64Array(1), sigmas, {
    ...churn,
    churnNoise: (index) => {
      drawing.push(index);
      return new Float64Array(1);
    },
    onStep: (step) => void tHat.push(step.tHat),
  });
  return { drawing, tHat };
}

/** What a run of the sampler went through, step after step. */
type Recording = Readonly<Record<"x_cur" | "x_hat" | "x_euler" | "denoised_main", number[]>>;

async function checkCase(
  fixture: Fixture,
  checks: Checks,
  networks: Networks,
  name: string,
  given: unknown,
): Promise<void> {
  const options = parseOptions("options", caseOptions, given);
  if (options.dtype !== undefined) fixture.leaveOut(`${name}: dtype, which says how the state was rounded`);
  fixture.inputs(`${name}/`, ["noise", "churn_noise", "class_labels"]);
  const found = new Comparison(fixture, checks, `${name}/`);
  if (!found.has(...levels, ...states)) {
    fixture.leaveOut(`case ${name}, of which nothing is there to compare`);
    return;
  }
  const { num_steps: steps } = options;
  requireSteps(fixture, name, steps);

  const sigmas = sigmaSteps({
    steps,
    rho: options.rho,
    sigmaMin: options.sigma_min,
    sigmaMax: options.sigma_max,
  });
  found.values("t_steps", sigmas, "output", levelTolerance);
  const churn = { sChurn: options.S_churn, sMin: options.S_min, sMax: options.S_max, sNoise: options.S_noise };
  const taken =
    churn.sChurn > 0 && found.has("t_steps") ? sameLevels(sigmas, fixture.numbers(`${name}/t_steps`)) : sigmas;
  const { drawing, tHat } = await churnOf(taken, churn);
  found.values("t_hat", tHat, "output", levelTolerance);
  if (drawing.length > 0 || fixture.shapeOf(`${name}/churn_step_index`)?.includes(0) !== true) {
    found.values("churn_step_index", drawing, "output", 0);
  } else fixture.inputs(`${name}/`, ["churn_step_index"]);
  if (!found.has(...states)) return;

  const { record, out } = await sample(fixture, networks, name, options, taken, churn, drawing.length);
  found.rows("x_cur", record.x_cur);
  found.rows("denoised_main", record.denoised_main);
  found.rows("x_hat", record.x_hat);
  found.rows("x_euler", record.x_euler);
  found.values("out", out, "output");
}

/** The file's levels if they are ours but for rounding: at the very edge of what is churned the last digit says whether a level is. */
function sameLevels(ours: readonly number[], stored: Float64Array): readonly number[] {
  const isSame = ours.every((level, i) => Math.abs(level - (stored[i] ?? NaN)) <= levelTolerance * level);
  return isSame ? [...stored] : ours;
}

/** Most steps of a case whose tensors don't tell how many there were. */
const mostSteps = 10_000;

/** Refuses more steps than a case has rows, before anything is computed for them. */
function requireSteps(fixture: Fixture, name: string, steps: number): void {
  const byStep = ["t_steps", "t_hat", "x_cur", "x_hat", "denoised_main"].filter((tensor) =>
    fixture.has(`${name}/${tensor}`),
  );
  for (const tensor of byStep) {
    const rows = fixture.shapeOf(`${name}/${tensor}`)?.[0] ?? 0;
    const expected = tensor === "t_steps" ? steps + 1 : steps;
    if (rows !== expected) {
      throw new EvenkeelError(
        "file",
        `tensor ${name}/${tensor} has ${rows} elements along its first axis, its options call for ${expected}.`,
      );
    }
  }
  if (byStep.length === 0 && steps > mostSteps) {
    throw new EvenkeelError("file", `its options call for ${steps} steps, more than ${mostSteps}.`);
  }
}

async function sample(
  fixture: Fixture,
  networks: Networks,
  name: string,
  { num_steps: steps, guidance }: CaseOptions,
  sigmas: readonly number[],
  churn: ChurnOptions,
  draws: number,
): Promise<{ readonly record: Recording; readonly out: Float64Array }> {
  const start = fixture.stored(`${name}/noise`);
  const [count = 0] = start.shape;
  const size = start.data.length;
  const load = async (program: DenoiserProgram): Promise<Denoiser> => {
    const labels = labelsFor(fixture, `${name}/`, program.config.unet.labelDim, count);
    const rows = labels === null ? null : ((await labels.data()) as Float32Array);
    return (x, sigma) => program.denoise(x, sigma, rows);
  };
  const main = await load(await networks.main());
  // Guidance mixes the main network's answer with the guide's, so it is noted where it is given: twice a step, last once.
  const answers: HostArray[] = [];
  const noting: Denoiser = async (...inputs) => {
    const answer = await main(...inputs);
    answers.push(answer);
    return answer;
  };
  // Either network has its labels already.
  const guides: Guide[] =
    guidance === 1 ? [] : [{ denoise: await load(await networks.guide()), weight: guidance, labels: "none" }];
  if (draws > 0) fixture.requireLength(`${name}/churn_noise`, draws * size);
  const churnNoise = draws > 0 ? fixture.numbers(`${name}/churn_noise`) : new Float64Array();
  let drawn = 0;
  const record: Recording = { x_cur: [], x_hat: [], x_euler: [], denoised_main: [] };
  const append = (to: number[], values: ArrayLike<number>): void => {
    for (let i = 0; i < values.length; i++) to.push(values[i] ?? NaN);
  };
  const out = await runSampler(
    stateDenoiser(guidedDenoiser(noting, guides), null, start.shape),
    toFloat32(start),
    sigmas,
    {
      ...churn,
      churnNoise() {
        drawn += 1;
        return churnNoise.slice((drawn - 1) * size, drawn * size);
      },
      onStep({ index, xCur, xHat, xEuler }) {
        append(record.x_cur, xCur);
        append(record.x_hat, xHat);
        if (index < steps - 1) append(record.x_euler, xEuler);
        append(record.denoised_main, answers[2 * index] ?? []);
      },
    },
  );
  return { record, out };
}

export const sampling: Kind = {
  prefix: "edm2_sampling",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    await using networks = new Networks(fixture, device);
    for (const [name, options] of fixture.cases((group) =>
      [...levels, ...states].some((tensor) => fixture.has(`${group}/${tensor}`)),
    )) {
      await checks.part(name, () => checkCase(fixture, checks, networks, name, options));
    }
  },
};
