/** Networks with their programs, kept for the next request: other weights and seeds cost nothing but their evaluations. */
import { DenoiserProgram } from "../../diffusion/network/index.ts";
import { type GeneratorOptions, type Guide, ImageGenerator } from "../../diffusion/sample/index.ts";
import type { LoadedNetwork } from "./networks.ts";
import { studyDevice } from "./studyDevice.ts";

/** A network's program with the weights that it was last given. */
class KeptProgram {
  #program: DenoiserProgram | undefined;
  #config = "";
  #weights = "";

  async of({ network, weights, key }: LoadedNetwork): Promise<DenoiserProgram> {
    const config = JSON.stringify(network);
    if (this.#program === undefined || config !== this.#config) {
      this.dispose();
      this.#program = await DenoiserProgram.create(network, weights, await studyDevice());
      this.#config = config;
    } else if (key !== this.#weights) await this.#program.replaceWeights(weights);
    this.#weights = key;
    return this.#program;
  }

  dispose(): void {
    this.#program?.dispose();
    this.#program = undefined;
  }
}

/** A guide as a request names it; `self` is the main network without labels. */
export type GuideRequest = {
  readonly network: LoadedNetwork | "self";
  readonly weight: number;
  readonly labels: Guide["labels"];
};

type SamplerOptions = Omit<GeneratorOptions, "denoiser" | "guides" | "imageShape" | "labelDim">;

/** A network, its guide, and what samples them. */
export class KeptSampler {
  readonly #main = new KeptProgram();
  readonly #guide = new KeptProgram();
  #generator: ImageGenerator | undefined;
  /** What the generator was made for. */
  #made: readonly unknown[] = [];

  /** The generator for these networks; the one there is, if only weights are others. */
  async of(main: LoadedNetwork, guide: GuideRequest | null, options: SamplerOptions): Promise<ImageGenerator> {
    const { imageChannels, imageResolution, labelDim } = main.network.unet;
    const denoiser = await this.#main.of(main);
    const guides: Guide[] = [];
    if (guide !== null) {
      const { network, weight, labels } = guide;
      guides.push({ denoiser: network === "self" ? denoiser : await this.#guide.of(network), weight, labels });
    }
    const [one] = guides;
    const wanted = [denoiser, one?.denoiser, one?.weight, one?.labels, JSON.stringify(options, infinityToo)];
    if (this.#generator !== undefined && wanted.every((each, i) => each === this.#made[i])) return this.#generator;
    this.#generator?.dispose();
    const imageShape = [imageChannels, imageResolution, imageResolution];
    this.#generator = new ImageGenerator({ ...options, denoiser, imageShape, labelDim, guides });
    this.#made = wanted;
    return this.#generator;
  }
}

/** JSON knows no infinity. */
function infinityToo(_: string, value: unknown): unknown {
  return value === Infinity ? "infinity" : value;
}
