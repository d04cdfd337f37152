import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DynamicsProbe } from "../../../diffusion/dynamics/index.ts";
import { type StepStatistics, Trainer } from "../../../diffusion/training/index.ts";
import { createDevice, type Device, type Tensor } from "../../../engine/index.ts";
import { smallBatch, smallOptions } from "../training/smallRun.ts";

let device: Device;
/** A trainer and its probe, of whole batches and of parts of four: tests share them, as most of their time is compiling. */
let whole: Watch;
let inParts: Watch;
/** The fourth step of the small run: whole. */
let watched: Watched;
before(async () => {
  device = await createDevice("wasm", { wasm: { threads: 1 } });
  whole = await watch(8);
  inParts = await watch(4);
  watched = await watchFourth(whole);
});
after(() => {
  for (const { trainer, probe } of [whole, inParts]) {
    trainer.dispose();
    probe.dispose();
  }
  device.dispose();
});

type State = ReadonlyMap<string, Tensor>;

type Watch = { readonly trainer: Trainer; readonly probe: DynamicsProbe; readonly start: State };

async function watch(batchDevice: number): Promise<Watch> {
  const options = { ...smallOptions, lossScaling: 4, batchDevice };
  const trainer = await Trainer.create(options, device);
  return { trainer, probe: new DynamicsProbe(options, device), start: await trainer.readState() };
}

const step = (trainer: Trainer, probe?: DynamicsProbe): Promise<StepStatistics> =>
  trainer.step(smallBatch(trainer.nimg, trainer.options.batch), probe);

type Watched = {
  readonly before: State;
  readonly after: State;
  readonly statistics: StepStatistics;
  readonly readings: NonNullable<DynamicsProbe["readings"]>;
};

/** The fourth step of a run, seen by a probe. */
async function watchFourth({ trainer, probe, start }: Watch): Promise<Watched> {
  await trainer.writeState(0, start);
  for (let i = 0; i < 3; i++) await step(trainer);
  const state = await trainer.readState();
  const statistics = await step(trainer, probe);
  const { readings } = probe;
  if (readings === null) throw new Error("the probe saw nothing");
  return { before: state, after: await trainer.readState(), statistics, readings };
}

async function bits(state: State): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const [name, tensor] of state) {
    const data = await tensor.data();
    result.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"));
  }
  return result;
}

for (const batchDevice of [8, 4]) {
  test(`a run that is looked at has the bits of one that is not, in parts of ${batchDevice}`, async () => {
    const { trainer, probe, start } = batchDevice === 8 ? whole : inParts;
    const run = async (isSeen: (i: number) => boolean) => {
      await trainer.writeState(0, start);
      const statistics = [];
      for (let i = 0; i < 4; i++) statistics.push(await step(trainer, isSeen(i) ? probe : undefined));
      return { statistics, state: await bits(await trainer.readState()) };
    };
    assert.deepEqual(await run((i) => i % 2 === 0), await run(() => false));
  });
}

const rms = (values: ArrayLike<number>): number =>
  Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0) / values.length);

const unit = (values: ArrayLike<number>): number[] => {
  const length = Math.hypot(...Array.from(values));
  return Array.from(values, (x) => x / length);
};

/** A weight normalized for each output, in float64. */
function directions(values: ArrayLike<number>, outputs: number): Float64Array {
  const each = values.length / outputs;
  const result = new Float64Array(values.length);
  for (let o = 0; o < outputs; o++) {
    const row = Array.from(values).slice(o * each, (o + 1) * each);
    const scale = 1e-4 + rms(row);
    row.forEach((x, i) => (result[o * each + i] = x / scale));
  }
  return result;
}

function near(got: number | null | undefined, wanted: number, relative: number, what: string): void {
  assert.ok(Math.abs((got ?? NaN) - wanted) <= relative * Math.abs(wanted) + 1e-7, `${what}: ${got}, not ${wanted}`);
}

test("updates are what the step did to the direction of each weight; gains and weights are those it began with", async () => {
  const { before: old, after: now, readings } = watched;
  const { names, values } = readings;
  assert.ok(names.weights.length > 30 && names.gains.length > 5);
  for (const [i, layer] of names.weights.entries()) {
    const name = `weights.${layer.startsWith("logvar") ? "" : "unet."}${layer}.weight`;
    const [was, is] = [old.get(name), now.get(name)];
    if (was === undefined || is === undefined) throw new Error(name);
    assert.deepEqual(names.weightShapes[i], [...was.shape]);
    const outputs = was.shape[0] ?? 1;
    const [from, to] = [directions(await was.data(), outputs), directions(await is.data(), outputs)];
    const moved = rms(from.map((x, k) => (to[k] ?? NaN) - x));
    // Differences of numbers near 1 in float32: an absolute error of some 1e-7 in about 1e-2.
    near(values.update[i], moved, 1e-4, `update of ${layer}`);
    assert.ok(moved > 1e-4);
    near(values.weight[i], 1, 2e-4, `magnitude of ${layer}`);
    // The step begins with the weight as forced normalization has it.
    const [start, end] = [unit(from), unit(Array.from(await is.data()))];
    const apart = Math.hypot(...start.map((x, k) => x - (end[k] ?? NaN)));
    near(values.angle[i], 2 * Math.asin(apart / 2), 2e-3, `angle of ${layer}`);
    const away = start.map((x, k) => x - (end[k] ?? NaN));
    assert.ok(Math.abs(values.alignment[i] ?? NaN) <= 1 + 1e-5, `alignment of ${layer}`);
    assert.ok(away.some((x) => x !== 0));
    const rank = values.stableRank[i] ?? NaN;
    const most = Math.min(outputs, was.size / outputs);
    // A lower bound of the norm makes the rank no smaller than it is, and power steps leave some hundredths at most here.
    assert.ok(rank > 1 - 1e-4 && rank < 1.2 * most + 1e-4, `stable rank of ${layer}: ${rank} of ${most}`);
    near(values.weightMax[i], 1, 2e-4, `largest magnitude of ${layer}`);
  }
  for (const [i, layer] of names.gains.entries()) {
    const gain = await old.get(`weights.unet.${layer}`)?.item();
    near(values.gain[i], gain ?? NaN, 1e-6, layer);
  }
});

test("gradients add up to the norm that the step reports", () => {
  const { statistics, readings } = watched;
  const { names, values } = readings;
  const squares = names.weightShapes.map((shape, i) =>
    shape.reduce((n, extent) => n * extent, (values.gradient[i] ?? NaN) ** 2),
  );
  const weights = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
  // The norm has the gains in it too, which are a few numbers among thousands.
  assert.ok(weights <= statistics.gradientNorm * (1 + 1e-4), `${weights} of ${statistics.gradientNorm}`);
  assert.ok(weights > 0.5 * statistics.gradientNorm, `${weights} of ${statistics.gradientNorm}`);
});

test("activations and attention lie where they must", () => {
  const { readings } = watched;
  const { names, values } = readings;
  assert.equal(names.activations[0], "emb_noise");
  assert.equal(names.activations.at(-1), "out_conv");
  for (const [i, name] of names.activations.entries()) {
    const [mean, largest] = [values.activation[i] ?? NaN, values.activationMax[i] ?? NaN];
    assert.ok(mean > 0 && largest >= mean, `${name}: ${mean}, ${largest}`);
  }
  assert.ok(names.attention.length >= 2);
  for (const [i, name] of names.attention.entries()) {
    const [mean, least] = [values.entropy[i] ?? NaN, values.entropyMin[i] ?? NaN];
    assert.ok(least > 0 && least <= mean && mean <= 1 + 1e-5, `${name}: ${least}, ${mean}`);
    // Heads of four channels: cosines times 2.
    assert.ok((values.logit[i] ?? NaN) > 0.5 && (values.logit[i] ?? NaN) <= 2 + 1e-4, `${name}: ${values.logit[i]}`);
  }
});

test("a batch in parts is read like a whole one, but for rounding and the images that activations are of", async () => {
  const parts = await watchFourth(inParts);
  assert.deepEqual(parts.readings.names, watched.readings.names);
  for (const kind of ["weight", "gradient", "update", "gain"] as const) {
    watched.readings.values[kind].forEach((value, i) =>
      near(parts.readings.values[kind][i], value, 2e-3, `${kind} number ${i}`),
    );
  }
});
