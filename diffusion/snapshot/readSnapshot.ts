import { access } from "node:fs/promises";
import { extname } from "node:path";
import { EvenkeelError } from "../../engine/index.ts";
import type { StoredTensor } from "../../engine/io/index.ts";
import { fileSystemError, openSafetensors } from "../../engine/io/node.ts";
import { foreignWeights } from "../interchange/index.ts";
import { networkConfigFromReference, type StoredWeights } from "../network/index.ts";
import { readOfKind } from "./foreignFile.ts";
import { readPickle } from "./readPickle.ts";
import { checkArrays, describedNetwork, parseSnapshotMetadata, type Snapshot, type SnapshotInfo } from "./snapshot.ts";

/** What a stored network is, known before its weights are read. */
export type FoundSnapshot = SnapshotInfo & { readonly readWeights: () => Promise<StoredWeights> };

/**
 * Looks at a network: a snapshot of ours (.safetensors), of which the header is read, or the reference's (.pkl), which is read whole
 * (parsed and never run).
 * @throws EvenkeelError `file` for a file that is neither, or damaged; a file of another program is named as what it is.
 */
export async function findSnapshot(path: string): Promise<FoundSnapshot> {
  switch (extname(path).toLowerCase()) {
    case ".safetensors":
      return readOfKind(path, /^a safetensors/, () => findOwnSnapshot(path));
    case ".pkl": {
      const { weights, ...info } = await readOfKind(path, /^a Python pickle/, () => readReferenceSnapshot(path));
      return { ...info, readWeights: async () => weights };
    }
    default:
      return readOfKind(path, /^$/, async () => {
        await access(path).catch((cause: unknown) => {
          throw fileSystemError(path, "opening", cause);
        });
        throw new EvenkeelError("file", `${path}: expected a network as .safetensors or .pkl.`);
      });
  }
}

/** Reads a network with its weights. @throws EvenkeelError as `findSnapshot`. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  const { readWeights: read, ...info } = await findSnapshot(path);
  return { ...info, weights: await read() };
}

async function findOwnSnapshot(path: string): Promise<FoundSnapshot> {
  await using file = await openSafetensors(path);
  if (!file.metadata.has("evenkeel")) {
    const whose = foreignWeights(file.entries.keys());
    if (whose !== null) {
      throw new EvenkeelError(
        "file",
        `${path}: has no header of evenkeel's: it holds ${whose}, which can't be used here.`,
      );
    }
  }
  const info = parseSnapshotMetadata(file.metadata, path);
  checkArrays(info.network, file.entries, path);
  return { ...info, readWeights: () => readWeights(path) };
}

async function readWeights(path: string): Promise<StoredWeights> {
  await using file = await openSafetensors(path);
  const weights = new Map<string, StoredTensor>();
  for (const name of file.entries.keys()) weights.set(name, await file.tensor(name));
  return weights;
}

async function readReferenceSnapshot(path: string): Promise<Snapshot> {
  const { weights, initKwargs } = await readPickle(path);
  const network = describedNetwork(path, () => networkConfigFromReference(initKwargs));
  checkArrays(network, weights, path);
  return { network, weights, nimg: 0, sigmaRel: null, classNames: null };
}
