import { eventLoopTurn } from "../../engine/index.ts";
import type { ImageDataset } from "./dataset.ts";

/** Facts of a data set, in the units that networks see: -1 to 1. */
export type DatasetStatistics = {
  /** Of each channel. */
  readonly channelMean: readonly number[];
  readonly channelStd: readonly number[];
  /** Of all pixels: what sigma_data stands for. */
  readonly mean: number;
  readonly std: number;
};

/**
 * Means and standard deviations over all pixels.
 * @param onImages told how many were counted.
 * @example
 * ```ts
 * const pixels = Uint8Array.of(0, 0, 255, 255);
 * const dataset = createDataset({ name: "one", channels: 1, resolution: 2, pixels, labels: null, classNames: null });
 * const { mean, std } = await datasetStatistics(dataset);
 * console.log(mean, std); // 0 1
 * ```
 */
export async function datasetStatistics(
  dataset: ImageDataset,
  onImages?: (done: number, total: number) => void,
): Promise<DatasetStatistics> {
  const { count, channels, resolution, pixels } = dataset;
  const area = resolution ** 2;
  // 256 counts a channel are exact, and say everything.
  const histograms = Array.from({ length: channels }, () => new Float64Array(256));
  for (let image = 0; image < count; image++) {
    histograms.forEach((histogram, channel) => {
      const from = (image * channels + channel) * area;
      for (const value of pixels.subarray(from, from + area)) histogram[value] = (histogram[value] ?? 0) + 1;
    });
    onImages?.(image + 1, count);
    await eventLoopTurn();
  }
  const moments = histograms.map((histogram) => {
    let [sum, squares] = [0, 0];
    histogram.forEach((n, value) => {
      const x = value / 127.5 - 1;
      sum += n * x;
      squares += n * x * x;
    });
    return { mean: sum / (count * area), square: squares / (count * area) };
  });
  const average = (of: (moment: (typeof moments)[number]) => number): number =>
    moments.reduce((sum, moment) => sum + of(moment), 0) / moments.length;
  const mean = average((moment) => moment.mean);
  return {
    channelMean: moments.map((moment) => moment.mean),
    channelStd: moments.map((moment) => Math.sqrt(moment.square - moment.mean ** 2)),
    mean,
    std: Math.sqrt(average((moment) => moment.square) - mean ** 2),
  };
}
