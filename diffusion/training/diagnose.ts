import { cast, compile, type Device, isFinite, not, reduceSum, stack, type Tensor } from "../../engine/index.ts";
import { type NamedParameters, type ParameterSpec, type NetworkRun } from "../../nn/index.ts";
import type { NoiseEstimate } from "./infoNoise.ts";
import {
  batchLoss,
  denoiserParameters,
  drawNoise,
  normalizeWeights,
  type StepOptions,
  type TrainingBatch,
} from "./step.ts";

/** Where numbers stopped being finite: the first layer in order of computation, and how many of its elements. */
export type NonFiniteLayer = { readonly layer: string; readonly count: number; readonly size: number };

/**
 * Looks for the first layer whose output isn't finite, by running the network on a batch and counting at every layer. Weights
 * that aren't finite themselves are reported first.
 */
export async function findNonFinite(
  options: StepOptions,
  specs: NamedParameters<ParameterSpec>,
  device: Device,
  weights: NamedParameters,
  buffers: NamedParameters,
  key: Tensor,
  batch: TrainingBatch,
  run: NetworkRun = {},
  estimate?: NoiseEstimate,
): Promise<NonFiniteLayer | null> {
  const layers: { layer: string; size: number }[] = [];
  const count = compile(
    (trained: NamedParameters, fixed: NamedParameters, images: TrainingBatch, told: NoiseEstimate | undefined) => {
      const counts: Tensor[] = [];
      layers.length = 0;
      const tap = (layer: string, value: Tensor): void => {
        layers.push({ layer, size: value.size });
        counts.push(reduceSum(cast(not(isFinite(value)), "f32")));
      };
      for (const [name, weight] of Object.entries(trained)) tap(`weight ${name}`, weight);
      const normalized = normalizeWeights(specs, trained);
      const noisy = drawNoise(options, key, images, told);
      tap("images", images.images);
      const network = denoiserParameters(normalized, fixed);
      const { loss } = batchLoss(options.network, network, noisy, { ...run, tap });
      tap("loss", loss);
      return stack(counts);
    },
    { device },
  );
  try {
    const counts = await (await count(weights, buffers, batch, estimate)).data();
    const first = counts.findIndex((value) => value > 0);
    const found = layers[first];
    return found === undefined ? null : { ...found, count: counts[first] ?? 0 };
  } finally {
    count.dispose();
  }
}
