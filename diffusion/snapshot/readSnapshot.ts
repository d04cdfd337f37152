import { extname } from "node:path";
import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";
import { openSafetensors } from "../../engine/io/node.ts";
import { parseSnapshotMetadata, type Snapshot } from "./snapshot.ts";

/**
 * Reads a network: a snapshot of ours (.safetensors) or the reference's (.pkl, parsed and never run).
 * @throws EvenkeelError `file` for a file that is neither, or damaged.
 */
export async function readSnapshot(path: string): Promise<Snapshot> {
  switch (extname(path)) {
    case ".safetensors": {
      await using file = await openSafetensors(path);
      const info = parseSnapshotMetadata(file.metadata, path);
      const weights = new Map<string, StoredTensor>();
      for (const name of file.entries.keys()) weights.set(name, await file.tensor(name));
      return { ...info, weights };
    }
    default:
      throw new EvenkeelError("file", `${path}: expected a network as .safetensors or .pkl.`);
  }
}
