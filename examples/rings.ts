/**
 * Trains a small network on rings of 8x8 pixels, drawn here, and prints what it draws itself, of either class:
 * `npx tsx examples/rings.ts` (half a minute on two cores).
 */
import { createDataset, type ImageDataset, trainingBatches } from "evenkeel/diffusion/data";
import { DenoiserProgram } from "evenkeel/diffusion/network";
import { generateImages, imageGrid, type Picture, toPixels } from "evenkeel/diffusion/sample";
import { presetNetwork, presetOf, trainingRecipe } from "evenkeel/diffusion/presets";
import { Trainer, type TrainingOptions } from "evenkeel/diffusion/training";
import { createDevice, type Device } from "evenkeel/engine";

const resolution = 8;
const classNames = ["small", "large"];

/** Rings somewhere near the middle, of two sizes. */
function drawRings(count: number): ImageDataset {
  const pixels = new Uint8Array(count * resolution ** 2);
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  for (const [i, label] of labels.entries()) {
    const [x, y] = [3.5 + Math.sin(i), 3.5 + Math.cos(2 * i)];
    for (let p = 0; p < resolution ** 2; p++) {
      const distance = Math.hypot((p % resolution) - x, Math.floor(p / resolution) - y) - (label === 0 ? 1 : 2.5);
      pixels[i * resolution ** 2 + p] = 255 * Math.exp(-2 * distance ** 2);
    }
  }
  return createDataset({ name: "rings", channels: 1, resolution, pixels, labels, classNames });
}

/** Trains, and samples `count` images of each class by the average of the weights: a picture, and the error of every step. */
export async function draw(
  device: Device,
  steps: number,
  count: number,
): Promise<{ readonly picture: Picture; readonly errors: readonly number[] }> {
  const preset = presetOf("smoke");
  const recipe = trainingRecipe("G", preset);
  const network = presetNetwork("G", preset, { imageResolution: resolution, imageChannels: 1, labelDim: 2 });
  const options: TrainingOptions = {
    ...recipe,
    network,
    labelDropout: 0,
    seed: 1,
    batch: 32,
    batchDevice: 32,
    emaSigmaRels: [0.1],
  };

  const trainer = await Trainer.create(options, device);
  const batchAt = trainingBatches(drawRings(1000), options.seed, false);
  const errors: number[] = [];
  for (let i = 0; i < steps; i++) errors.push((await trainer.step(batchAt(trainer.nimg, options.batch))).error);
  const weights = Object.fromEntries(await trainer.readNetwork(0));
  trainer.dispose();

  const denoiser = await DenoiserProgram.create(network, weights, device);
  const sampled = generateImages({
    denoiser,
    imageShape: [1, resolution, resolution],
    labelDim: 2,
    labelOf: (_, place) => Math.floor(place / count),
    seeds: Array.from({ length: 2 * count }, (_, seed) => seed),
    batch: 2 * count,
    steps: 12,
  });
  for await (const { images, shape } of sampled) {
    denoiser.dispose();
    return { picture: imageGrid(toPixels(images), shape, { columns: count, background: 0 }), errors };
  }
  throw new Error("nothing was sampled");
}

/** Grey pixels as characters. */
function inCharacters({ width, height, data }: Picture): string {
  const shade = (pixel: number): string => " .:-=+*#%@".charAt(Math.floor(pixel / 25.6));
  const row = (y: number): string => Array.from(data.subarray(y * width, (y + 1) * width), shade).join("");
  return Array.from({ length: height }, (_, y) => row(y)).join("\n");
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const device = await createDevice("wasm");
  const { picture, errors } = await draw(device, 500, 6);
  console.log(`${inCharacters(picture)}\nerror ${errors.at(0)?.toFixed(3)} to ${errors.at(-1)?.toFixed(3)}`);
  device.dispose();
}
