/** What the page and its workers tell each other: plain data. */
import type { DynamicsHeader, DynamicsSample } from "../../diffusion/dynamics/index.ts";
import type { PlannedSettings } from "../../diffusion/settings/index.ts";

/** Settings that somebody chose, by name; the rest comes from the preset and the lab's defaults. */
export type GivenSettings = Partial<PlannedSettings>;

/** What is chosen and what it makes, or why it can't be. */
export type Plan =
  | { readonly kind: "possible"; readonly settings: PlannedSettings; readonly facts: PlanFacts }
  | { readonly kind: "impossible"; readonly reason: string };

/** What a plan costs. */
export type PlanFacts = {
  readonly parameters: number;
  /** Floating-point operations of training on one image. */
  readonly flopsOfImage: number;
  /** Bytes that training takes on the device, about. */
  readonly bytes: number;
};

/** A device as the page finds it. */
export type DeviceState = {
  readonly name: "wasm" | "webgpu" | "webgl2";
  readonly available: boolean;
  /** What it is, or why it isn't to be had. */
  readonly text: string;
};

/** A data set that the lab has. */
export type DatasetFacts = {
  readonly name: string;
  readonly count: number;
  readonly resolution: number;
  readonly channels: number;
  readonly classNames: readonly string[] | null;
  readonly isBundled: boolean;
};

/** All data sets that can be read, and what is wrong with the others. */
export type Datasets = { readonly datasets: readonly DatasetFacts[]; readonly problems: readonly string[] };

/** Means over a status interval. */
export type StatusPoint = {
  readonly nimg: number;
  readonly error: number | null;
  readonly loss: number | null;
  readonly gradientNorm: number | null;
  readonly learningRate: number | null;
  /** Seconds of training so far, over all sittings. */
  readonly seconds: number;
};

/** A run as its folder tells it. */
export type StoredRun = {
  readonly name: string;
  readonly settings: PlannedSettings;
  /** Images that the newest checkpoint has seen; 0 without one. */
  readonly checkpoint: number;
  readonly points: readonly StatusPoint[];
  readonly dynamics: { readonly header: DynamicsHeader; readonly samples: readonly DynamicsSample[] } | null;
  /** Images seen at each grid of samples. */
  readonly grids: readonly number[];
  /** Bytes of all its files. */
  readonly bytes: number;
};

/** All runs that can be read, and what is wrong with the others. */
export type StoredRuns = {
  readonly runs: readonly StoredRun[];
  readonly problems: readonly { readonly run: string; readonly what: string }[];
};

/** What a run tells while it goes. */
export type RunEvent =
  | { readonly kind: "preparing"; readonly what: string }
  | { readonly kind: "started"; readonly nimg: number; readonly device: string }
  | { readonly kind: "progress"; readonly nimg: number; readonly imagesPerSecond: number | null }
  | { readonly kind: "working"; readonly what: string; readonly done: number; readonly total: number | null }
  | { readonly kind: "status"; readonly point: StatusPoint }
  | { readonly kind: "grid"; readonly nimg: number }
  | { readonly kind: "dynamics"; readonly header: DynamicsHeader; readonly sample: DynamicsSample }
  | { readonly kind: "wrote"; readonly what: "snapshot" | "checkpoint"; readonly file: string }
  | { readonly kind: "paused"; readonly nimg: number }
  | { readonly kind: "resumed" }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "ended"; readonly nimg: number; readonly finished: boolean }
  /** Another tab trains it, or its files are being moved. */
  | { readonly kind: "elsewhere" }
  | { readonly kind: "failed"; readonly message: string };

/** Takes what a run tells. */
export type RunListener = (event: RunEvent) => void;

/** How a run begins. */
export type RunStart = {
  /** Its folder; one that has a checkpoint is gone on from. */
  readonly name: string;
  readonly settings: PlannedSettings;
  /** Whether it waits before its first step. */
  readonly isPaused: boolean;
};
