/** The sampler on the device, beside the one on the host: the same flow in float32. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { type DenoisingFormula, FormulaDenoiser } from "../../../diffusion/network/index.ts";
import {
  type HostArray,
  imageKeys,
  ImageSampler,
  type ImageSamplerOptions,
  type ImageStep,
  runSampler,
  type SamplerPart,
  type SamplerStep,
  sigmaSteps,
  type Solver,
} from "../../../diffusion/sample/index.ts";
import {
  add,
  broadcastTo,
  createDevice,
  type Device,
  divide,
  greater,
  less,
  multiply,
  reshape,
  square,
  type Tensor,
  tensor,
  where,
} from "../../../engine/index.ts";
import { countGpuCalls } from "../../support/countGpuCalls.ts";
import { scheduledDevice } from "../../support/scheduledDevice.ts";
import { webgpuSkip } from "../../support/webgpuSkip.ts";

const shape = [2, 1, 2, 3];
const size = 12;

/** The denoiser of data around 0.3: (0.25 x + 0.3 sigma^2) / (0.25 + sigma^2). */
const formula: DenoisingFormula = (x, sigma) => {
  const noise = reshape(square(sigma), [shape[0] ?? 0, 1, 1, 1]);
  return divide(add(multiply(x, 0.25), multiply(noise, 0.3)), add(noise, 0.25));
};
const onHost = async (x: Float64Array, sigma: number): Promise<Float64Array> =>
  x.map((value) => (0.25 * value + 0.3 * sigma ** 2) / (0.25 + sigma ** 2));

const images = (values: ArrayLike<number>): Tensor => tensor(Float32Array.from(values), { shape });

type Case = { readonly steps: number; readonly solver: Solver; readonly sChurn: number; readonly seed: number };
const cases: fc.Arbitrary<Case> = fc.record({
  steps: fc.integer({ min: 1, max: 12 }),
  solver: fc.constantFrom<Solver>("heun", "euler"),
  sChurn: fc.constantFrom(0, 0, 1, 40),
  seed: fc.nat(1000),
});

/** Numbers of about the size of normals, exact in float32. */
const drawn = (seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => 2 * Math.sin(seed + 7.3 * i));

const largest = (values: HostArray): number => Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

function near(got: HostArray | null, wanted: HostArray | null, bound: number, what: string): void {
  if (got === null || wanted === null) return assert.equal(got, wanted, what);
  const off = largest(Float64Array.from(wanted, (value, i) => value - (got[i] ?? NaN)));
  assert.ok(off <= bound, `${what}: ${off}, and not ${bound}`);
}

type Bounds = Readonly<Record<"xCur" | "xHat" | "xEuler" | "xNext" | "denoised" | "denoisedEuler", number>>;

/**
 * How far float32 may be from these steps: whatever is computed is rounded up to eight times, coefficients included, by 2^-24 of what
 * goes into it, and carries on what its parts are wrong by.
 */
function roundings(steps: readonly SamplerStep[]): Bounds[] {
  let error = 0;
  return steps.map(({ tHat, tNext, xCur, xHat, xEuler, denoised, denoisedEuler }) => {
    const round = (...sizes: readonly number[]): number => 8 * 2 ** -24 * Math.max(...sizes);
    const [x, euler] = [Math.max(largest(xCur), largest(xHat)), largest(xEuler)];
    const xCurBound = error + round(x);
    const xHatBound = xCurBound + round(x);
    /** The denoiser's answer follows what it is asked with this slope. */
    const answer = (bound: number, sigma: number, asked: number): number =>
      (bound * 0.25) / (0.25 + sigma ** 2) + round(asked, 0.3);
    const denoisedBound = answer(xHatBound, tHat, x);
    const ratio = tNext / tHat;
    const eulerBound = ratio * xHatBound + (1 - ratio) * denoisedBound + round(x, largest(denoised));
    const secondBound = answer(eulerBound, tNext, euler);
    const [p, q] = [(tHat - tNext) / 2 / tHat, (tHat - tNext) / 2 / tNext];
    const heunBound = (): number =>
      xHatBound +
      p * (xHatBound + denoisedBound + round(x, largest(denoised))) +
      q * (eulerBound + secondBound + round(euler, largest(denoisedEuler ?? xEuler))) +
      round(x);
    error = denoisedEuler === null ? eulerBound : heunBound();
    return {
      xCur: xCurBound,
      xHat: xHatBound,
      xEuler: eulerBound,
      xNext: error,
      denoised: denoisedBound,
      denoisedEuler: secondBound,
    };
  });
}

describe("sampling on the device", async () => {
  const devices: Readonly<Record<string, Device>> = {
    oracle: await createDevice("oracle"),
    wasm: await createDevice("wasm", { wasm: { threads: 1 } }),
  };
  after(() => Object.values(devices).forEach((device) => device.dispose()));

  const samplerOn = (device: Device, options: Partial<ImageSamplerOptions> = {}): ImageSampler =>
    new ImageSampler({
      denoiser: new FormulaDenoiser(formula, device),
      sigmas: sigmaSteps({ steps: 3 }),
      shape,
      labelDim: 0,
      ...options,
    });

  const seeded = (...seeds: readonly number[]): SamplerPart => ({ source: { keys: imageKeys(seeds) }, labels: null });

  for (const [name, device] of Object.entries(devices)) {
    it(`follows the flow as it is followed on the host, step by step: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(cases, async ({ steps, solver, sChurn, seed }) => {
          const sigmas = sigmaSteps({ steps });
          const churn = { sChurn, sMin: 0.01, sMax: 60, sNoise: 1.01 };
          const noise = drawn(seed);
          const expected: SamplerStep[] = [];
          const end = await runSampler(onHost, noise, sigmas, {
            ...churn,
            solver,
            churnNoise: drawn,
            onStep: (step) => void expected.push(step),
          });
          const sampler = samplerOn(device, { ...churn, solver, sigmas });
          const part: SamplerPart = {
            source: { normals: images(noise) },
            labels: null,
            churnNoise: (step) => images(drawn(step)),
          };
          const told: ImageStep[] = [];
          const [sampled] = await sampler.sample([part], (step) => void told.push(step));
          const [untold] = await sampler.sample([part]);
          sampler.dispose();
          // Whether somebody listens changes no bit.
          assert.deepEqual(untold, sampled);
          assert.deepEqual(sampled?.noise, noise);
          near(sampled.images, end, roundings(expected).at(-1)?.xNext ?? NaN, "the end");
          assert.equal(told.length, expected.length);
          for (const [i, bounds] of roundings(expected).entries()) {
            const [step, other] = [expected[i], told[i]];
            assert.ok(step !== undefined && other !== undefined);
            assert.deepEqual([other.index, other.t, other.tHat, other.tNext], [i, step.t, step.tHat, step.tNext]);
            for (const key of ["xCur", "xHat", "xEuler", "xNext", "denoised", "denoisedEuler"] as const) {
              near(other[key], step[key], bounds[key], `${key} of step ${i}`);
            }
            assert.deepEqual(other.denoisedMain, other.denoised);
          }
        }),
        { numRuns: name === "wasm" ? 8 : 30 },
      );
    });
  }

  it("waits for the device once for all parts, whatever the number of steps; in every step if somebody listens", async () => {
    const inner = devices["wasm"] as Device;
    for (const steps of [1, 7]) {
      const device = scheduledDevice(inner, () => Promise.resolve());
      const denoiser = new FormulaDenoiser(formula, device);
      const sampler = samplerOn(device, { denoiser, sigmas: sigmaSteps({ steps }), sChurn: 1 });
      const parts = [seeded(1, 2), seeded(3, 4), seeded(5, 6)];
      await sampler.sample(parts);
      const whole = await sampler.sample(parts);
      assert.equal(device.downloads.length, 2);
      for (const [i, part] of parts.entries()) {
        assert.deepEqual(await sampler.sample([part]), [whole[i]], "parts don't touch each other");
      }
      device.downloads.length = 0;
      let told = 0;
      await sampler.sample(parts, ({ xCur }) => {
        assert.equal(xCur.length, 3 * size);
        told++;
      });
      assert.deepEqual([told, device.downloads.length], [steps, steps + 1]);
      sampler.dispose();
      denoiser.dispose();
      assert.deepEqual([device.held, device.violations], [0, []]);
    }
  });

  it("samples more parts than results may wait", async () => {
    const sampler = samplerOn(devices["oracle"] as Device, { sigmas: [1, 0] });
    const parts = Array.from({ length: 130 }, (_, i) => seeded(i % 3, i));
    const sampled = await sampler.sample(parts);
    const [again] = await sampler.sample([seeded(2, 128)]);
    sampler.dispose();
    assert.equal(sampled.length, 130);
    assert.deepEqual(sampled[128], again);
  });

  it("says in which step and at which noise level a network first answered what isn't finite", async () => {
    const device = devices["wasm"] as Device;
    const sigmas = [4, 2, 1, 0];
    for (const [isHere, step, sigma] of [
      [(s: Tensor): Tensor => greater(s, 3), 0, 4],
      [(s: Tensor): Tensor => less(s, 2.5), 0, 2],
      [(s: Tensor): Tensor => less(s, 1.5), 1, 1],
    ] as const) {
      const broken: DenoisingFormula = (x, s) => {
        const at = broadcastTo(reshape(isHere(s), [2, 1, 1, 1]), shape);
        return where(at, divide(x, multiply(x, 0)), x);
      };
      for (const onStep of [undefined, () => undefined]) {
        const denoiser = new FormulaDenoiser(broken, device);
        const sampler = samplerOn(device, { denoiser, sigmas });
        await assert.rejects(sampler.sample([seeded(1, 2)], onStep), {
          code: "diverged",
          message: new RegExp(
            `in step ${step}, at noise level ${sigma}, the denoiser answered numbers that aren't finite`,
          ),
        });
        sampler.dispose();
        denoiser.dispose();
      }
    }
  });

  it("leaves nothing behind, whatever fails", async () => {
    for (const operation of ["allocate", "upload", "compile", "run", "download"] as const) {
      for (const call of [0, 3, 9]) {
        const device = scheduledDevice(devices["oracle"] as Device, () => Promise.resolve());
        const denoiser = new FormulaDenoiser(formula, device);
        const sampler = samplerOn(device, { denoiser });
        device.fail({ operation, call });
        const outcome = await sampler.sample([seeded(1, 2), seeded(3, 4)], () => undefined).catch(() => "failed");
        if (device.fired.size > 0) assert.equal(outcome, "failed");
        sampler.dispose();
        denoiser.dispose();
        assert.deepEqual([device.held, device.violations], [0, []], `${operation} ${call}`);
      }
    }
  });

  it("is one upload and one readback for a batch on webgpu", { skip: webgpuSkip }, async () => {
    const device = await createDevice("webgpu");
    const denoiser = new FormulaDenoiser(formula, device);
    const sampler = samplerOn(device, { denoiser, sigmas: sigmaSteps({ steps: 5 }), sChurn: 1 });
    try {
      const parts = [seeded(1, 2), seeded(3, 4)];
      const first = await sampler.sample(parts);
      const count = await countGpuCalls();
      assert.deepEqual(await sampler.sample(parts), first);
      const { uploads, readbacks, pipelines } = count();
      assert.deepEqual({ uploads, readbacks, pipelines }, { uploads: 1, readbacks: 1, pipelines: 0 });
    } finally {
      sampler.dispose();
      denoiser.dispose();
      device.dispose();
    }
  });
});
