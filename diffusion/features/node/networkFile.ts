import * as z from "zod";
import { describeIssues } from "../../../engine/io/index.ts";
import { EvenkeelError } from "../../../engine/index.ts";
import { openSafetensors, writeSafetensors } from "../../../engine/io/node.ts";
import { featureNetworkSchema, type NetworkArray, type LoadedNetwork } from "../network.ts";

/** Part of every file; another number makes earlier files be converted again. */
const version = 1;

const headerSchema = z.object({
  version: z.literal(version),
  kind: z.literal("feature network"),
  /** Digest of what it was made from. */
  source: z.string(),
  network: featureNetworkSchema,
});

/** Writes a network as safetensors F32 with its steps in the header, whole or not at all. @throws EvenkeelError `file`. */
export async function writeNetwork(path: string, { network, weights }: LoadedNetwork, source: string): Promise<void> {
  const header: z.infer<typeof headerSchema> = { version, kind: "feature network", source, network };
  await writeSafetensors(
    path,
    Array.from(weights, ([name, { shape, data }]) => [name, { dtype: "F32", shape, data }]),
    { metadata: { format: "pt", evenkeel: JSON.stringify(header) } },
  );
}

/** @throws EvenkeelError `file` if it can't be read, is no network or was made from another source. */
export async function readNetwork(path: string, source: string): Promise<LoadedNetwork> {
  await using file = await openSafetensors(path);
  let header: unknown;
  try {
    header = JSON.parse(file.metadata.get("evenkeel") ?? "null");
  } catch (cause) {
    throw new EvenkeelError("file", `${path}: its header of evenkeel's is not JSON.`, { cause });
  }
  const checked = headerSchema.safeParse(header);
  if (!checked.success) {
    throw new EvenkeelError("file", `${path} holds no feature network: ${describeIssues(checked.error)}.`);
  }
  if (checked.data.source !== source) throw new EvenkeelError("file", `${path} was made from another source.`);
  const weights = new Map<string, NetworkArray>();
  for await (const value of file.tensors()) {
    if (value.dtype !== "F32") {
      throw new EvenkeelError("file", `${path}: ${value.name} is ${value.dtype}, expected F32.`);
    }
    weights.set(value.name, { shape: value.shape, data: value.data });
  }
  return { network: checked.data.network, weights };
}
