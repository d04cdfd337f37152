import path from "node:path";
import { ImageGenerator, imageGrid, type ImageLabel, isNoGuidance, toPixels } from "../diffusion/sample/index.ts";
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
import { picturePath, SharedImages } from "./sharedImages.ts";
import { stopping } from "./stopping.ts";
import { untrainedNotes } from "./trainedFor.ts";
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
  const { seeds } = settings;
  const found = await find(settings.net);
  const { imageChannels, imageResolution, labelDim } = found.config.unet;
  const isLatent = makesLatents(settings, found.config, print);
  const foundGuides = await findGuides(settings, found, find);
  for (const line of idleSettings(settings)) print(line);
  const guidesItself = foundGuides.some(({ name }) => name === selfGuide);
  for (const line of untrainedNotes({ ...settings, trained: found.trained, guidesItself })) print(line);
  const labels = await wantedLabels(settings, found, print);
  // All of it is said, and what doesn't fit refused, before weights are read.
  const networks = new Set([found, ...foundGuides.map((guide) => guide.found)]);
  // With dropout on the main network has a program of its own: counted as another network, of which its weights are too much.
  const dropping = foundGuides.some(({ name }) => name === dropoutGuide) ? [found.config] : [];
  const configs = [...[...networks].map(({ config }) => config), ...dropping];
  await tellSamplingMemory(configs, settings.networkBatch, device, print);
  const shared = await SharedImages.open(settings, () => Promise.all([...networks].map((each) => each.digest())));
  const progress = new WorkProgress();
  progress.at(`reading ${settings.net}`, 0, null);
  const loaded = new Map<FoundNetwork, LoadedNetwork>();
  let generator: ImageGenerator | undefined;
  try {
    const main = await found.load(device);
    loaded.set(found, main);
    const guides = await loadGuides(foundGuides, loaded, settings.dropout, device);
    progress.end();
    const labelOfPlace =
      labels === null ? undefined : (place: number): ImageLabel => labels[place % labels.length] ?? null;
    const report = reportBatches(shared === null ? seeds.length : await shared.tellMissing(print), print);
    const latents =
      isLatent && settings.latents !== undefined ? new LatentOutput(settings.latents, found.config) : null;
    progress.at("evaluations of the network", 0, null);
    const pixels: Uint8Array[] = [];
    const { interval, ...rest } = settings;
    generator = new ImageGenerator({
      ...rest,
      ...(interval === undefined ? {} : { interval }),
      denoiser: main.denoiser,
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
      const again = shared === null ? "makes the same images" : "goes on";
      stopping.left = `${whole} of ${seeds.length} images are whole: ${where}. The same command ${again}.`;
    };
    tellWhole();
    // Places among the seeds of all shards: labels are taken by them.
    for await (const places of shared === null ? [[...seeds.keys()]] : shared.taken(print)) {
      const batches = generator.generate({
        seeds: places.map((place) => seeds[place] ?? 0),
        batch: settings.batch,
        drawFrom: found.seenLabels,
        ...(labelOfPlace === undefined
          ? {}
          : { labelOf: (_: number, index: number) => labelOfPlace(places[index] ?? 0) }),
        onEvaluation: (done, total) => progress.at("evaluations of the network", done, total),
      });
      for await (const { images, shape, seeds: own, indices } of batches) {
        progress.pause();
        report(own.length);
        const ownPlaces = indices.map((index) => places[index] ?? 0);
        if (shared !== null) await shared.write(images, shape, ownPlaces);
        else {
          latents?.add(images, own);
          if (settings.outdir !== undefined) await writeImages(settings.outdir, settings.subdirs, images, shape, own);
          if (settings.grid !== undefined) pixels.push(toPixels(images));
        }
        whole += own.length;
        tellWhole();
      }
    }
    progress.end();
    if (settings.shard !== undefined) {
      print(`${whole} images made; the same command without --shard makes what is missing and the whole`);
      return;
    }
    if (shared !== null) {
      await shared.requireAll();
      if (latents !== null)
        for await (const images of shared.latents()) latents.add(images, [seeds[latents.count] ?? 0]);
      if (settings.grid !== undefined) for await (const picture of shared.pixels()) pixels.push(picture);
    }
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
    generator?.dispose();
    for (const network of loaded.values()) network.dispose();
  }
}

function checkSettings(settings: SampleSettings): void {
  const { outdir, grid, latents, guidance, gnet, seeds, classes, labels, shard } = settings;
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
  if ((outdir !== undefined || shard !== undefined) && new Set(seeds).size !== seeds.length) {
    const repeated = seeds.find((seed, place) => seeds.indexOf(seed) !== place) ?? 0;
    throw new EvenkeelError(
      "value",
      `sample: seed ${repeated} is there twice, and its images would have one name${outdir === undefined ? "" : ` in ${outdir}`}. List each seed once, or ` +
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
  for (const [index, seed] of seeds.entries()) {
    const file = picturePath(outdir, subdirs, seed);
    await makeFolder(path.dirname(file));
    await writeImage(file, images, shape, index);
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
