import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { snapshotPlace, StoredAverages } from "../../../diffusion/ema/index.ts";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import { storeSnapshot } from "../../../diffusion/snapshot/index.ts";
import { type AverageError, averageErrors, validationSigmas, Validator } from "../../../diffusion/training/index.ts";
import { memoryFolder } from "../../../engine/io/index.ts";
import { createDevice, type Device, randomKey, scalar, type Tensor } from "../../../engine/index.ts";
import { flattenParameters, initializeParameters, type ParameterSpec } from "../../../nn/index.ts";
import { smallBatch, smallNetwork, smallOptions } from "./smallRun.ts";

const specs = flattenParameters<ParameterSpec>(describeDenoiser(smallNetwork));
const images = smallBatch(0, 5);
const sigmas = validationSigmas(smallOptions.noise, 2);
const lengths = [0.05, 0.12, 0.2];

let device: Device;
let averages: StoredAverages;
let validator: Validator;

before(async () => {
  device = await createDevice("wasm", { wasm: { threads: 1 } });
  const folder = memoryFolder();
  for (const nimg of [1000, 2000, 3000]) {
    for (const sigmaRel of [0.05, 0.1]) {
      const drawn: Readonly<Record<string, Tensor>> = initializeParameters(specs, randomKey(nimg + 100 * sigmaRel));
      // The gain that a network begins with hides everything behind it.
      const named = new Map(Object.entries(drawn)).set("unet.out_gain", scalar(1));
      const info = { network: smallNetwork, nimg, sigmaRel, classNames: null };
      const place = await snapshotPlace(folder, "network-snapshot", nimg, sigmaRel);
      await storeSnapshot(place, info, named, "F32");
    }
  }
  averages = await StoredAverages.open(folder, { device });
  // The last batch is half empty.
  validator = new Validator(smallNetwork, device, 2);
});
after(() => {
  averages.dispose();
  validator.dispose();
  device.dispose();
});

describe("averageErrors", () => {
  it("measures the average of each length, and tells of each as it is there", async () => {
    const told: AverageError[] = [];
    const progress: (readonly [number, number])[] = [];
    const curve = await averageErrors(averages, validator, images, lengths, {
      sigmas,
      nimg: 2000,
      onError: (error) => void told.push(error),
      onProgress: (done, total) => void progress.push([done, total]),
    });
    assert.deepEqual(told, curve);
    for (const [i, sigmaRel] of lengths.entries()) {
      const levels = await validator.measure(await averages.average(sigmaRel, 2000), images, sigmas);
      assert.equal(levels.length, 2);
      const error = ((levels[0]?.error ?? NaN) + (levels[1]?.error ?? NaN)) / 2;
      assert.deepEqual(curve[i], { sigmaRel, levels, error });
    }
    assert.equal(new Set(curve.map(({ error }) => error)).size, lengths.length, "lengths differ");
    // Batches of two of five images, at two noise levels, of three lengths.
    const each = [2, 4, 5, 7, 9, 10];
    assert.deepEqual(
      progress,
      [0, 10, 20].flatMap((before) => each.map((done) => [before + done, 30])),
    );
  });

  it("ends with its signal between two batches, and begins anew", async () => {
    const whole = await averageErrors(averages, validator, images, lengths, { sigmas });
    for (const end of [0, 2, 5, 10, 14, 29]) {
      const stop = new AbortController();
      if (end === 0) stop.abort();
      const told: number[] = [];
      let last = 0;
      const run = averageErrors(averages, validator, images, lengths, {
        sigmas,
        signal: stop.signal,
        onError: ({ sigmaRel }) => void told.push(sigmaRel),
        onProgress: (done) => {
          last = done;
          if (done >= end) stop.abort();
        },
      });
      await assert.rejects(run, { code: "aborted" });
      assert.ok(end === 0 ? last === 0 : last >= end && last < end + 2, `ended after ${last}, wanted ${end}`);
      assert.deepEqual(told, lengths.slice(0, Math.floor(last / 10)));
    }
    assert.deepEqual(await averageErrors(averages, validator, images, lengths, { sigmas }), whole);
  });

  it("has nothing to say of no lengths", async () => {
    assert.deepEqual(await averageErrors(averages, validator, images, [], { sigmas }), []);
  });
});
