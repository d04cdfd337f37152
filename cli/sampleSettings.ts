/** What is asked of sampling, and the stored networks that it looks for. */
import type {
  ChurnOptions,
  ConsistencyOptions,
  GuidanceInterval,
  GuideWeight,
  ImageSolver,
  ScheduleOptions,
  Shard,
} from "../diffusion/sample/index.ts";
import type { Denoiser, NetworkConfig } from "../diffusion/network/index.ts";
import type { TrainedAs } from "../diffusion/snapshot/index.ts";
import type { SeenLabels } from "../diffusion/data/index.ts";
import type { Device } from "../engine/index.ts";

/** A network on a device. */
export type LoadedNetwork = {
  readonly denoiser: Denoiser;
  /** The same with dropout on, as `DenoiserProgram.withDropout` gives it. */
  withDropout(probability?: number): Denoiser;
  dispose(): void;
};

/** A stored network, of which only what it is has been read. */
export type FoundNetwork = {
  readonly config: NetworkConfig;
  /** Names of the classes, in label order; null = unnamed. */
  readonly classNames: readonly string[] | null;
  /** What it knows, where that isn't simply all classes. */
  readonly seenLabels: SeenLabels | null;
  /** How it was trained, where its file tells. */
  readonly trained: TrainedAs | null;
  /** What tells it from another network, wherever its file lies. @throws EvenkeelError `file` if it can't be read. */
  digest(): Promise<string>;
  /** Reads its weights. @throws EvenkeelError `file` if it can't. */
  load(device: Device): Promise<LoadedNetwork>;
};

/** Looks at a network in a file. @throws EvenkeelError `file` if it can't. */
export type FindNetwork = (file: string) => Promise<FoundNetwork>;

/** Words in place of a guide's file that stand for the main network: without labels, and with dropout on. */
export const [selfGuide, dropoutGuide] = ["self", "dropout"] as const;

/** A guide as it is asked for. */
export type GuideChoice = {
  /** A file, `self` or `dropout`. */
  readonly name: string;
  /** 1 is no guidance. */
  readonly weight: GuideWeight;
};

export type SampleSettings = ScheduleOptions &
  ConsistencyOptions &
  ChurnOptions & {
    readonly net: string;
    /** A file, `self` or `dropout`. */
    readonly gnet?: string | undefined;
    /** Weight of that guide. */
    readonly guidance: GuideWeight;
    /** Guides beside it. */
    readonly guides?: readonly GuideChoice[] | undefined;
    /** Probability of the guide `dropout`; none: the one that the network was trained with. */
    readonly dropout?: number | undefined;
    readonly interval?: GuidanceInterval | undefined;
    readonly outdir?: string | undefined;
    readonly subdirs: boolean;
    readonly grid?: string | undefined;
    /** Where latents go, of a network that makes such. */
    readonly latents?: string | undefined;
    readonly gridColumns?: number | undefined;
    readonly gridScale: number;
    readonly seeds: readonly number[];
    readonly shard?: Shard | undefined;
    /** A list of classes, taken in turn by the seeds of all shards; none: drawn by the seed. */
    readonly classes?: string | undefined;
    /** A file of label vectors, taken likewise. */
    readonly labels?: string | undefined;
    readonly batch: number;
    readonly networkBatch: number;
    readonly solver: ImageSolver;
  };
