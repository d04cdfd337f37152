import * as z from "zod";
import { type Device, EvenkeelError, type Tensor, tensor } from "../../engine/index.ts";
import { toFloat32 } from "../../engine/io/index.ts";
import { type NamedParameters, nestParameters } from "../../nn/index.ts";
import {
  denoise,
  type DenoiserParameters,
  DenoiserProgram,
  FormulaDenoiser,
  type NetworkConfig,
} from "../network/index.ts";
import { type ChurnOptions, type Guide, ImageSampler, sigmaSteps, stepLevels } from "../sample/index.ts";
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
  /** Of the state, which here is float32. */
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
  readonly #formulas: FormulaDenoiser[] = [];

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

  /**
   * The guide of a case, whose labels are those of the main network, none, or of a number of its own.
   * @throws EvenkeelError `file` if there is none.
   */
  async guide(group: string, count: number): Promise<Pick<Guide, "denoiser" | "labels">> {
    if (!this.#fixture.hasGroup("gnet/")) {
      throw new EvenkeelError("file", "has guidance, but the file has no guide: there is no tensor gnet/....");
    }
    const program = await this.#load("gnet/");
    const { config } = program;
    const labels = labelsFor(this.#fixture, group, config.unet.labelDim, count);
    if (labels === null) return { denoiser: program, labels: "none" };
    if (config.unet.labelDim === this.#configOf("net/").unet.labelDim) return { denoiser: program, labels: "same" };
    const parameters = nestParameters<DenoiserParameters>(this.#arrays("gnet/", config));
    const formula = (x: Tensor, sigma: Tensor): Tensor => denoise(config, parameters, x, sigma, labels);
    const denoiser = new FormulaDenoiser(formula, this.#device);
    this.#formulas.push(denoiser);
    return { denoiser, labels: "none" };
  }

  #arrays(prefix: string, config: NetworkConfig): NamedParameters {
    const { weights, buffers } = networkUnder(this.#fixture, prefix, config, "unet");
    return { ...weights, ...buffers };
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
      return DenoiserProgram.create(config, this.#arrays(prefix, config), this.#device);
    };
    const program = this.#programs.get(prefix) ?? create();
    this.#programs.set(prefix, program);
    return program;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const formula of this.#formulas) formula.dispose();
    for (const program of await Promise.allSettled(this.#programs.values())) {
      if (program.status === "fulfilled") program.value.dispose();
    }
  }
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
  const all = stepLevels(taken, churn);
  const drawing = all.flatMap(({ index, churn: added }) => (added === null ? [] : [index]));
  found.values(
    "t_hat",
    all.map(({ tHat }) => tHat),
    "output",
    levelTolerance,
  );
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
): Promise<{ readonly record: Recording; readonly out: Float32Array }> {
  const start = fixture.stored(`${name}/noise`);
  const [count = 0] = start.shape;
  const size = start.data.length;
  const denoiser = await networks.main();
  const { labelDim } = denoiser.config.unet;
  const labels = await labelsFor(fixture, `${name}/`, labelDim, count)?.data();
  const guides: Guide[] = guidance === 1 ? [] : [{ ...(await networks.guide(`${name}/`, count)), weight: guidance }];
  if (draws > 0) fixture.requireLength(`${name}/churn_noise`, draws * size);
  const churnNoise = draws > 0 ? toFloat32(fixture.stored(`${name}/churn_noise`)) : new Float32Array();
  let drawn = 0;
  const record: Recording = { x_cur: [], x_hat: [], x_euler: [], denoised_main: [] };
  const append = (to: number[], values: ArrayLike<number>): void => {
    for (let i = 0; i < values.length; i++) to.push(values[i] ?? NaN);
  };
  const hasLabels = labels instanceof Float32Array;
  const sampler = new ImageSampler({
    ...churn,
    denoiser,
    guides,
    sigmas,
    shape: start.shape,
    labelDim: hasLabels ? labelDim : 0,
  });
  try {
    const [sampled] = await sampler.sample(
      [
        {
          source: { normals: tensor(toFloat32(start), { shape: start.shape }) },
          labels: hasLabels ? labels : null,
          churnNoise() {
            drawn += 1;
            return tensor(churnNoise.slice((drawn - 1) * size, drawn * size), { shape: start.shape });
          },
        },
      ],
      ({ index, xCur, xHat, xEuler, denoisedMain }) => {
        append(record.x_cur, xCur);
        append(record.x_hat, xHat);
        if (index < steps - 1) append(record.x_euler, xEuler);
        append(record.denoised_main, denoisedMain);
      },
    );
    return { record, out: sampled?.images ?? new Float32Array() };
  } finally {
    sampler.dispose();
  }
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
