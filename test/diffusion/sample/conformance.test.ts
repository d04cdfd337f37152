import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { ImageSampler, runSampler, type SamplerStep, sigmaSteps } from "../../../diffusion/sample/index.ts";
import {
  DenoiserProgram,
  networkConfigFromReference,
  type StoredWeights,
  tensorsOfWeights,
} from "../../../diffusion/network/index.ts";
import { getDevice, tensor as engineTensor } from "../../../engine/index.ts";
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

async function load(prefix: string, unet: object): Promise<DenoiserProgram> {
  const weights: StoredWeights = new Map(
    [...file.entries.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => [name.slice(prefix.length), file.tensor(name)]),
  );
  const config = networkConfigFromReference({ ...common, ...unet });
  const tensors = tensorsOfWeights(config, weights, "edm2_sampling");
  const program = await DenoiserProgram.create(config, tensors, await getDevice("wasm"));
  programs.push(program);
  return program;
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
      const { shape } = tensor("noise");
      const images = (values: ArrayLike<number>) => engineTensor(Float32Array.from(values), { shape });
      const sampler = new ImageSampler({
        denoiser: main,
        guides: settings.guidance === undefined ? [] : [{ denoiser: guide, weight: settings.guidance, labels: "none" }],
        sigmas,
        shape,
        labelDim: 10,
        sChurn,
        sMin,
        sMax,
        sNoise,
      });
      const drawn: number[] = [];
      const part = {
        source: { normals: images(toFloat32(tensor("noise"))) },
        labels,
        churnNoise(index: number) {
          drawn.push(index);
          return images(row("churn_noise", drawn.length - 1));
        },
      };
      const [sampled] = await sampler.sample([part], ({ index, tHat, xCur, xHat, xEuler, denoisedMain }) => {
        assertClose([tHat], row("t_hat", index), 1e-14, `t_hat ${index}`);
        assertClose(xCur, row("x_cur", index), tolerance, `x_cur ${index}`);
        if (has("x_hat")) assertClose(xHat, row("x_hat", index), tolerance, `x_hat ${index}`);
        if (index < settings.num_steps - 1) assertClose(xEuler, row("x_euler", index), tolerance, `x_euler ${index}`);
        assertClose(denoisedMain, row("denoised_main", index), tolerance, `denoised_main ${index}`);
      });
      sampler.dispose();
      assertClose(sampled?.images ?? [], toFloat64(tensor("out")), tolerance, "out");
      assert.deepEqual(drawn, churnSteps);
    });
  }
});

describe("a network in batches of one size", () => {
  it("gives an image the same bits wherever it stands", async () => {
    const size = 3 * 16 * 16;
    const x = Float32Array.from({ length: 11 * size }, (_, i) => Math.sin(1.7 * i));
    const inFours = async (rows: readonly number[]): Promise<Float32Array[]> => {
      const joined = Float32Array.from(rows.flatMap((row) => [...x.subarray(row * size, (row + 1) * size)]));
      const classes = Float32Array.from({ length: 40 }, (_, i) => +((rows[Math.floor(i / 10)] ?? 0) % 10 === i % 10));
      const levels = rows.map((row) => 0.01 * 2 ** row);
      const answer = await main.denoise(joined, levels, classes);
      return rows.map((_, i) => answer.slice(i * size, (i + 1) * size));
    };
    const seen = new Map<number, Float32Array>();
    for (const rows of [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10, 0],
      [3, 0, 0, 1],
      [10, 8, 5, 2],
      [7, 7, 7, 7],
    ]) {
      for (const [i, answer] of (await inFours(rows)).entries()) {
        const row = rows[i] ?? NaN;
        assert.deepEqual(answer, seen.get(row) ?? answer, `image ${row} among ${rows.join()}`);
        seen.set(row, answer);
      }
    }
  });
});
