/** Batches that go through the network in parts. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { accumulateGradient } from "../../../diffusion/training/accumulate.ts";
import {
  type AccumulatingState,
  drawNoise,
  Trainer,
  type TrainingBatch,
  type TrainingOptions,
} from "../../../diffusion/training/index.ts";
import { configurationNetwork, presetOf, trainingRecipe } from "../../../diffusion/presets/index.ts";
import { describeDenoiser } from "../../../diffusion/network/index.ts";
import {
  compileStep,
  createDevice,
  createState,
  type Device,
  disposeDevices,
  getDevice,
  mapTree,
  randomKey,
  randomNormal,
  scalar,
  type Tensor,
  tensor,
  zerosLike,
} from "../../../engine/index.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  adamMoments,
  type ConfigurationName,
  configurationNames,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { smallBatch, smallOptions } from "./smallRun.ts";

/** Eight channels and more: products and convolutions take their fast paths. */
function optionsOf(name: ConfigurationName): TrainingOptions {
  const { lossScaling } = trainingRecipe(name, presetOf("smoke"));
  const network = configurationNetwork(name, {
    imageResolution: 8,
    imageChannels: 3,
    labelDim: 4,
    modelChannels: 8,
    // Two levels for one of each kind of block.
    channelMult: name === "C" || name === "G" ? [1, 2] : [1],
    numBlocks: 1,
    attnResolutions: [8],
    channelsPerHead: 8,
  });
  return { ...smallOptions, network, lossScaling };
}

const splits = [4, 2, 1] as const;

async function bits(arrays: ReadonlyMap<string, Tensor>): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const [name, array] of arrays) {
    const data = await array.data();
    result.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"));
  }
  return result;
}

const step = (trainer: Trainer, probe?: Parameters<Trainer["step"]>[1]): ReturnType<Trainer["step"]> =>
  trainer.step(smallBatch(trainer.nimg, trainer.options.batch), probe);

async function withTrainer<T>(options: TrainingOptions, on: Device, use: (trainer: Trainer) => Promise<T>): Promise<T> {
  const trainer = await Trainer.create(options, on);
  try {
    return await use(trainer);
  } finally {
    trainer.dispose();
  }
}

/** A state with arrays that are all drawn: those that begin at 0 would keep gradients from what is before them. */
function drawn(options: TrainingOptions): {
  readonly state: AccumulatingState;
  readonly specs: NamedParameters<ParameterSpec>;
} {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(options.network));
  const arrays = Object.entries(initializeParameters(specs, randomKey(options.seed))).map(([name, array], i) => {
    const isFixed = specs[name]?.role === "buffer";
    const noise = randomNormal(randomKey(i), array.shape).multiply(0.2);
    return [name, isFixed ? array : array.add(noise)] as const;
  });
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(arrays.filter(([name]) => (specs[name]?.role === "buffer") === isBuffer));
  const weights = of(false);
  const training = { weights, buffers: of(true), moments: adamMoments(weights), averages: [] };
  const no = scalar(0, "bool");
  return { state: { training, gradient: mapTree(weights, zerosLike), mayUpdate: no, isHalted: no }, specs };
}

function partsOf(from: number, count: number, size: number): TrainingBatch[] {
  return Array.from({ length: count / size }, (_, i) => {
    const { images, labels } = smallBatch(from + i * size, size);
    return {
      images: tensor(images, { shape: [size, 3, 8, 8] }),
      labels: labels === null ? null : tensor(labels, { shape: [size, 4] }),
      positions: tensor(Uint32Array.from({ length: size }, (_, k) => from + i * size + k)),
    };
  });
}

/** The gradients of two batches of eight, one after the other over the same state, in parts of `size`. */
async function gradients(name: ConfigurationName, size: number, on: Device): Promise<Float32Array[]> {
  const options = optionsOf(name);
  const { state: start, specs } = drawn(options);
  const key = randomKey(options.seed);
  const accumulate = compileStep(
    (state: AccumulatingState, part: TrainingBatch, isFirst: Tensor) =>
      accumulateGradient(options, specs, options.batch, state, drawNoise(options, key, part), isFirst),
    { device: on },
  );
  const state = await createState(start, on);
  const seen: Float32Array[] = [];
  try {
    for (const from of [0, 8]) {
      for (const [i, part] of partsOf(from, 8, size).entries())
        await accumulate(state, part, tensor([i === 0], { shape: [] }));
      for (const array of Object.values((await state.read()).gradient)) seen.push((await array.data()) as Float32Array);
    }
  } finally {
    state.dispose();
    accumulate.dispose();
  }
  return seen;
}

const normOf = (arrays: readonly Float32Array[]): number =>
  Math.sqrt(arrays.reduce((sum, array) => sum + array.reduce((squares, x) => squares + x * x, 0), 0));

const differenceOf = (some: readonly Float32Array[], others: readonly Float32Array[]): Float32Array[] =>
  some.map((array, i) => array.map((x, k) => x - (others[i]?.[k] ?? NaN)));

describe("batches in parts", () => {
  let wasm: Device;
  before(async () => {
    wasm = await createDevice("wasm", { wasm: { threads: 1 } });
  });
  after(() => wasm.dispose());

  configurationNames.forEach((name, i) => {
    const size = at(splits, i % splits.length);
    it(`configuration ${name}: the gradients of parts of ${size} add up to that of the whole batch`, async () => {
      const [whole, parts] = [await gradients(name, 8, wasm), await gradients(name, size, wasm)];
      // Some fifty sums forth and as many back, each wrong by some 2^-24 of its size: together 6e-6 at most.
      const away = normOf(differenceOf(parts, whole)) / normOf(whole);
      assert.ok(away < 6e-6, `${away} of the gradient`);
    });
  });

  for (const batchDevice of [8, 4]) {
    describe(`of ${batchDevice}`, () => {
      let trainer: Trainer;
      before(async () => {
        // The device that programs share: arrays that aren't computed yet are computed there too when a state is written.
        trainer = await Trainer.create({ ...smallOptions, batchDevice }, await getDevice("wasm"));
      });
      after(async () => {
        trainer.dispose();
        await disposeDevices();
      });

      it("a step that is given up before its update leaves the state as it was", async () => {
        await step(trainer);
        const saved = await trainer.readState();
        const stop = new Error("stop");
        await assert.rejects(step(trainer, { observe: () => Promise.reject(stop) }), stop);
        assert.equal(trainer.nimg, 8);
        assert.deepEqual(await bits(await trainer.readState()), await bits(saved));
        const afterwards = [await step(trainer), await step(trainer), await bits(await trainer.readState())];
        await trainer.writeState(8, saved);
        const resumed = [await step(trainer), await step(trainer), await bits(await trainer.readState())];
        assert.deepEqual(afterwards, resumed);
      });

      it("steps that aren't waited for follow each other", async () => {
        const start = await trainer.readState();
        const trained = async (together: boolean): Promise<unknown> => {
          await trainer.writeState(0, start);
          const asked: Promise<unknown>[] = [];
          for (const nimg of [0, 8, 16]) {
            asked.push(trainer.step(smallBatch(nimg, 8)));
            if (!together) await asked.at(-1);
          }
          return [await Promise.all(asked), trainer.nimg, await bits(await trainer.readState())];
        };
        assert.deepEqual(await trained(true), await trained(false));
      });
    });
  }
});

/**
 * The smallest network with a free logarithm u of the expected error: with a bias, and without normalization of it. Noise is at one
 * level, and much smaller than images of size M, which leave the network with an error of 1.8 M^2 for each pixel.
 */
describe("the guard against losses that aren't finite looks at each image's loss", () => {
  const batch = 64;
  const network = configurationNetwork(
    "B",
    {
      imageResolution: 4,
      imageChannels: 1,
      labelDim: 0,
      modelChannels: 4,
      channelMult: [1],
      numBlocks: 1,
      attnResolutions: [],
      channelsPerHead: 4,
      dropout: 0,
    },
    { logvarChannels: 4 },
  );
  const cases = [
    { what: "a loss is infinite where its error is finite", magnitude: 1, logvar: -200, loss: Infinity, error: 0 },
    { what: "a loss is NaN where its error is finite", magnitude: 1, logvar: Number.NaN, loss: Number.NaN, error: 0 },
    { what: "an error is infinite where its loss is finite", magnitude: 6e18, logvar: 5, loss: 0, error: Infinity },
    { what: "only the sum of losses is infinite", magnitude: 2e18, logvar: 0, loss: 0, error: 0 },
  ];
  for (const batchDevice of [batch, batch / 2]) {
    it(`in parts of ${batchDevice}`, async () => {
      const device = await createDevice("wasm", { wasm: { threads: 1 } });
      const noise = { mean: -0.8, standardDeviation: 1e-6 };
      const options = { ...smallOptions, network, noise, batch, batchDevice, emaSigmaRels: [0.05] };
      await withTrainer(options, device, async (trainer) => {
        const start = await trainer.readState();
        for (const { what, magnitude, logvar, loss, error } of cases) {
          const state = new Map(start).set("weights.logvar_linear.bias", tensor([logvar]));
          await trainer.writeState(0, state);
          const images = Float32Array.from({ length: batch * 16 }, (_, i) => magnitude * (i % 2 === 0 ? 1 : -1));
          const done = trainer.step({ images, labels: null });
          const isGood = Number.isFinite(loss);
          if (isGood) {
            const { losses, errors } = await done;
            assert.ok(losses.every(Number.isFinite), what);
            assert.ok(
              errors.every((each) => Number.isFinite(each) === Number.isFinite(error)),
              what,
            );
          } else await assert.rejects(done, new RegExp(`the loss is ${loss} in step 0`), what);
          const [before, now] = [await bits(state), await bits(await trainer.readState())];
          const changed = [...now].filter(([name, value]) => value !== before.get(name)).map(([name]) => name);
          // Steps whose squares overflow are 0, but their moments move.
          if (isGood) assert.ok(changed.length > 5, `${what}: ${changed.length} arrays changed`);
          else assert.deepEqual(changed, [], what);
        }
      });
      device.dispose();
    });
  }
});
