import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  type Denoiser,
  type Guide,
  guidedDenoiser,
  inBatchesOf,
  runSampler,
  type SamplerStep,
  sigmaSteps,
  stateDenoiser,
} from "../../../diffusion/sample/index.ts";
import {
  DenoiserProgram,
  networkConfigFromReference,
  type StoredWeights,
  tensorsOfWeights,
} from "../../../diffusion/network/index.ts";
import { getDevice } from "../../../engine/index.ts";
import { type SafetensorsFile, toFloat32, toFloat64 } from "../../../engine/io/index.ts";
import { readReference } from "../ema/referenceFiles.ts";

/** The reference's recommendation for this file, of each tensor's largest magnitude. */
const tolerance = 1e-5;

type Case = {
  readonly num_steps: number;
  readonly rho: number;
  readonly sigma_min: number;
  readonly sigma_max: number;
  readonly guidance?: number;
  readonly S_churn?: number;
  readonly S_min?: number;
  readonly S_max?: number;
  readonly S_noise?: number;
};

const file = await readReference("edm2_sampling.safetensors");
const options = JSON.parse(file.metadata.get("config") ?? "") as {
  readonly main: object;
  readonly guide: object;
  readonly label_dim: number;
  readonly guide_label_dim: number;
};
const { main: mainOptions, guide: guideOptions, guide_label_dim, ...common } = options;
const programs: DenoiserProgram[] = [];
after(() => {
  for (const program of programs) program.dispose();
});

async function load(prefix: string, unet: object): Promise<Denoiser> {
  const weights: StoredWeights = new Map(
    [...file.entries.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => [name.slice(prefix.length), file.tensor(name)]),
  );
  const config = networkConfigFromReference({ ...common, ...unet });
  const tensors = tensorsOfWeights(config, weights, "edm2_sampling");
  const program = await DenoiserProgram.create(config, tensors, await getDevice("wasm"));
  programs.push(program);
  return (x, sigma, labels) => program.denoise(x, sigma, labels);
}

const main = await load("net/", mainOptions);
const guide = await load("gnet/", { ...guideOptions, label_dim: guide_label_dim });
const labels = toFloat32(file.tensor("class_labels"));

/** One case of the file, by its tensors. */
function recorded(name: string, from: SafetensorsFile) {
  const tensor = (key: string) => from.tensor(`${name}/${key}`);
  const row = (key: string, index: number): Float64Array => {
    const [rows = 0] = tensor(key).shape;
    const values = toFloat64(tensor(key));
    assert.ok(index < rows, `${name}/${key} has no row ${index}`);
    return values.slice((index * values.length) / rows, ((index + 1) * values.length) / rows);
  };
  return { tensor, row, has: (key: string) => from.entries.has(`${name}/${key}`) };
}

function assertClose(got: ArrayLike<number>, truth: Float64Array, relative: number, what: string): void {
  assert.equal(got.length, truth.length, what);
  const largest = truth.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const off = truth.reduce((most, value, i) => Math.max(most, Math.abs((got[i] ?? NaN) - value)), 0);
  assert.ok(off <= relative * largest, `${what}: off by ${off} of ${largest}`);
}

describe("the reference's trajectories", () => {
  const cases = JSON.parse(file.metadata.get("cases") ?? "") as Readonly<Record<string, Case>>;
  for (const [name, settings] of Object.entries(cases)) {
    const { tensor, row, has } = recorded(name, file);
    const schedule = {
      steps: settings.num_steps,
      rho: settings.rho,
      sigmaMin: settings.sigma_min,
      sigmaMax: settings.sigma_max,
    };
    const sigmas = sigmaSteps(schedule);
    const { S_churn: sChurn = 0, S_min: sMin = 0, S_max: sMax = Infinity, S_noise: sNoise = 1 } = settings;
    const churnSteps = has("churn_step_index") ? Array.from(tensor("churn_step_index").data, Number) : [];

    it(`${name}: steps from the recorded states, with the recorded answers`, async () => {
      assertClose(sigmas, toFloat64(tensor("t_steps")), 1e-14, "t_steps");
      // Guided answers are not recorded, only the main network's.
      if (settings.guidance !== undefined) return;
      for (let index = 0; index < settings.num_steps; index++) {
        const [t = NaN, tNext = NaN] = sigmas.slice(index);
        // A run that starts in the middle: the state is divided by the level that the start is multiplied by. The churn of its
        // single full step is what the whole run has in each.
        const rest = tNext > 0 ? [t, tNext, 0] : [t, 0];
        const told: SamplerStep[] = [];
        await runSampler(
          async () => row("denoised_main", index),
          row("x_cur", index).map((value) => value / t),
          rest,
          {
            sChurn: (sChurn / settings.num_steps) * (rest.length - 1),
            sMin,
            sMax,
            sNoise,
            churnNoise: () => row("churn_noise", Math.max(0, churnSteps.indexOf(index))),
            onStep: (step) => void told.push(step),
          },
        );
        const [first] = told;
        assert.ok(first !== undefined);
        assert.equal(first.tHat > t, churnSteps.includes(index));
        assertClose([first.tHat], row("t_hat", index), 1e-14, `t_hat ${index}`);
        // float32 storage rounds state and answer; the slope divides by t and the step multiplies by less than t.
        if (has("x_hat")) assertClose(first.xHat, row("x_hat", index), 1e-6, `x_hat ${index}`);
        if (tNext > 0) assertClose(first.xEuler, row("x_euler", index), 1e-6, `x_euler ${index}`);
        else assertClose(first.xNext, toFloat64(tensor("out")), 1e-6, "out");
      }
    });

    it(`${name}: the whole run with the network, step by step`, async () => {
      const guides: Guide[] =
        settings.guidance === undefined ? [] : [{ denoise: guide, weight: settings.guidance, labels: "none" }];
      const denoise = stateDenoiser(guidedDenoiser(main, guides), labels, tensor("noise").shape);
      const drawn: number[] = [];
      const out = await runSampler(denoise, toFloat32(tensor("noise")), sigmas, {
        sChurn,
        sMin,
        sMax,
        sNoise,
        churnNoise(index) {
          drawn.push(index);
          return row("churn_noise", drawn.length - 1);
        },
        onStep({ index, tHat, xCur, xHat, xEuler, denoised }) {
          assertClose([tHat], row("t_hat", index), 1e-14, `t_hat ${index}`);
          assertClose(xCur, row("x_cur", index), tolerance, `x_cur ${index}`);
          if (has("x_hat")) assertClose(xHat, row("x_hat", index), tolerance, `x_hat ${index}`);
          if (index < settings.num_steps - 1) assertClose(xEuler, row("x_euler", index), tolerance, `x_euler ${index}`);
          if (guides.length === 0) {
            assertClose(denoised, row("denoised_main", index), tolerance, `denoised_main ${index}`);
          }
        },
      });
      assertClose(out, toFloat64(tensor("out")), tolerance, "out");
      assert.deepEqual(drawn, churnSteps);
    });
  }
});

describe("a network in batches of one size", () => {
  it("gives an image the same bits wherever it stands", async () => {
    const shape = [11, 3, 16, 16];
    const size = 3 * 16 * 16;
    const x = Float32Array.from({ length: 11 * size }, (_, i) => Math.sin(1.7 * i));
    const levels = Array.from({ length: 11 }, (_, i) => 0.01 * 2 ** i);
    const classes = Float32Array.from({ length: 110 }, (_, i) => +(Math.floor(i / 10) % 10 === i % 10));
    const inFours = inBatchesOf(4, main);
    const whole = await inFours(x, levels, classes, shape);
    for (const [from, to] of [
      [0, 1],
      [3, 4],
      [10, 11],
      [1, 6],
      [5, 11],
    ] as const) {
      const part = await inFours(
        x.slice(from * size, to * size),
        levels.slice(from, to),
        classes.slice(10 * from, 10 * to),
        [to - from, 3, 16, 16],
      );
      assert.deepEqual(part, whole.slice(from * size, to * size), `images ${from} to ${to}`);
    }
  });
});
