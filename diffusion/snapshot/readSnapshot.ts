import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";
import { openSafetensors } from "../../engine/io/node.ts";
import { readNetworkPickle } from "../interchange/index.ts";
import { networkConfigFromReference } from "../network/config.ts";
import { checkArrays, describedBy, parseSnapshotMetadata, type Snapshot } from "./snapshot.ts";

/**
 * Reads a network: a snapshot of ours (.safetensors) or the reference's (.pkl, parsed and never run).
 * @throws EvenkeelError `file` for a file that is neither, or damaged.
 */
export async function readSnapshot(path: string): Promise<Snapshot> {
  switch (extname(path)) {
    case ".safetensors": {
      await using file = await openSafetensors(path);
      const info = parseSnapshotMetadata(file.metadata, path);
      checkArrays(info.network, file.entries, path);
      const weights = new Map<string, StoredTensor>();
      for (const name of file.entries.keys()) weights.set(name, await file.tensor(name));
      return { ...info, weights };
    }
    case ".pkl":
      return readReferenceSnapshot(path);
    default:
      throw new EvenkeelError("file", `${path}: expected a network as .safetensors or .pkl.`);
  }
}

async function readReferenceSnapshot(path: string): Promise<Snapshot> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new EvenkeelError("file", `can't read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  const { weights, initKwargs } = readNetworkPickle(bytes, path);
  const network = describedBy(path, () => networkConfigFromReference(initKwargs));
  checkArrays(network, weights, path);
  return { network, weights, nimg: 0, sigmaRel: null, classNames: null };
}
