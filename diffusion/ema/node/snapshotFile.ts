import path from "node:path";
import { EvenkeelError } from "../../../engine/index.ts";
import type { StoredTensor } from "../../../engine/io/index.ts";
import { openSafetensors, readSafetensors } from "../../../engine/io/node.ts";
import { readOfKind } from "../../snapshot/node.ts";
import { pickledSnapshot } from "./pickledSnapshot.ts";
import type { AveragingProfile } from "../profile.ts";
import type { SnapshotFile } from "./storedAverage.ts";

/** The snapshot in the safetensors file at `file`, whose profile the caller knows. */
export function safetensorsSnapshot(file: string, profile: AveragingProfile): SnapshotFile {
  return {
    name: file,
    path: file,
    profile,
    open: async () => {
      const content = await readOfKind(file, /^a safetensors/, () => readSafetensors(file));
      return new Map([...content.tensors()].map((tensor): [string, StoredTensor] => [tensor.name, tensor]));
    },
    metadata: () => safetensorsMetadata(file),
  };
}

/** The metadata of a safetensors file; reads no tensors. */
export async function safetensorsMetadata(file: string): Promise<ReadonlyMap<string, string>> {
  await using reader = await readOfKind(file, /^a safetensors/, () => openSafetensors(file));
  return reader.metadata;
}

/** The snapshot in a file, by its extension. @throws EvenkeelError `file` for another extension. */
export function snapshotFile(file: string, profile: AveragingProfile): SnapshotFile {
  switch (path.extname(file)) {
    case ".safetensors":
      return safetensorsSnapshot(file, profile);
    case ".pkl":
      return pickledSnapshot(file, profile);
    default:
      throw new EvenkeelError("file", `${file}: snapshots are .safetensors files or the authors' .pkl files.`);
  }
}
