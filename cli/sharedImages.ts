/** Images that several processes sample into one folder: a file each, made once, whoever makes it. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { decode } from "fast-png";
import { takeShard } from "../diffusion/sample/index.ts";
import { writeImage } from "../diffusion/sample/node.ts";
import { EvenkeelError, type Shape } from "../engine/index.ts";
import { makeFolder, readSafetensors, writeSafetensors } from "../engine/io/node.ts";
import { exists } from "./exists.ts";
import { fileDigest } from "./fileDigest.ts";
import { keepPlan } from "./keepPlan.ts";
import { dropoutGuide, type SampleSettings, selfGuide } from "./sampleSettings.ts";
import { takeUnits } from "./shards/unitLock.ts";

/** What decides the images of a folder; says who began it. */
const planName = "sampling.json";

const sixDigits = (seed: number): string => String(seed).padStart(6, "0");

/** Where the picture of a seed lies. */
export function picturePath(outdir: string, subdirs: boolean, seed: number): string {
  return path.join(outdir, ...(subdirs ? [sixDigits(seed - (seed % 1000))] : []), `${sixDigits(seed)}.png`);
}

/** The folder in which processes share images: that of the pictures, or one beside the file of latents. */
function sharedFolder({ outdir, latents }: SampleSettings): string | undefined {
  return latents === undefined ? outdir : `${latents}.parts`;
}

/**
 * The images of all seeds as single files. A unit of work is as many as go through the network at once, in the order of the seeds,
 * whatever the number of shards.
 */
export class SharedImages {
  readonly #settings: SampleSettings;
  readonly #folder: string;

  private constructor(settings: SampleSettings, folder: string) {
    this.#settings = settings;
    this.#folder = folder;
  }

  /**
   * Images that are shared, because this process makes a shard of them or others did; null if they aren't.
   * @param digests of the networks: what else decides the images is in the settings
   * @throws EvenkeelError `value` if there is no folder for single images, or it holds images of other settings
   */
  static async open(settings: SampleSettings, digests: () => Promise<readonly string[]>): Promise<SharedImages | null> {
    const folder = sharedFolder(settings);
    const isShared =
      settings.shard !== undefined || (folder !== undefined && (await exists(path.join(folder, planName))));
    if (!isShared) return null;
    if (folder === undefined) {
      throw new EvenkeelError(
        "value",
        "sample: --shard makes single images, of which the last call makes the grid: say by --outdir where they go.",
      );
    }
    await makeFolder(folder);
    await keepPlan("sample", path.join(folder, planName), await planOf(settings, await digests()));
    return new SharedImages(settings, folder);
  }

  /**
   * Places among all seeds, a batch at a time, of images that are missing: those of the shard, or all. They are this process's until the
   * next batch is asked for. What another process is at is left to it.
   */
  async *taken(print: (line: string) => void): AsyncGenerator<readonly number[], void, undefined> {
    const { networkBatch, batch } = this.#settings;
    const own = this.#ownUnits();
    const atOnce = Math.max(1, Math.floor(batch / networkBatch));
    for (let begin = 0; begin < own.length; begin += atOnce) {
      const group = own.slice(begin, begin + atOnce);
      const missing: (readonly number[])[] = [];
      for (const unit of group) if ((await this.#missingOf(unit)).length > 0) missing.push(unit);
      const taken = await takeUnits(
        missing.map((unit) => this.#pathOf(unit[0] ?? 0)),
        print,
      );
      try {
        // Another process may have finished them just now.
        const places: number[] = [];
        for (const index of taken.indices) places.push(...(await this.#missingOf(missing[index] ?? [])));
        if (places.length > 0) yield places;
      } finally {
        taken.release();
      }
    }
  }

  /** Says how much of this process's share is there already. @returns how many images are missing of it */
  async tellMissing(print: (line: string) => void): Promise<number> {
    const { seeds, networkBatch, shard } = this.#settings;
    const units = Math.ceil(seeds.length / networkBatch);
    if (shard !== undefined && units < shard.count) {
      const idle = `${shard.count - units} of ${shard.count} shards have nothing to do`;
      print(`${units} times ${networkBatch} images are shared out: ${idle}`);
    }
    const own = this.#ownUnits().flat();
    const missing = (await this.#missingOf(own)).length;
    if (missing < own.length) print(`${own.length - missing} of ${own.length} images are there already`);
    return missing;
  }

  #ownUnits(): readonly (readonly number[])[] {
    const { seeds, networkBatch, shard } = this.#settings;
    const units = unitsOf(seeds.length, networkBatch);
    return shard === undefined ? units : takeShard(units, shard);
  }

  async #missingOf(places: readonly number[]): Promise<number[]> {
    const missing: number[] = [];
    for (const place of places) if (!(await exists(this.#pathOf(place)))) missing.push(place);
    return missing;
  }

  #pathOf(place: number): string {
    const { seeds, subdirs, latents } = this.#settings;
    const seed = seeds[place] ?? 0;
    if (latents === undefined) return picturePath(this.#folder, subdirs, seed);
    return path.join(this.#folder, `${sixDigits(seed)}.safetensors`);
  }

  /** @param images [N, C, H, W] of these places */
  async write(images: Float32Array, shape: Shape, places: readonly number[]): Promise<void> {
    const size = images.length / places.length;
    for (const [index, place] of places.entries()) {
      const file = this.#pathOf(place);
      await makeFolder(path.dirname(file));
      if (this.#settings.latents === undefined) await writeImage(file, images, shape, index);
      else {
        const data = images.slice(index * size, (index + 1) * size);
        await writeSafetensors(file, { latents: { dtype: "F32", shape: shape.slice(1), data } });
      }
    }
  }

  /** @throws EvenkeelError `file` that names images which other processes are at. */
  async requireAll(): Promise<void> {
    const missing = await this.#missingOf(this.#settings.seeds.map((_, place) => place));
    const [first] = missing;
    if (first === undefined) return;
    throw new EvenkeelError(
      "file",
      `sample: other processes are at ${missing.length} of the images (${this.#pathOf(first)}, ...). Give the same command again when they have ended.`,
    );
  }

  /** Pixels of each picture, [C, H, W]. */
  async *pixels(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const place of this.#settings.seeds.keys()) {
      const { data, channels } = decode(await readFile(this.#pathOf(place)));
      const count = data.length / channels;
      yield Uint8Array.from(
        { length: data.length },
        (_, i) => data[(i % count) * channels + Math.floor(i / count)] ?? 0,
      );
    }
  }

  /** Latents of each seed, [C, H, W]. */
  async *latents(): AsyncGenerator<Float32Array, void, undefined> {
    for (const place of this.#settings.seeds.keys()) {
      const file = this.#pathOf(place);
      const { dtype, data } = (await readSafetensors(file)).tensor("latents");
      if (dtype !== "F32") throw new EvenkeelError("file", `${file} is damaged. Remove it, and it is made anew.`);
      yield data;
    }
  }
}

function unitsOf(count: number, size: number): readonly (readonly number[])[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, unit) =>
    Array.from({ length: Math.min(size, count - unit * size) }, (_, i) => unit * size + i),
  );
}

/** Everything that decides an image but the weights, which stand in it by their digests. */
async function planOf(settings: SampleSettings, networks: readonly string[]): Promise<Record<string, unknown>> {
  const { seeds, guidance, interval, classes, labels, networkBatch, solver, steps, subdirs } = settings;
  const { sigmaMin, sigmaMax, rho, sChurn, sMin, sMax, sNoise, renoise, dropout, gnet, guides = [] } = settings;
  // Files are told apart by their contents, among the networks.
  const kindOf = (name: string): string => (name === selfGuide || name === dropoutGuide ? name : "file");
  return {
    networks,
    seeds: seedRanges(seeds),
    ...{
      guidance,
      interval: interval ?? null,
      classes: classes ?? null,
      labels: labels === undefined ? null : await fileDigest(labels),
    },
    ...{ batchDevice: networkBatch, solver, steps, subdirs },
    ...{ sigmaMin, sigmaMax, rho, sChurn, sMin, sMax, sNoise, renoise, dropout },
    gnet: gnet === undefined ? null : kindOf(gnet),
    guides: guides.map(({ name, weight }) => ({ guide: kindOf(name), weight })),
  };
}

/** `0-99,200`: the opposite of `parseSeeds`. */
function seedRanges(seeds: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const seed of seeds) {
    const range = ranges.at(-1);
    if (range !== undefined && seed === range[1] + 1) range[1] = seed;
    else ranges.push([seed, seed]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}
