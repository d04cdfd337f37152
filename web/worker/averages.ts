/** A run's averages: any length, at once. */
import * as Comlink from "comlink";
import { splitForRun } from "../../diffusion/settings/index.ts";
import { type TrainingDataset, wholeBatch } from "../../diffusion/data/index.ts";
import { formatSigmaRel } from "../../diffusion/ema/index.ts";
import { gridRows } from "../../diffusion/run/index.ts";
import { firstChannels, type ImageLabel, toPixels } from "../../diffusion/sample/index.ts";
import { averageErrors, validationSigmas, Validator } from "../../diffusion/training/index.ts";
import { messageOf } from "../../engine/index.ts";
import { memoryFolder, readWhole } from "../../engine/io/index.ts";
import { openDataset } from "./datasets.ts";
import { KeptSampler } from "./keptSampler.ts";
import { loadNetwork } from "./networks.ts";
import { Newest } from "./newest.ts";
import { hasSettings, runSettings } from "./runSettings.ts";
import { withAverages } from "./storedAverages.ts";
import { studyDevice } from "./studyDevice.ts";
import { labelText, shownChannels } from "./shownImages.ts";
import type {
  AverageFacts,
  AverageRequest,
  DescribedAverage,
  DrawnAverage,
  LengthError,
  MeasureListener,
  NamedBlob,
} from "./studyMessages.ts";

/** Images that an average is shown by, and steps of Heun's rule for them. */
const [shown, steps] = [16, 8];

/** Lengths of which the error is measured. */
const measuredLengths = [0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.14, 0.19, 0.25];

/** Images at most, and noise levels, that the error is measured at. */
const [mostMeasured, measuredLevels] = [128, 6];

const sampler = new KeptSampler();
const drawing = new Newest();
const measuring = new Newest();

export async function averageFacts(run: string): Promise<AverageFacts> {
  // Of a run that is being brought in there are no settings yet.
  if (!(await hasSettings(run)))
    return { times: [], count: 0, bytes: 0, sigmaRels: [], measured: { count: 0, areHeldOut: false } };
  // Averages are made without the images; only their error needs some.
  const measured = await measuredImages(run).then(
    ({ images, areHeldOut }) => ({ count: Math.min(mostMeasured, images.count), areHeldOut }),
    (reason: unknown) => ({ missing: messageOf(reason) }),
  );
  return withAverages(run, async (averages) => ({
    times: averages.times,
    count: averages.profiles.length,
    bytes: averages.bytes,
    sigmaRels: [...new Set(averages.profiles.flatMap((each) => (each.kind === "power" ? [each.sigmaRel] : [])))],
    measured,
  }));
}

export function describeAverage({ run, sigmaRel, nimg }: AverageRequest): Promise<DescribedAverage> {
  return withAverages(run, async (averages) => {
    const time = nimg ?? averages.info.nimg;
    return { ...averages.describeFit(sigmaRel, time, 120), sigmaRel, nimg: time };
  });
}

/** Samples an average on noise that is always the same; null if another was asked for meanwhile. */
export async function drawAverage(request: AverageRequest): Promise<DrawnAverage | null> {
  return drawing.run(async (signal) => {
    const begin = performance.now();
    const network = await loadNetwork({ kind: "average", ...request }, signal);
    const generator = await sampler.of(network, null, { steps, networkBatch: shown });
    const { unet } = network.network;
    const rows = gridRows(unet.labelDim, network.seenLabels, shown);
    const labels = Array.from(
      { length: shown },
      (_, i): ImageLabel => rows[Math.floor((i * rows.length) / shown)] ?? null,
    );
    const seeds = labels.map((_, i) => i);
    for await (const { images, shape } of generator.generate({
      seeds,
      labelOf: (_, place) => labels[place] ?? null,
      signal,
    })) {
      const channels = shownChannels(unet.imageChannels);
      const pixels = toPixels(firstChannels(images, shape, channels));
      const drawn: DrawnAverage = {
        nimg: network.nimg,
        sigmaRel: request.sigmaRel,
        images: { pixels, shape: [shown, channels, ...shape.slice(2)] },
        labels: labels.map((label) => labelText(label, network.classNames)),
        steps,
        seconds: (performance.now() - begin) / 1000,
      };
      return Comlink.transfer(drawn, [pixels.buffer as ArrayBuffer]);
    }
    throw new Error("a generator gave no images");
  });
}

/** The error of averages of all lengths; null if it was cancelled. */
export async function measureAverages(
  run: string,
  nimg: number | null,
  tell: MeasureListener,
): Promise<readonly LengthError[] | null> {
  return measuring.run(async (signal) => {
    const { images } = await measuredImages(run);
    const settings = await runSettings(run);
    const batch = wholeBatch(images, Math.min(mostMeasured, images.count));
    return withAverages(run, async (averages) => {
      const { network } = averages.info;
      const labelled = network.unet.labelDim === 0 ? { ...batch, labels: null } : batch;
      const validator = new Validator(network, await studyDevice(), 16);
      let progress: readonly [number, number] = [0, 1];
      try {
        return await averageErrors(averages, validator, labelled, measuredLengths, {
          sigmas: validationSigmas({ mean: settings.P_mean, standardDeviation: settings.P_std }, measuredLevels),
          ...(nimg === null ? {} : { nimg }),
          onProgress: (done, total) => {
            progress = [done, total];
            tell(done, total, null);
          },
          onError: ({ sigmaRel, error }) => tell(...progress, { sigmaRel, error }),
          signal,
        });
      } finally {
        validator.dispose();
      }
    });
  });
}

export function cancelMeasuring(): void {
  measuring.cancel();
}

/** The average as a file, as the command `evenkeel phema` writes it. */
export function averageFile({ run, sigmaRel, nimg }: AverageRequest): Promise<NamedBlob> {
  return withAverages(run, async (averages) => {
    const time = nimg ?? averages.info.nimg;
    const file = memoryFolder().file("average.safetensors");
    await averages.write(file, sigmaRel, time);
    const kimg = String(Math.floor(time / 1000)).padStart(7, "0");
    return { name: `phema-${kimg}-${formatSigmaRel(sigmaRel)}.safetensors`, blob: new Blob([await readWhole(file)]) };
  });
}

/** What errors are measured on: held-out images, or if there are none those that were trained on. */
async function measuredImages(
  run: string,
): Promise<{ readonly images: TrainingDataset; readonly areHeldOut: boolean }> {
  const settings = await runSettings(run);
  const { training, validation } = splitForRun(await openDataset(settings.data), settings);
  return { images: validation ?? training, areHeldOut: validation !== null };
}
