import * as z from "zod";
import { EvenkeelError, type Shape } from "../../engine/index.ts";
import { checkParameters, flattenParameters, leastArrays, type ParameterSpec } from "../../nn/index.ts";
import type { SeenLabels } from "../data/index.ts";
import { type HeaderForm, imagesSeen, parseHeader } from "../fileHeader.ts";
import { describeDenoiser, networkConfig, type NetworkConfig, type StoredWeights } from "../network/index.ts";

/** What of its training decides how a network can be sampled. */
export type TrainedAs = {
  /** Probability with which labels were hidden: without it nothing was ever trained to answer without them. */
  readonly labelDropout: number;
  /** Whether it was tuned to be consistent, which samples in few steps. */
  readonly isConsistent: boolean;
};

/** What a stored network is, beside its weights. */
export type SnapshotInfo = {
  readonly network: NetworkConfig;
  /** Images seen. */
  readonly nimg: number;
  /** Length of the average, or null for raw weights. */
  readonly sigmaRel: number | null;
  /** Names of the classes, in label order; null = unnamed. */
  readonly classNames: readonly string[] | null;
  /** What labels the images had that it was trained on; null or absent = all classes, or unknown. */
  readonly seenLabels?: SeenLabels | null;
  /** Null or absent = unknown, as of files of before and of other programs. */
  readonly trained?: TrainedAs | null;
};

/**
 * What a training with these options makes of a network.
 * @example console.log(trainedAs({ labelDropout: 0.1 })); // { labelDropout: 0.1, isConsistent: false }
 */
export function trainedAs({
  labelDropout,
  consistency,
}: {
  readonly labelDropout: number;
  readonly consistency?: object | undefined;
}): TrainedAs {
  return { labelDropout, isConsistent: consistency !== undefined };
}

/** A stored network. */
export type Snapshot = SnapshotInfo & { readonly weights: StoredWeights };

/** How weights are stored. F16 is what the reference stores, F32 keeps short post-hoc averages exact. */
export type SnapshotDtype = "F16" | "F32";

const version = 1;

const seenLabelsSchema: z.ZodType<SeenLabels> = z.union([
  z.object({ kind: z.literal("classes"), values: z.array(z.int().min(0)).min(1) }),
  z.object({ kind: z.literal("vectors"), values: z.array(z.array(z.number())).min(1) }),
]);

const header: HeaderForm<Omit<SnapshotInfo, "network"> & { readonly network: unknown }> = {
  kinds: ["snapshot"],
  version,
  schema: z.looseObject({
    network: z.unknown(),
    nimg: imagesSeen,
    sigmaRel: z.number().positive().nullable().default(null),
    classNames: z.array(z.string()).nullable().default(null),
    seenLabels: seenLabelsSchema.nullable().default(null),
    trained: z
      .object({ labelDropout: z.number().min(0).max(1), isConsistent: z.boolean() })
      .nullable()
      .default(null),
  }),
};

/**
 * The `__metadata__` of a snapshot file: every value is a text. `format` is what PyTorch's loader asks for.
 * @example
 * ```ts
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 0 });
 * const metadata = snapshotMetadata({ network, nimg: 88_000, sigmaRel: 0.1, classNames: null });
 * console.log(Object.keys(metadata)); // [ 'format', 'evenkeel' ]
 * ```
 */
export function snapshotMetadata(info: SnapshotInfo): Record<string, string> {
  return { format: "pt", evenkeel: JSON.stringify({ version, kind: "snapshot", ...info }) };
}

/**
 * What {@link snapshotMetadata} wrote, checked.
 * @throws EvenkeelError `file` if the metadata aren't those of a snapshot, or of a later version.
 * @example
 * ```ts
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 16, imageChannels: 3, labelDim: 0 });
 * const metadata = snapshotMetadata({ network, nimg: 88_000, sigmaRel: 0.1, classNames: null });
 * const { nimg, sigmaRel } = parseSnapshotMetadata(new Map(Object.entries(metadata)), "mine.safetensors");
 * console.log(nimg, sigmaRel); // 88000 0.1
 * ```
 */
export function parseSnapshotMetadata(metadata: ReadonlyMap<string, string>, source: string): SnapshotInfo {
  const { network, ...info } = parseHeader(metadata.get("evenkeel"), header, source);
  const { nimg, sigmaRel, classNames, seenLabels, trained = null } = info;
  const described = describedNetwork(source, () => networkConfig(network as NetworkConfig));
  return {
    network: described,
    nimg,
    sigmaRel,
    classNames,
    seenLabels: seenLabels ?? null,
    ...(trained === null ? {} : { trained }),
  };
}

/**
 * What a file describes. @throws EvenkeelError `file` with the file's name, for what its description makes impossible.
 * @example
 * ```ts
 * import { networkConfigFromReference } from "evenkeel/diffusion/network";
 *
 * try {
 *   describedNetwork("mine.pkl", () => networkConfigFromReference({ img_resolution: 16 }));
 * } catch (error) {
 *   console.log(String(error)); // EvenkeelError: mine.pkl: describes no network that can be: networkConfigFromReference: img_channels is missing.
 * }
 * ```
 */
export function describedNetwork<T>(source: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof EvenkeelError)) throw cause;
    throw new EvenkeelError("file", `${source}: describes no network that can be: ${cause.message}`, { cause });
  }
}

/**
 * Refuses a file whose arrays are not those of the network that it describes, before one of them is read. The network's own description is
 * made only if it can't have more arrays than the file: a header of a thousand bytes can name millions.
 * @throws EvenkeelError `file`, or `shape` that names the array.
 */
export function checkArrays(
  network: NetworkConfig,
  arrays: ReadonlyMap<string, { readonly shape: Shape }>,
  source: string,
): void {
  const least = leastArrays(network.unet);
  if (least > arrays.size) {
    throw new EvenkeelError(
      "file",
      `${source}: describes a network of at least ${least} arrays, and has ${arrays.size}. Is it damaged?`,
    );
  }
  const specs = describedNetwork(source, () => flattenParameters<ParameterSpec>(describeDenoiser(network)));
  checkParameters(specs, arrays, source);
}
