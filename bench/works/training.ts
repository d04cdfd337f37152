import { writeFileSync } from "node:fs";
import path from "node:path";
import { describeDenoiser } from "../../diffusion/network/index.ts";
import { type StepSchedule, Trainer, type TrainingState, trainingStep } from "../../diffusion/training/index.ts";
import { compileStep, createState, type Device, randomKey, scalar, type Tensor, tensor } from "../../engine/index.ts";
import {
  adamCorrections,
  adamMoments,
  countParameters,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  type ParameterSpec,
} from "../../nn/index.ts";
import { type PreparedWork, timed } from "../contender.ts";
import { interleave, type InterleaveOptions, type Lane } from "../interleave.ts";
import { prepareVariant, torchName, type TorchProcess, torchVariants } from "../peers/torch.ts";
import type { Row } from "../row.ts";
import { batchOf, type Net, quantityOfStep, trainingOptions } from "./networks.ts";

/** A net's training as PyTorch's process understands it. */
export function torchTraining(net: Net): Readonly<Record<string, unknown>> {
  const { network, batch, noise, learningRate, emaSigmaRels } = trainingOptions(net);
  return { kind: "training", network, batch, noise, rate: learningRate.reference, emaSigmaRels };
}

export type OwnTraining = { readonly lane: Lane; readonly dispose: () => void };

/** Our trainer on a device: whole steps as a run makes them, with reports read back. */
export async function ownTraining(net: Net, device: Device, name: string): Promise<OwnTraining> {
  const trainer = await Trainer.create(trainingOptions(net), device);
  const batch = batchOf(net);
  const measure = (times: number): Promise<number> =>
    timed(times, async () => {
      await trainer.step(batch);
    });
  return { lane: { name, measure }, dispose: () => trainer.dispose() };
}

export type StepPeers = {
  readonly device: Device;
  readonly torch: TorchProcess | { readonly missing: string };
};

/** A row for the training step of a net. */
export async function measureStep(
  group: string,
  name: string,
  net: Net,
  { device, torch }: StepPeers,
  options: InterleaveOptions,
): Promise<Row> {
  const ours = await ownTraining(net, device, "evenkeel wasm");
  const row = { group, name, measure: "seconds", quantity: quantityOfStep(net) } as const;
  if ("missing" in torch) {
    const measurements = await interleave([ours.lane], options);
    ours.dispose();
    return { ...row, measurements, absent: [{ contender: torchName, reason: torch.missing }] };
  }
  const theirs: { readonly name: string; readonly work: PreparedWork }[] = [
    { name: torchName, work: await torch.prepare({ work: torchTraining(net) }) },
  ];
  const absent: { contender: string; reason: string }[] = [];
  for (const { variant, name: contender } of group === "network" ? torchVariants : []) {
    const tooLong =
      variant === "compiled" && net.name !== "a" ? { cannot: "not tried: compiling it takes many minutes" } : undefined;
    const work = tooLong ?? (await prepareVariant(torch, variant, { work: torchTraining(net) }));
    if ("cannot" in work) absent.push({ contender, reason: work.cannot });
    else theirs.push({ name: contender, work });
  }
  const lanes = theirs.map(
    ({ name: contender, work }): Lane => ({ name: contender, measure: (times) => work.measure(times) }),
  );
  const measurements = await interleave([ours.lane, ...lanes], options);
  ours.dispose();
  for (const { work } of theirs) await work.dispose();
  return { ...row, measurements, absent };
}

/** Every array of a net, with gains that are not 0, so that all of the network counts from the first step on. */
export async function drawArrays({ network }: Net, device: Device): Promise<NamedParameters> {
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
  const drawn = Object.entries(initializeParameters(specs, randomKey(7)));
  const arrays = drawn.map(([name, array]) => [name, specs[name]?.role === "gain" ? scalar(0.5) : array] as const);
  const state = await createState<NamedParameters>(Object.fromEntries(arrays), device);
  const read = await state.read();
  state.dispose();
  return read;
}

/** Puts arrays where PyTorch's process finds them, and gives what it must be told. */
export async function giveArrays(
  torch: TorchProcess,
  arrays: NamedParameters,
): Promise<{ readonly arrays: readonly { readonly name: string; readonly shape: readonly number[] }[] }> {
  const parts: Buffer[] = [];
  for (const array of Object.values(arrays)) {
    const data = await array.data();
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  writeFileSync(path.join(torch.folder, "arrays"), Buffer.concat(parts));
  return { arrays: Object.entries(arrays).map(([name, { shape }]) => ({ name, shape })) };
}

const checkedSteps = 3;

type StepNumbers = {
  readonly error: readonly number[];
  readonly loss: readonly number[];
  readonly gradientNorm: number;
};

/** Our steps from given arrays, on a batch whose noise is given too. */
async function ownSteps(net: Net, device: Device, arrays: NamedParameters, noisy: NoisyHost): Promise<StepNumbers[]> {
  const options = trainingOptions(net);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(net.network));
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(Object.entries(arrays).filter(([name]) => (specs[name]?.role === "buffer") === isBuffer));
  const weights = of(false);
  const start = { weights, buffers: of(true), moments: adamMoments(weights), averages: [weights, weights] };
  const state = await createState<TrainingState>(start, device);
  const step = compileStep(
    (training: TrainingState, schedule: StepSchedule, images: Tensor, labels: Tensor, sigma: Tensor, noise: Tensor) =>
      trainingStep(options, specs, training, { images, labels, sigma, noise }, schedule),
    { device },
  );
  const { shape, labelShape } = shapesOf(net);
  const numbers: StepNumbers[] = [];
  for (let i = 1; i <= checkedSteps; i++) {
    const { first, second } = adamCorrections(i, options.adam);
    const report = await step(
      state,
      {
        rate: scalar(options.learningRate.reference),
        corrections: { first: scalar(first), second: scalar(second) },
        updateRates: tensor([1 / i, 1 / i]),
      },
      tensor(noisy.images, { shape }),
      tensor(noisy.labels, { shape: labelShape }),
      tensor(noisy.sigma),
      tensor(noisy.noise, { shape }),
    );
    numbers.push({
      error: [...(await report.error.data())],
      loss: [...(await report.loss.data())],
      gradientNorm: await report.gradientNorm.item(),
    });
  }
  step.dispose();
  state.dispose();
  return numbers;
}

type NoisyHost = ReturnType<typeof batchOf> & { readonly sigma: Float32Array; readonly noise: Float32Array };

function shapesOf({ network, batch }: Net): { readonly shape: number[]; readonly labelShape: number[] } {
  const { imageChannels, imageResolution, labelDim } = network.unet;
  return { shape: [batch, imageChannels, imageResolution, imageResolution], labelShape: [batch, labelDim] };
}

/** Relative to the larger one. */
function requireNear(what: string, ours: number, theirs: number, tolerance: number): void {
  const away = Math.abs(ours - theirs) / Math.max(Math.abs(ours), Math.abs(theirs));
  if (!(away <= tolerance)) throw new Error(`${torchName} disagrees on ${what}: ${theirs}, ours is ${ours}`);
}

/**
 * Steps from the same arrays on the same noise must do the same. The first one's numbers come from one pass through the network, of
 * some fifty layers with an error of a few 2^-24 each; Adam's step then follows the sign of gradients near zero too, where both
 * may round to different sides, so that later errors agree to a per cent of their mean.
 */
export async function requireSameSteps(net: Net, device: Device, torch: TorchProcess): Promise<void> {
  const arrays = await drawArrays(net, device);
  const batch = batchOf(net);
  const noisy: NoisyHost = {
    ...batch,
    sigma: Float32Array.from({ length: net.batch }, (_, i) => Math.exp(-0.8 + 1.6 * Math.sin(3 * i))),
    // Of variance 1, and unlike the images.
    noise: batch.images.map((_, i) => Math.SQRT2 * Math.sin(1.7 * i + 0.001 * i * i)),
  };
  const given = await giveArrays(torch, arrays);
  const theirs = await torch.prepare({ work: torchTraining(net), ...given });
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(net.network));
  const count = (await torch.ask({ do: "parameters", id: theirs.id }))["count"];
  if (count !== countParameters(specs)) {
    throw new Error(`${torchName}'s net (${net.name}) has ${String(count)} parameters, ours ${countParameters(specs)}`);
  }
  for (const [name, values] of Object.entries(noisy)) writeFileSync(path.join(torch.folder, name), values);
  const { shape, labelShape } = shapesOf(net);
  const request = { do: "steps", id: theirs.id, folder: torch.folder, shape, labels: labelShape, count: checkedSteps };
  const steps = (await torch.ask(request))["steps"] as StepNumbers[];
  await theirs.dispose();
  const own = await ownSteps(net, device, arrays, noisy);
  const [mine, other] = [own[0] as StepNumbers, steps[0] as StepNumbers];
  const what = `step (${net.name})`;
  mine.error.forEach((error, i) => {
    requireNear(`the error of image ${i} in ${what}`, error, other.error[i] ?? NaN, 1e-4);
    requireNear(`the loss of image ${i} in ${what}`, mine.loss[i] ?? NaN, other.loss[i] ?? NaN, 1e-4);
  });
  requireNear(`the gradient's norm in ${what}`, mine.gradientNorm, other.gradientNorm, 1e-4);
  const meanError = (numbers: StepNumbers | undefined): number =>
    (numbers?.error ?? []).reduce((sum, error) => sum + error, 0) / net.batch;
  requireNear(`the mean error of ${what} ${checkedSteps}`, meanError(own.at(-1)), meanError(steps.at(-1)), 0.01);
}
