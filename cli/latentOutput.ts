/** What becomes of latents: networks of ImageNet-512 make what a VAE decodes, not pictures. */
import { dirname, extname } from "node:path";
import type { NetworkConfig } from "../diffusion/network/index.ts";
import { unwhitenLatents, vaeChannels, vaeName, vaeWhitening } from "../diffusion/encoding/index.ts";
import { encodeNpy } from "../diffusion/data/index.ts";
import { EvenkeelError } from "../engine/index.ts";
import { makeFolder, writeFileAtomically, writeSafetensors } from "../engine/io/node.ts";
import type { SampleSettings } from "./sampleSettings.ts";

const endings = [".npy", ".safetensors"];

/**
 * Whether a network makes latents; says so, and what decodes them.
 * @throws EvenkeelError `value` if the settings say only where pictures go and it makes latents, or the other way round.
 */
export function makesLatents(
  { net, outdir, grid, latents }: SampleSettings,
  { unet: { imageChannels: channels, imageResolution: size } }: NetworkConfig,
  print: (line: string) => void,
): boolean {
  const isPicture = channels === 1 || channels === 3;
  if (isPicture) {
    if (latents === undefined) return false;
    throw new EvenkeelError(
      "value",
      `sample: ${net} makes pictures and no latents; give --outdir or --grid, not --latents.`,
    );
  }
  const what =
    channels === vaeChannels
      ? `latents [${channels}, ${size}, ${size}] of the VAE ${vaeName}, not pictures`
      : `arrays [${channels}, ${size}, ${size}], not pictures`;
  if (latents === undefined || outdir !== undefined || grid !== undefined) {
    const option = outdir !== undefined ? "--outdir" : "--grid";
    throw new EvenkeelError(
      "value",
      `sample: ${net} makes ${what}: ${option} can't show them. Write them by --latents FILE.npy (or .safetensors) alone` +
        `${channels === vaeChannels ? `; ${vaeName} decodes them, e.g. with the Python package diffusers` : ""}.`,
    );
  }
  if (!endings.includes(extname(latents))) {
    throw new EvenkeelError(
      "value",
      `sample: --latents ${latents}: expected a file that ends in ${endings.join(" or ")}.`,
    );
  }
  print(`${net}: makes ${what}`);
  return true;
}

/** Latents that are gathered and written to one file. */
export class LatentOutput {
  readonly #file: string;
  readonly #config: NetworkConfig;
  readonly #images: Float32Array[] = [];
  readonly #seeds: number[] = [];

  constructor(file: string, config: NetworkConfig) {
    this.#file = file;
    this.#config = config;
  }

  /** Images so far. */
  get count(): number {
    return this.#seeds.length;
  }

  /** @param images as the network makes them, whitened. */
  add(images: Float32Array, seeds: readonly number[]): void {
    this.#images.push(images);
    this.#seeds.push(...seeds);
  }

  /** Writes the file whole and gives lines that say what is in it and how to see it. */
  async write(): Promise<string[]> {
    const { imageChannels: channels, imageResolution: size } = this.#config.unet;
    const shape = [this.#seeds.length, channels, size, size];
    const all = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
    let offset = 0;
    for (const images of this.#images) {
      all.set(images, offset);
      offset += images.length;
    }
    const isVae = channels === vaeChannels;
    const latents = isVae ? unwhitenLatents(all, shape, vaeWhitening()) : all;
    await makeFolder(dirname(this.#file));
    if (extname(this.#file) === ".npy") {
      await writeFileAtomically(this.#file, async (sink) => {
        for (const chunk of encodeNpy(latents, shape)) await sink.write(chunk);
      });
    } else {
      const seeds = BigInt64Array.from(this.#seeds, BigInt);
      await writeSafetensors(
        this.#file,
        {
          latents: { dtype: "F32", shape, data: latents },
          seeds: { dtype: "I64", shape: [seeds.length], data: seeds },
        },
        { metadata: { format: "pt", ...(isVae ? { vae: vaeName } : {}) } },
      );
    }
    const written = `${this.#file}: latents [${shape.join(", ")}], float32`;
    if (!isVae) return [`${written}, as the network makes them`];
    return [
      `${written}, as the decoder of ${vaeName} takes them (not whitened, and without its scaling_factor)`,
      `Pictures in 0 to 1, in Python with diffusers: AutoencoderKL.from_pretrained("${vaeName}").decode(latents).sample.clamp(0, 1)`,
    ];
  }
}
