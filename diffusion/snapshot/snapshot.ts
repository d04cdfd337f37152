import { z } from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import type { SeenLabels } from "../data/index.ts";
import { type NetworkConfig, networkConfig } from "../network/config.ts";
import type { StoredWeights } from "../network/denoiserProgram.ts";

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
};

/** A stored network. */
export type Snapshot = SnapshotInfo & { readonly weights: StoredWeights };

/** How weights are stored. F16 is what the reference stores, F32 keeps short post-hoc averages exact. */
export type SnapshotDtype = "F16" | "F32";

const version = 1;

const seenLabelsSchema = z.union([
  z.object({ kind: z.literal("classes"), values: z.array(z.int().min(0)).min(1) }),
  z.object({ kind: z.literal("vectors"), values: z.array(z.array(z.number())).min(1) }),
]);

/** The `__metadata__` of a snapshot file: every value is a text. `format` is what PyTorch's loader asks for. */
export function snapshotMetadata(info: SnapshotInfo): Record<string, string> {
  return { format: "pt", evenkeel: JSON.stringify({ version, kind: "snapshot", ...info }) };
}

/** @throws EvenkeelError `file` if the metadata aren't those of a snapshot, or of a later version. */
export function parseSnapshotMetadata(metadata: ReadonlyMap<string, string>, source: string): SnapshotInfo {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${source} ${problem}. Expected a snapshot that evenkeel wrote.`);
  };
  const text = metadata.get("evenkeel") ?? fail("has no header of evenkeel's");
  let header: Partial<SnapshotInfo> & { readonly version?: unknown; readonly kind?: unknown };
  try {
    header = JSON.parse(text) as typeof header;
  } catch (cause) {
    throw new EvenkeelError("file", `${source}: its header of evenkeel's is not JSON.`, { cause });
  }
  if (header.kind !== "snapshot") fail(`is a ${String(header.kind)}`);
  if (header.version !== version) fail(`has version ${String(header.version)}, and this program reads ${version}`);
  const { network, nimg, sigmaRel, classNames } = header;
  if (network === undefined || typeof nimg !== "number") return fail("lacks its configuration");
  const seenLabels = seenLabelsSchema.nullish().safeParse(header.seenLabels);
  if (!seenLabels.success) return fail("has a header whose seenLabels aren't classes or label vectors");
  return {
    network: networkConfig(network),
    nimg,
    sigmaRel: sigmaRel ?? null,
    classNames: classNames ?? null,
    seenLabels: seenLabels.data ?? null,
  };
}
