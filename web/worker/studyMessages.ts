/** What is asked of stored networks, and what is answered: plain data. */
import type { FitDescription } from "../../diffusion/ema/index.ts";
import type { Solver } from "../../diffusion/sample/index.ts";

/** Averages that a run has stored. */
export type AverageFacts = {
  /** Images seen at the times of which there are averages, rising; none yet if it is empty. */
  readonly times: readonly number[];
  /** How many are stored. */
  readonly count: number;
  /** Bytes of memory that they take. */
  readonly bytes: number;
  /** Lengths that are stored, rising. */
  readonly sigmaRels: readonly number[];
  /** Images that the error of averages is measured on, or why there are none. */
  readonly measured: { readonly count: number; readonly areHeldOut: boolean } | { readonly missing: string };
};

/** An average of a run: of which length, and of which time. */
export type AverageRequest = {
  readonly run: string;
  readonly sigmaRel: number;
  /** Images seen; null: the last time of which there are averages. */
  readonly nimg: number | null;
};

/** 8-bit images [N, C, H, W], C 1 or 3. */
export type Images = { readonly pixels: Uint8Array; readonly shape: readonly number[] };

/** What an average makes of noise that is always the same. */
export type DrawnAverage = {
  readonly nimg: number;
  readonly sigmaRel: number;
  readonly images: Images;
  /** What each image was to show. */
  readonly labels: readonly string[];
  readonly steps: number;
  /** Seconds of averaging and of sampling. */
  readonly seconds: number;
};

/** How an average is made of the stored ones. */
export type DescribedAverage = FitDescription & { readonly nimg: number; readonly sigmaRel: number };

export type LengthError = { readonly sigmaRel: number; readonly error: number };

/** How far a task is; `error` with each length that is measured. */
export type MeasureListener = (done: number, total: number, error: LengthError | null) => void;

export type NamedBlob = { readonly name: string; readonly blob: Blob };

/** A network to sample. */
export type NetworkChoice =
  | ({ readonly kind: "average" } & AverageRequest)
  /** The weights that training goes on from, averaged over nothing. */
  | { readonly kind: "raw"; readonly run: string }
  /** One of the files that the worker holds. */
  | { readonly kind: "file"; readonly file: number };

/** What a network is. */
export type NetworkFacts = {
  /** `emoji16-G, sigma_rel 0.1 after 8,000 images`. */
  readonly title: string;
  readonly resolution: number;
  readonly channels: number;
  readonly labelDim: number;
  readonly classNames: readonly string[] | null;
  readonly parameters: number;
  readonly nimg: number;
  /** Images seen at the times of which its run has averages, rising; none unless it is an average. */
  readonly times: readonly number[];
  /** Whether it learned to do without labels; null if nobody knows. */
  readonly dropsLabels: boolean | null;
  /** The earlier average that guides it best; null if there is none. */
  readonly guide: { readonly nimg: number; readonly sigmaRel: number } | null;
};

/** A file that the worker holds. */
export type HeldFile = { readonly file: number; readonly name: string };

/** What images are to show. */
export type LabelChoice =
  | { readonly kind: "spread" }
  | { readonly kind: "drawn" }
  | { readonly kind: "none" }
  | { readonly kind: "class"; readonly value: number };

/** By what sampling is guided. */
export type GuidanceChoice =
  | { readonly kind: "off" }
  /** The run's own earlier average. */
  | { readonly kind: "earlier"; readonly weight: number }
  /** The network itself, without labels. */
  | { readonly kind: "unlabelled"; readonly weight: number }
  | { readonly kind: "network"; readonly network: NetworkChoice; readonly weight: number };

/** How networks are sampled. */
export type SamplingChoice = {
  readonly count: number;
  readonly seed: number;
  readonly label: LabelChoice;
  readonly guidance: GuidanceChoice;
  /** Noise levels (low, high] of guidance. */
  readonly interval: readonly [low: number, high: number];
  readonly solver: Solver;
  readonly steps: number;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  readonly rho: number;
  readonly sChurn: number;
  readonly sMin: number;
  readonly sMax: number;
  readonly sNoise: number;
};

export type SampleRequest = {
  readonly main: NetworkChoice;
  /** Sampled on the same noise and labels. */
  readonly other: NetworkChoice | null;
  readonly sampling: SamplingChoice;
};

/** What one network made. Frames are [steps + 1, N, C, H, W]: those of the steps, and the images behind them. */
export type SampledSide = {
  readonly title: string;
  /** By what it was guided; null if by nothing. */
  readonly guide: string | null;
  /** The noise level of each frame; that of the images is 0. */
  readonly sigmas: readonly number[];
  /** Of one frame: [N, C, H, W], C 1 or 3. */
  readonly shape: readonly number[];
  readonly noisy: Uint8Array;
  readonly denoised: Uint8Array;
  readonly labels: readonly string[];
  readonly seconds: number;
  readonly evaluations: number;
};

export type Sampled = { readonly seeds: readonly number[]; readonly sides: readonly SampledSide[] };

/** What sampling does, and how far it is. */
export type SampleListener = (what: string, done: number, total: number) => void;

export type FrameKind = "noisy" | "denoised";

/** A picture of what was sampled last. */
export type PictureRequest = {
  readonly side: number;
  readonly what: "images" | "strip";
  readonly frames: FrameKind;
};

/** Where a network looks in a step of an image that was sampled last. */
export type AttentionRequest = { readonly side: number; readonly image: number; readonly step: number };

/** The attention of a layer to one image: weights [heads, queries, keys], of which a row adds up to 1. */
export type LayerAttention = {
  readonly layer: string;
  readonly heads: number;
  readonly size: readonly [height: number, width: number];
  readonly weights: Float32Array;
};
