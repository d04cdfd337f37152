import { EvenkeelError } from "../../engine/index.ts";
import {
  extensionOf,
  type TensorReader,
  type StoredFile,
  type StoredTensor,
  withTensors,
} from "../../engine/io/index.ts";
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
 * @example
 * ```ts
 * import { diskFile } from "evenkeel/engine/io/node";
 *
 * const { network, readWeights } = await findStoredSnapshot(diskFile("network-snapshot-0008388-0.100.pkl"));
 * console.log(network.unet.imageResolution, (await readWeights()).size); // 16 63
 * ```
 */
export async function findStoredSnapshot(file: StoredFile): Promise<FoundSnapshot> {
  switch (extensionOf(file.name).toLowerCase()) {
    case ".safetensors":
      return readOfKind(file, /^a safetensors/, () => findOwnSnapshot(file));
    case ".pkl": {
      const { weights, ...info } = await readOfKind(file, /^a Python pickle/, () => readReferenceSnapshot(file));
      return { ...info, readWeights: async () => weights };
    }
    default:
      return readOfKind(file, /^$/, async () => {
        // Says so if there is no such file.
        await (await file.open()).close();
        throw new EvenkeelError("file", `${file.path}: expected a network as .safetensors or .pkl.`);
      });
  }
}

/**
 * Reads a network with its weights. @throws EvenkeelError as `findStoredSnapshot`.
 * @example
 * ```ts
 * import { diskFile } from "evenkeel/engine/io/node";
 *
 * const { network, weights } = await readStoredSnapshot(diskFile("network-snapshot-0008388-0.100.pkl"));
 * console.log(network.unet.imageResolution, weights.get("unet.out_gain")?.shape); // 16 []
 * ```
 */
export async function readStoredSnapshot(file: StoredFile): Promise<Snapshot> {
  const { readWeights: read, ...info } = await findStoredSnapshot(file);
  return { ...info, weights: await read() };
}

function findOwnSnapshot(stored: StoredFile): Promise<FoundSnapshot> {
  return withTensors(stored, (file) => ({ ...infoOf(file), readWeights: () => readWeights(stored) }));
}

/** What a file's header says. @throws EvenkeelError `file` if it isn't one of ours, or its arrays aren't those of its network. */
function infoOf(file: TensorReader): SnapshotInfo {
  const { path } = file;
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
  return info;
}

function readWeights(stored: StoredFile): Promise<StoredWeights> {
  return withTensors(stored, async (file) => {
    const weights = new Map<string, StoredTensor>();
    for await (const tensor of file.tensors()) weights.set(tensor.name, tensor);
    return weights;
  });
}

async function readReferenceSnapshot(file: StoredFile): Promise<Snapshot> {
  const { path } = file;
  const { weights, initKwargs } = await readPickle(file);
  const network = describedNetwork(path, () => networkConfigFromReference(initKwargs));
  checkArrays(network, weights, path);
  return { network, weights, nimg: 0, sigmaRel: null, classNames: null };
}
