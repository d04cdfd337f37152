import { compile, type Compiled, type Device, rootMeanSquare, stack, type Tensor } from "../../engine/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { edm2Loss } from "../network/index.ts";
import { denoiserParameters, drawNoise, type StepOptions, type TrainingBatch } from "./step.ts";

/** Root mean squares of a layer: of its output over a probe batch, and of its stored weights. */
export type LayerMagnitude = { readonly layer: string; readonly activation: number; readonly weight: number };

/**
 * Measures the magnitudes of every layer's immediate output and weights, on a batch with its noise drawn as in training, log-normally. Section
 * 2.1 and Fig. 3.
 */
export class MagnitudeProbe {
  readonly #layers: string[] = [];
  readonly #run: Compiled<[NamedParameters, TrainingBatch], Tensor>;

  constructor(options: StepOptions, device: Device, key: Tensor) {
    // What training draws may change over a run; magnitudes are to be told at the same levels.
    const logNormal = { ...options.noise, kind: "lognormal" } as const;
    this.#run = compile(
      (named: NamedParameters, batch: TrainingBatch) => {
        const magnitudes: Tensor[] = [];
        this.#layers.length = 0;
        const tap = (name: string, output: Tensor): void => {
          const weight = named[`unet.${name}.weight`];
          // Attention's logits and weights have no weights of their own.
          if (weight === undefined) return;
          this.#layers.push(name);
          magnitudes.push(rootMeanSquare(output), rootMeanSquare(weight));
        };
        const { images, sigma, noise, labels } = drawNoise({ ...options, noise: logNormal }, key, batch);
        edm2Loss(options.network, denoiserParameters(named, {}), images, sigma, noise, labels, { tap });
        return stack(magnitudes);
      },
      { device },
    );
  }

  /** @param weights every array of the network. */
  async measure(weights: NamedParameters, batch: TrainingBatch): Promise<LayerMagnitude[]> {
    const values = await (await this.#run(weights, batch)).data("f32");
    return this.#layers.map((layer, i) => ({
      layer,
      activation: values[2 * i] ?? NaN,
      weight: values[2 * i + 1] ?? NaN,
    }));
  }

  /** Frees what it has on the device. */
  dispose(): void {
    this.#run.dispose();
  }
}
