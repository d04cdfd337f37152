import { stat } from "node:fs/promises";
import { extname } from "node:path";
/** Says what work will take of memory and what there is, before it begins. */
import { leastTrainingMemory, trainingMemory, type TrainingOptions } from "../diffusion/training/index.ts";
import type { NetworkConfig } from "../diffusion/network/index.ts";
import { presetNetwork, presets } from "../diffusion/presets/index.ts";
import { samplingMemory } from "../diffusion/sample/index.ts";
import { describeBytes, type Device, EvenkeelError, printable } from "../engine/index.ts";

/** What there is beside the device: bytes that this process may still take, by the machine's memory and its container's limit. */
const freeMemory = (): number => process.availableMemory();

/** Room that a step needs at least beside its state. */
const leastOfStep = 2 ** 29;

/**
 * Says what training will take.
 * @throws EvenkeelError `memory` if the device can't hold it, with what it can.
 */
export async function tellTrainingMemory(
  training: TrainingOptions,
  device: Device,
  print: (line: string) => void,
): Promise<void> {
  const { state } = await trainingMemory(training, device.limits);
  const most = await wholeTraining(training, device);
  if (most > device.limits.memory) {
    throw doesNotFit("train", device, most, await whatTrains(training, device));
  }
  // Checkpoints are read to the host before they are written.
  print(`Memory             ${sizes(device, most, state, "while a checkpoint is written")}`);
  warnIfScarce(most + state, print);
}

/** What steps take, and beside them a network to sample from or to validate. */
async function wholeTraining(training: TrainingOptions, { limits }: Device): Promise<number> {
  const steps = await trainingMemory(training, limits);
  const beside = await samplingMemory([training.network], Math.min(24, training.batchDevice), limits);
  return steps.most + beside.most;
}

/**
 * Says what sampling will take.
 * @throws EvenkeelError `memory` if the device can't hold it, with what it can.
 */
export async function tellSamplingMemory(
  networks: readonly NetworkConfig[],
  networkBatch: number,
  device: Device,
  print: (line: string) => void,
): Promise<void> {
  const { most, weights } = await samplingMemory(networks, networkBatch, device.limits);
  if (most > device.limits.memory) {
    throw doesNotFit("sample", device, most, await whatSamples(networks, networkBatch, device));
  }
  // As they are in the file, at most in float32, and once more as the network takes them.
  const reading = networks.length === 0 ? 0 : (2 * weights) / networks.length;
  print(`memory: ${sizes(device, most, reading, "while weights are read")}`);
  warnIfScarce(most + reading, print);
}

/** Pickles below this are read in a moment. */
const largePickle = 2 ** 28;

/** Says what reading a large pickle takes, before it is read whole and anything is known of its network. */
export async function tellPickleMemory(file: string, print: (line: string) => void): Promise<void> {
  if (extname(file).toLowerCase() !== ".pkl") return;
  // That it isn't there is for who reads it to say.
  const { size } = await stat(file).catch(() => ({ size: 0 }));
  if (size < largePickle) return;
  // Its bytes and a copy of its numbers.
  print(
    `memory: reading ${printable(file)}, a pickle of ${describeBytes(size)}, takes up to ${describeBytes(2 * size)}; ` +
      `${describeBytes(freeMemory())} are free on this machine`,
  );
  warnIfScarce(2 * size, print);
}

function sizes({ name, limits }: Device, most: number, beside: number, when: string): string {
  const there = limits.memory === Infinity ? "" : ` of the ${describeBytes(limits.memory)} that ${name} holds`;
  return (
    `up to ${describeBytes(most)}${there}, up to ${describeBytes(beside)} more ${when}; ` +
    `${describeBytes(freeMemory())} are free on this machine`
  );
}

function warnIfScarce(wanted: number, print: (line: string) => void): void {
  const free = freeMemory();
  if (wanted <= free) return;
  print(
    `Warning: that may be ${describeBytes(wanted)}, more than the ${describeBytes(free)} that are free: the system may end this process.`,
  );
}

function doesNotFit(what: string, { name, limits }: Device, most: number, fitting: readonly string[]): EvenkeelError {
  return new EvenkeelError(
    "memory",
    `${what}: this takes ${describeBytes(most)} on ${name}, which holds ${describeBytes(limits.memory)}. What fits: ` +
      `${fitting.join("; or ")}.`,
  );
}

/** Another device holds what the machine has. */
function otherDevice(): string {
  return `--device cpu, whose only limit is the machine's memory (${describeBytes(freeMemory())} are free), but which is many times slower`;
}

async function whatSamples(
  networks: readonly NetworkConfig[],
  networkBatch: number,
  { limits }: Device,
): Promise<readonly string[]> {
  const fits = async (some: readonly NetworkConfig[], batch: number): Promise<boolean> =>
    (await samplingMemory(some, batch, limits)).most <= limits.memory;
  const fitting: string[] = [];
  for (const batch of smallerParts(networkBatch)) {
    if (!(await fits(networks, batch))) continue;
    fitting.push(`--batch-device ${batch}`);
    break;
  }
  const main = networks.slice(0, 1);
  if (fitting.length === 0 && networks.length > 1 && (await fits(main, 1))) {
    fitting.push("no guiding network (--guidance 1), or a smaller one, with --batch-device 1");
  }
  if (fitting.length === 0) fitting.push("a smaller network");
  return [...fitting, otherDevice()];
}

async function whatTrains(training: TrainingOptions, device: Device): Promise<readonly string[]> {
  const { limits } = device;
  for (const batchDevice of smallerParts(training.batchDevice).filter((part) => training.batch % part === 0)) {
    const most = await wholeTraining({ ...training, batchDevice }, device);
    if (most <= limits.memory) return [`--batch-device ${batchDevice}`, otherDevice()];
  }
  const { imageResolution, imageChannels, labelDim } = training.network.unet;
  const averages = training.emaSigmaRels.length;
  const smaller = Object.entries(presets)
    .filter(([, { data }]) => data.imageResolution === imageResolution && data.imageChannels === imageChannels)
    .map(([name, preset]) => {
      const network = presetNetwork("G", preset, { imageResolution, imageChannels, labelDim });
      return { name, bytes: leastTrainingMemory(network, averages, true) + leastOfStep };
    })
    .filter(({ bytes }) => bytes <= limits.memory)
    .sort((a, b) => b.bytes - a.bytes);
  const [preset] = smaller;
  return [
    ...(preset === undefined ? [] : [`--preset ${preset.name} --batch-device 1`]),
    "fewer --channels with --batch-device 1",
    otherDevice(),
  ];
}

/** Smaller numbers of images at once, largest first. */
function smallerParts(images: number): number[] {
  return [...new Set([images / 2, images / 4, images / 8, 1].map(Math.floor))].filter(
    (part) => part >= 1 && part < images,
  );
}

/** What a network takes of a device at one image at once: training in parts, and sampling; and what there is. */
export async function memoryOnDevice(network: NetworkConfig, device: Device): Promise<readonly string[]> {
  const { name, limits } = device;
  const training: TrainingOptions = {
    network,
    noise: { mean: 0, standardDeviation: 1 },
    adam: {},
    lossScaling: 1,
    labelDropout: 0,
    seed: 0,
    batch: 2,
    batchDevice: 1,
    learningRate: { reference: 1, referenceBatches: 0, rampUpMimg: 0 },
    emaSigmaRels: [0.05, 0.1],
  };
  const verdict = (bytes: number): string =>
    `${describeBytes(bytes)}${bytes <= limits.memory ? "" : `: more than the ${describeBytes(limits.memory)} that ${name} holds`}`;
  const sampled = (await samplingMemory([network], 1, limits)).most;
  return [
    `on ${name}       training with --batch-device 1 takes up to ${verdict(await wholeTraining(training, device))}`,
    `              sampling with --batch-device 1 takes up to ${verdict(sampled)}`,
    `this machine  ${describeBytes(freeMemory())} of memory are free`,
  ];
}
