import {
  addNoise,
  drawPoints,
  exactScorer,
  growToyMixture,
  guidedScorer,
  type Mixture,
  type PointScorer,
  RandomState,
  sampleToy,
} from "../../diffusion/toy/index.ts";
import { drawPanels, type Layer, type Panel } from "./panels.ts";
import { pixelCentres, type RampName, rasterAddress, type View } from "./raster.ts";
import type { NamedScorer } from "./scorers.ts";

export type PlotOptions = {
  /** Weight of guidance: 1 is none. */
  readonly guidance: number;
  /** Noise level of the fields. */
  readonly sigma: number;
  /** Points in each panel of samples. */
  readonly samples: number;
  readonly trajectories: number;
  readonly seed: number;
};

/** Pixels along a raster's side, and arrows along a field's. */
const pixels = 240;
const arrowsAlong = 17;
/** Blur of the shown truth: less than any branch's width. */
const truthSigma = 0.004;
/** Nats from the highest log density to the lowest that is drawn, and between the log ratio's deepest colours. */
const depth = 10;
const colours = { truth: "#7a2c0c", free: "#174a7e", guided: "#0a6b4f" } as const;

/** The picture of a model, and of its guidance if there is a guide, as SVG: see `evenkeel toy plot`. */
export async function plotToy(net: NamedScorer, guide: NamedScorer | undefined, options: PlotOptions): Promise<string> {
  const mixture = growToyMixture(net.cls);
  const view = viewOf(mixture);
  const drawing = new Drawing(mixture, view, options);
  const background = await drawing.truth("grey");
  const truePoints = drawPoints(mixture, options.samples, new RandomState(options.seed));
  const field = `at noise level ${options.sigma}`;
  const first: Panel[] = [
    {
      title: "Ground truth",
      note: `exact density of class ${net.cls}, and ${options.samples} points of it`,
      layers: [await drawing.truth("amber"), dots(truePoints, colours.truth)],
    },
    {
      title: "Samples, no guidance",
      note: net.name,
      layers: [background, dots(await drawing.sample(net.scores), colours.free)],
    },
  ];
  const free: Panel = {
    title: "Trajectories, no guidance",
    note: `from noise level 5 to 0, ${options.trajectories} points`,
    layers: [background, ...(await drawing.trajectories(net.scores, colours.free))],
  };
  const density: Panel = {
    title: "Log density of the network",
    note: `${net.name}, ${field}; grey: no data`,
    layers: [await drawing.density(net.scores, "amber")],
  };
  const heading = `Toy data, class ${net.cls}: ${net.name}`;
  if (guide === undefined) return drawPanels(heading, [...first, free, density], view);
  const guided = guidedScorer(net.scores, guide.scores, options.guidance);
  const panels: readonly Panel[] = [
    ...first,
    {
      title: `Samples, guidance ${options.guidance}`,
      note: `pushed away from: ${guide.name}`,
      layers: [background, dots(await drawing.sample(guided), colours.guided)],
    },
    free,
    density,
    {
      title: "Log density of the guide",
      note: `${guide.name}, ${field}; grey: no data`,
      layers: [await drawing.density(guide.scores, "blue")],
    },
    {
      title: "Log ratio, network over guide",
      note: `red: guidance pulls towards; arrows: its direction, ${field}`,
      layers: await drawing.ratio(net.scores, guide.scores),
    },
    {
      title: `Trajectories, guidance ${options.guidance}`,
      note: "from the same noise",
      layers: [background, ...(await drawing.trajectories(guided, colours.guided))],
    },
  ];
  return drawPanels(`${heading}, guided by ${guide.name}`, panels, view);
}

/** A square with all components in it, and some room. */
function viewOf({ means }: Mixture): View {
  const bounds = [0, 1].map((axis) => {
    const values = means.filter((_, i) => i % 2 === axis);
    return { low: Math.min(...values), high: Math.max(...values) };
  });
  const size = 1.16 * Math.max(...bounds.map(({ low, high }) => high - low));
  const [left = 0, bottom = 0] = bounds.map(({ low, high }) => (low + high - size) / 2);
  return { left, bottom, size };
}

function dots(points: Float64Array, colour: string): Layer {
  return { kind: "points", points, colour, radius: 1 };
}

/** The layers of one picture's panels: all of one view. */
class Drawing {
  readonly #mixture: Mixture;
  readonly #view: View;
  readonly #options: PlotOptions;
  readonly #centres: Float64Array;
  #truth: Promise<Float64Array> | undefined;
  #exactField: ReturnType<Drawing["field"]> | undefined;

  constructor(mixture: Mixture, view: View, options: PlotOptions) {
    this.#mixture = mixture;
    this.#view = view;
    this.#options = options;
    this.#centres = pixelCentres(view, pixels);
  }

  async truth(ramp: RampName): Promise<Layer> {
    this.#truth ??= exactScorer(this.#mixture)(this.#centres, truthSigma).then(({ logDensity }) => {
      const highest = highestOf(logDensity);
      // The fourth root: the thinnest branches are still seen.
      return logDensity.map((value) => Math.exp((value - highest) / 4));
    });
    return raster(await this.#truth, ramp);
  }

  async density(scores: PointScorer, ramp: RampName): Promise<Layer> {
    const { logDensity } = await scores(this.#centres, this.#options.sigma);
    const { isNear } = await this.field();
    const seen = logDensity.map((value, i) => (isNear(i) ? value : NaN));
    const highest = highestOf(seen.filter((value) => !Number.isNaN(value)));
    return raster(
      seen.map((value) => 1 + (value - highest) / depth),
      ramp,
    );
  }

  /** Which pixels noisy data come to. Elsewhere a model was never trained, and what it says there means nothing. */
  field(): Promise<{ readonly highest: number; readonly isNear: (pixel: number) => boolean }> {
    this.#exactField ??= exactScorer(this.#mixture)(this.#centres, this.#options.sigma).then(({ logDensity }) => {
      const highest = highestOf(logDensity);
      return { highest, isNear: (pixel) => (logDensity[pixel] ?? NaN) > highest - depth };
    });
    return this.#exactField;
  }

  /** The ratio's logarithm around its mean where the data are, and arrows along its gradient. */
  async ratio(main: PointScorer, guide: PointScorer): Promise<Layer[]> {
    const { sigma } = this.#options;
    const random = new RandomState(this.#options.seed);
    const noisy = addNoise(drawPoints(this.#mixture, 1024, random), () => sigma, random);
    const difference = async (points: Float64Array): Promise<{ log: Float64Array; slope: Float64Array }> => {
      const [a, b] = [await main(points, sigma), await guide(points, sigma)];
      return {
        log: a.logDensity.map((value, i) => value - (b.logDensity[i] ?? NaN)),
        slope: a.score.map((value, i) => value - (b.score[i] ?? NaN)),
      };
    };
    const middle = (await difference(noisy)).log.reduce((sum, value) => sum + value / 1024, 0);
    const { log } = await difference(this.#centres);
    const { highest, isNear } = await this.field();
    const places = pixelCentres(this.#view, arrowsAlong);
    const { logDensity: exact } = await exactScorer(this.#mixture)(places, sigma);
    const from = places.filter((_, i) => (exact[i >> 1] ?? NaN) > highest - depth);
    const { slope } = await difference(from);
    const spacing = this.#view.size / arrowsAlong;
    const lengths = Float64Array.from({ length: from.length / 2 }, (_, i) =>
      Math.hypot(slope[2 * i] ?? 0, slope[2 * i + 1] ?? 0),
    );
    // Lengths saturate, so that the largest, at the edge of the data, don't hide those within.
    const usual = lengths.toSorted()[lengths.length >> 1] ?? 1;
    const to = from.map((value, i) => {
      const length = lengths[i >> 1] ?? 0;
      return value + (spacing * (slope[i] ?? 0)) / (length + usual);
    });
    return [
      raster(
        log.map((value, i) => (isNear(i) ? 0.5 + (value - middle) / depth : NaN)),
        "diverging",
      ),
      { kind: "arrows", from, to, colour: "#333" },
    ];
  }

  sample(scores: PointScorer): Promise<Float64Array> {
    return sampleToy(scores, this.#options.samples, new RandomState(this.#options.seed + 1));
  }

  async trajectories(scores: PointScorer, colour: string): Promise<Layer[]> {
    const states: Float64Array[] = [];
    const random = new RandomState(this.#options.seed + 1);
    const count = this.#options.trajectories;
    const end = await sampleToy(scores, count, random, {
      steps: 64,
      onStep: ({ xCur }) => void states.push(xCur),
    });
    states.push(end);
    const lines = Array.from({ length: count }, (_, i) =>
      Float64Array.from(states.flatMap((state) => [state[2 * i] ?? NaN, state[2 * i + 1] ?? NaN])),
    );
    return [
      { kind: "lines", lines, colour, width: 0.7, opacity: 0.32 },
      { kind: "points", points: end, colour, radius: 2 },
    ];
  }
}

function highestOf(values: Float64Array): number {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}

function raster(values: Float64Array, ramp: RampName): Layer {
  return { kind: "raster", address: rasterAddress(values, ramp) };
}
