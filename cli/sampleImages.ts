import path from "node:path";
import { generateImages, imageGrid, isNoGuidance, takeShard, toPixels } from "../diffusion/sample/index.ts";
import { idleSettings } from "./idleSampleSettings.ts";
import { LatentOutput, makesLatents } from "./latentOutput.ts";
import { tellSamplingMemory } from "./memoryReport.ts";
import { findGuides, loadGuides } from "./sampleGuides.ts";
import {
  dropoutGuide,
  type FindNetwork,
  type FoundNetwork,
  type LoadedNetwork,
  type SampleSettings,
  selfGuide,
} from "./sampleSettings.ts";
import { stopping } from "./stopping.ts";
import { wantedLabels } from "./wantedLabels.ts";
import { WorkProgress } from "./workProgress.ts";
import { writeImage, writePng } from "../diffusion/sample/node.ts";
import { type Device, EvenkeelError, type Shape } from "../engine/index.ts";
import { makeFolder } from "../engine/io/node.ts";

/**
 * Samples images of a stored network into PNG files, one a seed, and into a grid.
 * @throws EvenkeelError `value` for settings that don't fit each other or the networks, `file` for files that can't be read or
 * written.
 */
export async function sampleImages(
  settings: SampleSettings,
  device: Device,
  find: FindNetwork,
  print: (line: string) => void,
): Promise<void> {
  checkSettings(settings);
  // Places among the seeds of all shards: labels are taken by them.
  const everyPlace = settings.seeds.map((_, place) => place);
  const places = settings.shard === undefined ? everyPlace : takeShard(everyPlace, settings.shard);
  const seeds = places.map((place) => settings.seeds[place] ?? 0);
  const found = await find(settings.net);
  const { imageChannels, imageResolution, labelDim } = found.config.unet;
  const isLatent = makesLatents(settings, found.config, print);
  const foundGuides = await findGuides(settings, found, find);
  for (const line of idleSettings(settings)) print(line);
  const labels = await wantedLabels(settings, found, print);
  // All of it is said, and what doesn't fit refused, before weights are read.
  const networks = new Set([found, ...foundGuides.map((guide) => guide.found)]);
  // With dropout on the main network has a program of its own: counted as another network, of which its weights are too much.
  const dropping = foundGuides.some(({ name }) => name === dropoutGuide) ? [found.config] : [];
  const configs = [...[...networks].map(({ config }) => config), ...dropping];
  await tellSamplingMemory(configs, settings.networkBatch, device, print);
  const progress = new WorkProgress();
  progress.at(`reading ${settings.net}`, 0, null);
  const loaded = new Map<FoundNetwork, LoadedNetwork>();
  try {
    const main = await found.load(device);
    loaded.set(found, main);
    const guides = await loadGuides(foundGuides, loaded, settings.dropout, device);
    progress.end();
    const labelOf =
      labels === null ? undefined : (_: number, place: number) => labels[(places[place] ?? 0) % labels.length] ?? null;

    const report = reportBatches(seeds.length, print);
    const latents =
      isLatent && settings.latents !== undefined ? new LatentOutput(settings.latents, found.config) : null;
    progress.at("evaluations of the network", 0, null);
    const pixels: Uint8Array[] = [];
    const { interval, ...rest } = settings;
    const batches = generateImages({
      ...rest,
      seeds,
      ...(interval === undefined ? {} : { interval }),
      ...(labelOf === undefined ? {} : { labelOf }),
      drawFrom: found.seenLabels,
      denoiser: main.denoiser,
      onEvaluation: (done, total) => progress.at("evaluations of the network", done, total),
      imageShape: [imageChannels, imageResolution, imageResolution],
      labelDim,
      guides,
    });
    let whole = 0;
    const tellWhole = (): void => {
      const where =
        settings.latents !== undefined
          ? "the latents were not written"
          : settings.outdir === undefined
            ? "the grid was not written"
            : `in ${settings.outdir}`;
      stopping.left = `${whole} of ${seeds.length} images are whole: ${where}. The same command makes the same images.`;
    };
    tellWhole();
    for await (const { images, shape, seeds: own } of batches) {
      progress.pause();
      report(own.length);
      latents?.add(images, own);
      if (settings.outdir !== undefined) await writeImages(settings.outdir, settings.subdirs, images, shape, own);
      whole += own.length;
      tellWhole();
      if (settings.grid !== undefined) pixels.push(toPixels(images));
    }
    progress.end();
    if (latents !== null) for (const line of await latents.write()) print(line);
    if (settings.outdir !== undefined) print(`${settings.outdir}: ${seeds.length} images`);
    if (settings.grid !== undefined && seeds.length > 0) {
      const shape = [seeds.length, imageChannels, imageResolution, imageResolution];
      await makeFolder(path.dirname(settings.grid));
      await writePng(
        settings.grid,
        imageGrid(joinPixels(pixels), shape, {
          scale: settings.gridScale,
          ...(settings.gridColumns === undefined ? {} : { columns: settings.gridColumns }),
        }),
      );
      print(`${settings.grid}: grid of ${seeds.length} images`);
    }
  } finally {
    progress.end();
    for (const network of loaded.values()) network.dispose();
  }
}

function checkSettings(settings: SampleSettings): void {
  const { outdir, grid, latents, guidance, gnet, seeds, classes, labels } = settings;
  if (outdir === undefined && grid === undefined && latents === undefined) {
    throw new EvenkeelError(
      "value",
      "sample: say where the images go, by --outdir FOLDER, --grid FILE or both (latents of an edm2-img512 network: by --latents FILE).",
    );
  }
  if (grid !== undefined && !/^(\.png)?$/i.test(path.extname(grid))) {
    throw new EvenkeelError(
      "value",
      `sample: --grid ${grid} would be a PNG file by another ending; end its name in .png.`,
    );
  }
  if (!isNoGuidance(guidance) && gnet === undefined) {
    throw new EvenkeelError(
      "value",
      `sample: --guidance ${typeof guidance === "number" ? guidance : "by noise level"} needs a guiding network: --gnet FILE, ` +
        `--gnet ${selfGuide} if the network was trained with label dropout, or --gnet ${dropoutGuide}.`,
    );
  }
  if (classes !== undefined && labels !== undefined) {
    throw new EvenkeelError("value", "sample: --class and --labels both say what to show; give one of them.");
  }
  if (outdir !== undefined && new Set(seeds).size !== seeds.length) {
    const repeated = seeds.find((seed, place) => seeds.indexOf(seed) !== place) ?? 0;
    throw new EvenkeelError(
      "value",
      `sample: seed ${repeated} is there twice, and its images would have one name in ${outdir}. List each seed once, or ` +
        "draw a --grid alone.",
    );
  }
}

/** Prints a line a batch, and the speed. The first batch is slower: programs are compiled in it. */
function reportBatches(total: number, print: (line: string) => void): (count: number) => void {
  const begin = performance.now();
  let done = 0;
  let warm: { readonly time: number; readonly done: number } | null = null;
  return (count) => {
    const now = performance.now();
    done += count;
    const rate = (images: number, since: number): string => `${((1000 * images) / (now - since)).toFixed(2)} img/s`;
    const settled = warm === null ? "" : `, ${rate(done - warm.done, warm.time)} since the first batch`;
    const seconds = ((now - begin) / 1000).toFixed(1);
    print(`${done} of ${total} images, ${seconds} s, ${rate(done, begin)}${settled}`);
    warm ??= { time: now, done };
  };
}

async function writeImages(
  outdir: string,
  subdirs: boolean,
  images: Float32Array,
  shape: Shape,
  seeds: readonly number[],
): Promise<void> {
  const sixDigits = (seed: number): string => String(seed).padStart(6, "0");
  for (const [index, seed] of seeds.entries()) {
    const folder = subdirs ? path.join(outdir, sixDigits(seed - (seed % 1000))) : outdir;
    await makeFolder(folder);
    await writeImage(path.join(folder, `${sixDigits(seed)}.png`), images, shape, index);
  }
}

function joinPixels(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
