import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import { isNestedDeeply } from "../../engine/io/index.ts";
import { networkConfig } from "../network/index.ts";
import type { TrainingOptions } from "../training/index.ts";
import { type ReadingKind, type ReadingNames, readingKinds, namesOf } from "./readings.ts";
import type { BinMeans } from "./sigmaBins.ts";

/** The version of the format that this program writes; it reads no other. */
export const dynamicsVersion = 1;

/** The first line of a dynamics file: what the numbers of all others belong to. */
export type DynamicsHeader = {
  readonly format: "evenkeel-dynamics";
  readonly version: number;
  /** Steps from one sample to the next. */
  readonly every: number;
  /** What is trained, and how. */
  readonly training: TrainingOptions;
  readonly names: ReadingNames;
  /** Noise levels between the bins, rising. */
  readonly sigmaEdges: readonly number[];
};

/** One sample: the step that ends at `nimg`. Numbers that weren't finite are null. */
export type DynamicsSample = {
  readonly nimg: number;
  readonly learningRate: number;
  /** Euclidean norm of all gradients of the step. */
  readonly gradientNorm: number | null;
  /** Elements of gradients that weren't finite, in all steps since the sample before. */
  readonly nonFiniteGradients: number;
  /** Arrays in the order of the header's names. */
  readonly readings: Readonly<Record<ReadingKind, readonly (number | null)[]>>;
  /** Means over all images since the sample before. */
  readonly bins: BinMeans;
};

/** A whole `dynamics.jsonl`. */
export type Dynamics = { readonly header: DynamicsHeader; readonly samples: readonly DynamicsSample[] };

/** Readings that files of this version needn't have. */
const lateKinds: ReadonlySet<ReadingKind> = new Set(["angle", "alignment", "spectralNorm", "stableRank"]);

const value = z.number().nullable();
const names = z.array(z.string());
const header = z.object({
  format: z.literal("evenkeel-dynamics"),
  version: z.number(),
  every: z.number().int().positive(),
  training: z.looseObject({ network: z.looseObject({ unet: z.looseObject({}) }), batch: z.number() }),
  names: z.object({
    activations: names,
    weights: names,
    weightShapes: z.array(z.array(z.number())),
    gains: names,
    attention: names,
  }),
  sigmaEdges: z.array(z.number()),
});
const sample = z.object({
  nimg: z.number().int(),
  learningRate: z.number(),
  gradientNorm: value,
  nonFiniteGradients: z.number(),
  readings: z.partialRecord(z.enum(readingKinds), z.array(value)),
  bins: z.object({
    count: z.array(z.number()),
    loss: z.array(value),
    error: z.array(value),
    rate: z.array(value).optional(),
  }),
});

/** A number as it is stored: five digits, which is more than any plot shows. */
function compact(number: number | null): number | null {
  return number === null || !Number.isFinite(number) ? null : Number(number.toPrecision(5));
}

/** A sample with its numbers as a file stores them. */
export function storedSample({
  learningRate,
  gradientNorm,
  readings,
  bins,
  ...sample
}: DynamicsSample): DynamicsSample {
  const all = (numbers: readonly (number | null)[]): (number | null)[] => numbers.map(compact);
  return {
    nimg: sample.nimg,
    learningRate: Number(learningRate.toPrecision(5)),
    gradientNorm: compact(gradientNorm),
    nonFiniteGradients: sample.nonFiniteGradients,
    readings: Object.fromEntries(readingKinds.map((kind) => [kind, all(readings[kind])])) as Record<
      ReadingKind,
      (number | null)[]
    >,
    bins: {
      count: bins.count,
      loss: all(bins.loss),
      error: all(bins.error),
      ...(bins.rate === undefined ? {} : { rate: all(bins.rate) }),
    },
  };
}

/** A header or a sample as its line, without the line's end. */
export function formatDynamicsLine(line: DynamicsHeader | DynamicsSample): string {
  return JSON.stringify("format" in line ? line : storedSample(line));
}

/**
 * What a dynamics file holds; null if it has no whole line yet. A last line that a crash tore is left out.
 * @param source the file's name, for messages.
 * @throws EvenkeelError `file` for a header that isn't one or is of another version, and for a damaged line, with its number.
 * @example
 * ```ts
 * // The first line says what the numbers of all others belong to; no other is written yet.
 * const names = { activations: ["enc.8x8_conv"], weights: [], weightShapes: [], gains: [], attention: [] };
 * const training = { network: { unet: { imageResolution: 8, imageChannels: 1, labelDim: 0 } }, batch: 16 };
 * const header = { format: "evenkeel-dynamics", version: 1, every: 10, training, names, sigmaEdges: [1] };
 * const dynamics = parseDynamics(`${JSON.stringify(header)}\n`, "dynamics.jsonl");
 * console.log(dynamics?.header.names.activations, dynamics?.samples); // [ 'enc.8x8_conv' ] []
 * ```
 */
export function parseDynamics(text: string, source: string): Dynamics | null {
  const lines = text.split("\n");
  // What follows the last line's end was not written whole.
  const torn = lines.pop() ?? "";
  const [first, ...rest] = lines;
  if (first === undefined) {
    if (torn === "" || '{"format":"evenkeel-dynamics"'.startsWith(torn.slice(0, 29))) return null;
    return fail(source, 1, "is no header of a dynamics file");
  }
  const parsedHeader = header.safeParse(parseJson(first));
  if (!parsedHeader.success) return fail(source, 1, "is no header of a dynamics file");
  const { version } = parsedHeader.data;
  if (version !== dynamicsVersion)
    return fail(source, 1, `is of version ${version}; this program reads ${dynamicsVersion}`);
  // Options were checked when the run began, and the file is that run's own; a network gets what older programs didn't name.
  const stored = parsedHeader.data as unknown as DynamicsHeader;
  const training = { ...stored.training, network: networkConfig(stored.training.network) };
  const parsed: DynamicsHeader = { ...stored, training };
  const samples = rest.map((line, i): DynamicsSample => {
    const result = sample.safeParse(parseJson(line));
    if (!result.success) return fail(source, i + 2, "is no sample");
    const readings = {} as Record<ReadingKind, readonly (number | null)[]>;
    for (const kind of readingKinds) {
      const wanted = namesOf(parsed.names, kind).length;
      // Older programs didn't read all that this one does.
      const read = result.data.readings[kind] ?? (lateKinds.has(kind) ? Array<null>(wanted).fill(null) : []);
      if (read.length !== wanted) {
        return fail(source, i + 2, `has ${read.length} numbers of ${kind}, and the header ${wanted} names`);
      }
      readings[kind] = read;
    }
    return { ...result.data, readings };
  });
  return { header: parsed, samples };
}

function parseJson(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return isNestedDeeply(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

function fail(source: string, line: number, problem: string): never {
  throw new EvenkeelError(
    "file",
    `${source}: line ${line} ${problem}. Mend or remove the file; the run itself does not need it.`,
  );
}
