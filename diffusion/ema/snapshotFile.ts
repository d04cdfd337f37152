import { EvenkeelError } from "../../engine/index.ts";
import { extensionOf, readTensors, type StoredFile, type StoredTensor, withTensors } from "../../engine/io/index.ts";
import { readOfKind } from "../snapshot/index.ts";
import { pickledSnapshot } from "./pickledSnapshot.ts";
import type { AveragingProfile } from "./profile.ts";
import type { SnapshotFile } from "./storedAverage.ts";

/** The snapshot in a safetensors file, whose profile the caller knows. */
function safetensorsSnapshot(file: StoredFile, profile: AveragingProfile): SnapshotFile {
  return {
    name: file.path,
    path: file.path,
    profile,
    open: async () => {
      const content = await readOfKind(file, /^a safetensors/, () => readTensors(file));
      return new Map([...content.tensors()].map((tensor): [string, StoredTensor] => [tensor.name, tensor]));
    },
    metadata: () => safetensorsMetadata(file),
  };
}

/** The metadata of a safetensors file; reads no tensors. */
export function safetensorsMetadata(file: StoredFile): Promise<ReadonlyMap<string, string>> {
  return readOfKind(file, /^a safetensors/, () => withTensors(file, ({ metadata }) => metadata));
}

/** The snapshot in a file, by its extension. @throws EvenkeelError `file` for another extension. */
export function snapshotFile(file: StoredFile, profile: AveragingProfile): SnapshotFile {
  switch (extensionOf(file.name)) {
    case ".safetensors":
      return safetensorsSnapshot(file, profile);
    case ".pkl":
      return pickledSnapshot(file, profile);
    default:
      throw new EvenkeelError("file", `${file.path}: snapshots are .safetensors files or the authors' .pkl files.`);
  }
}
