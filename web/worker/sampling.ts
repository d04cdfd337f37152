/** Sampling two networks side by side on the same noise, and looking into what was sampled. */
import * as Comlink from "comlink";
import { AttentionProbe } from "../../diffusion/dynamics/index.ts";
import { gridRows, gridScale } from "../../diffusion/run/index.ts";
import {
  encodePng,
  firstChannels,
  guideLabels,
  imageGrid,
  type ImageLabel,
  labelVectors,
  recordTrajectory,
} from "../../diffusion/sample/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { type GuideRequest, KeptSampler } from "./keptSampler.ts";
import { earlierAverage, type LoadedNetwork, loadNetwork } from "./networks.ts";
import { Newest } from "./newest.ts";
import { labelText, shownChannels } from "./shownImages.ts";
import { studyDevice } from "./studyDevice.ts";
import type {
  AttentionRequest,
  LabelChoice,
  LayerAttention,
  NamedBlob,
  NetworkChoice,
  PictureRequest,
  Sampled,
  SampledSide,
  SampleListener,
  SampleRequest,
  SamplingChoice,
} from "./studyMessages.ts";

/** What is kept of a side for later questions. */
type KeptSide = {
  readonly side: SampledSide;
  readonly network: LoadedNetwork;
  /** What the network was asked about in each step, [N, C, H, W]. */
  readonly states: readonly Float32Array[];
  readonly labels: readonly ImageLabel[];
  readonly seed: number;
};

/** What both sides have in common. */
type Asked = {
  readonly choice: SamplingChoice;
  readonly seeds: readonly number[];
  readonly signal: AbortSignal;
  readonly tell: SampleListener;
};

const samplers = [new KeptSampler(), new KeptSampler()] as const;
const newest = new Newest();
const looking = new Newest();
let kept: readonly KeptSide[] = [];
let probe: { readonly config: string; readonly probe: AttentionProbe } | undefined;

/** Samples; null if something else was asked for meanwhile, or it was cancelled. */
export async function sample(request: SampleRequest, tell: SampleListener): Promise<Sampled | null> {
  return newest.run(async (signal) => {
    const { sampling: choice, other } = request;
    const seeds = Array.from({ length: choice.count }, (_, i) => choice.seed + i);
    tell("reading weights", 0, 1);
    const main = await loadNetwork(request.main, signal);
    const second = other === null ? null : await loadNetwork(other, signal);
    if (second !== null) requireAlike(main, second);
    // All that may be refused comes before the first evaluation.
    const firstGuide = await guideOf(main, request.main, choice, signal);
    const secondGuide = second === null || other === null ? null : await guideOf(second, other, choice, signal);
    const asked = { choice, seeds, signal, tell };
    const first = await sampleSide(samplers[0], main, firstGuide, chosenLabels(choice, main), asked);
    const sides = [first];
    if (second !== null) {
      const labels = second.network.unet.labelDim === 0 ? seeds.map(() => null) : first.labels;
      sides.push(await sampleSide(samplers[1], second, secondGuide, labels, asked));
    }
    kept = sides;
    return { seeds, sides: sides.map(({ side }) => side) };
  });
}

export function cancelSampling(): void {
  newest.cancel();
}

/** Labels by place; undefined: drawn by the seed. */
function chosenLabels({ label, count }: SamplingChoice, { network, seenLabels }: LoadedNetwork) {
  const { labelDim } = network.unet;
  const all = (value: (place: number) => ImageLabel): readonly ImageLabel[] =>
    Array.from({ length: count }, (_, place) => value(place));
  const byKind = (choice: LabelChoice): readonly ImageLabel[] | undefined => {
    switch (choice.kind) {
      case "drawn":
        return undefined;
      case "none":
        return all(() => null);
      case "class":
        return all(() => choice.value);
      case "spread": {
        const rows = gridRows(labelDim, seenLabels, count);
        const distinct = Math.min(rows.length, count);
        // Few images show classes from all over the list; many show each several times.
        return all((place) => rows[Math.floor(((place % distinct) * rows.length) / distinct)] ?? null);
      }
    }
  };
  return labelDim === 0 ? all(() => null) : byKind(label);
}

async function sampleSide(
  sampler: KeptSampler,
  network: LoadedNetwork,
  guide: GuideRequest | null,
  labels: readonly ImageLabel[] | undefined,
  { choice: sampling, seeds, signal, tell }: Asked,
): Promise<KeptSide> {
  const begin = performance.now();
  const { steps, solver, sigmaMin, sigmaMax, rho, sChurn, sMin, sMax, sNoise, interval } = sampling;
  const networkBatch = Math.min(8, seeds.length);
  const options = { steps, solver, sigmaMin, sigmaMax, rho, sChurn, sMin, sMax, sNoise, interval, networkBatch };
  const generator = await sampler.of(network, guide, options);
  const states: Float32Array[] = [];
  const size = seeds.length * generator.imageShape.reduce((product, length) => product * length, 1);
  tell(network.title, 0, 1);
  const way = await recordTrajectory(generator, {
    seeds,
    ...(labels === undefined ? { drawFrom: network.seenLabels } : { labelOf: (_, place) => labels[place] ?? null }),
    sigmaData: network.network.sigmaData,
    signal,
    onEvaluation: (done, total) => tell(network.title, done, total),
    onStep: ({ xHat }) => void states.push(xHat.slice(0, size)),
  });
  const channels = shownChannels(network.network.unet.imageChannels);
  const frames = (some: Uint8Array): Uint8Array => {
    const all = new Uint8Array(some.length + way.images.length);
    all.set(some);
    all.set(way.images, some.length);
    const [count = 0, ...image] = way.shape;
    return firstChannels(all, [(steps + 1) * count, ...image], channels);
  };
  const [count = 0, , ...extent] = way.shape;
  const side: SampledSide = {
    title: network.title,
    guide: guide === null ? null : guide.network === "self" ? "itself without labels" : guide.network.title,
    sigmas: [...way.sigmas, 0],
    shape: [count, channels, ...extent],
    noisy: frames(way.noisy),
    denoised: frames(way.denoised),
    labels: way.labels.map((label) => labelText(label, network.classNames)),
    seconds: (performance.now() - begin) / 1000,
    evaluations: generator.evaluations(seeds.length, seeds.length),
  };
  return { side, network, states, labels: way.labels, seed: sampling.seed };
}

async function guideOf(
  main: LoadedNetwork,
  choice: NetworkChoice,
  { guidance }: SamplingChoice,
  signal: AbortSignal,
): Promise<GuideRequest | null> {
  const mainName = { name: main.title, config: main.network };
  switch (guidance.kind) {
    case "off":
      return null;
    case "unlabelled":
      return { network: "self", weight: guidance.weight, labels: guideLabels(mainName, "self") };
    case "earlier": {
      const earlier = await earlierAverage(choice);
      if (earlier === null) {
        throw new EvenkeelError(
          "value",
          `${main.title} has no earlier average to be guided by. Choose an average of a run that has stored some at earlier times, ` +
            "or another kind of guidance.",
        );
      }
      const network = await loadNetwork(earlier, signal);
      return { network, weight: guidance.weight, labels: "same" };
    }
    case "network": {
      const network = await loadNetwork(guidance.network, signal);
      const labels = guideLabels(mainName, { name: network.title, config: network.network });
      return { network, weight: guidance.weight, labels };
    }
  }
}

/** @throws EvenkeelError `value` for networks that can't begin with the same noise and labels. */
function requireAlike(a: LoadedNetwork, b: LoadedNetwork): void {
  const size = ({ network: { unet } }: LoadedNetwork): string =>
    `${unet.imageChannels} channels of ${unet.imageResolution}x${unet.imageResolution}`;
  const [one, other] = [a.network.unet.labelDim, b.network.unet.labelDim];
  if (size(a) === size(b) && (one === other || one === 0 || other === 0)) return;
  const differ = size(a) === size(b) ? `${one} and ${other} classes` : `${size(a)} and ${size(b)}`;
  throw new EvenkeelError(
    "value",
    `${a.title} and ${b.title} have ${differ}: they can't be compared on the same noise and labels. Choose networks for the same data.`,
  );
}

/** Where the network looked in a step of an image; null if another was asked for meanwhile. */
export async function attention({ side, image, step }: AttentionRequest): Promise<readonly LayerAttention[] | null> {
  return looking.run(async () => {
    const { network, states, labels, side: shown } = keptSide(side);
    const place = Math.min(step, states.length - 1);
    const state = states[place];
    const sigma = shown.sigmas[place];
    if (state === undefined || sigma === undefined) throw new EvenkeelError("value", `There is no step ${step}.`);
    const config = JSON.stringify(network.network);
    if (probe?.config !== config) {
      probe?.probe.dispose();
      probe = { config, probe: new AttentionProbe(network.network, await studyDevice()) };
    }
    const size = state.length / labels.length;
    const { labelDim } = network.network.unet;
    const label = labelDim === 0 ? null : labelVectors([labels[image] ?? null], labelDim);
    const x = state.slice(image * size, (image + 1) * size);
    const maps = await probe.probe.read(network.weights, x, sigma, label);
    return Comlink.transfer(
      maps.map((map) => ({ ...map })),
      maps.map(({ weights }) => weights.buffer as ArrayBuffer),
    );
  });
}

/** A picture of what was sampled last, as a PNG file. */
export function samplePicture({ side: place, what, frames }: PictureRequest): NamedBlob {
  const { side, network, seed } = keptSide(place);
  const [count = 0, channels = 0, height = 0, width = 0] = side.shape;
  const size = channels * height * width;
  const all = side[frames];
  const columns = side.sigmas.length;
  const scale = gridScale(height);
  const picture = (pixels: Uint8Array, wide: number) =>
    imageGrid(pixels, [pixels.length / size, channels, height, width], { columns: wide, scale });
  const strip = (): Uint8Array => {
    const byImage = new Uint8Array(all.length);
    for (let image = 0; image < count; image++) {
      for (let step = 0; step < columns; step++) {
        const from = (step * count + image) * size;
        byImage.set(all.subarray(from, from + size), (image * columns + step) * size);
      }
    }
    return byImage;
  };
  const made =
    what === "strip" ? picture(strip(), columns) : picture(all.slice(-count * size), Math.ceil(Math.sqrt(count)));
  const name = `${network.fileName}-seed${seed}-${what === "strip" ? `strip-${frames}` : "images"}.png`;
  return { name, blob: new Blob([encodePng(made) as Uint8Array<ArrayBuffer>], { type: "image/png" }) };
}

function keptSide(side: number): KeptSide {
  const found = kept[side];
  if (found === undefined) throw new EvenkeelError("value", "Nothing was sampled yet. Press Sample first.");
  return found;
}
