import {
  type Fail,
  PickleForeign,
  PickleGlobal,
  PickleList,
  PickleReader,
  PickleTuple,
  type PickleValue,
  type PickleWorld,
  readPickle,
} from "./pickle/index.ts";
import { dtypeOfStorageClass, elementBytes, TorchStorage } from "./torchTensor.ts";

/** What files of PyTorch's older format begin with. */
const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/** A storage that is announced, and whose elements come after the pickles. */
type Announced = { readonly dtype: TorchStorage["dtype"]; readonly length: number; readonly foreign: PickleForeign };

/**
 * A storage as `torch.save` wrote it in its older format, which is what pickled tensors hold: a magic number, a version, facts of
 * the machine, the storage's announcement, its key, and the elements.
 */
export function parseTorchStorage(bytes: Uint8Array, source: string): TorchStorage {
  const reader = new PickleReader(bytes, source);
  const fail: Fail = (problem) => reader.fail(problem);
  const plain: PickleWorld = { functions: new Map(), classes: new Set(), names: () => false };
  if (readPickle(reader, plain) !== magicNumber) fail("a tensor's data don't begin as PyTorch's do");
  if (readPickle(reader, plain) !== protocolVersion) fail("a tensor's data are of an unknown version");
  readPickle(reader, plain);
  let announced: Announced | undefined;
  let key: string | undefined;
  const root = readPickle(reader, {
    ...plain,
    names: (name) => dtypeOfStorageClass(name) !== undefined,
    persistent: (id) => {
      const announcement = parseAnnouncement(id, fail);
      announced = announcement;
      key = announcement.key;
      return announcement.foreign;
    },
  });
  if (announced === undefined || root !== announced.foreign) return fail("a tensor's data are no storage");
  const keys = readPickle(reader, plain);
  if (!(keys instanceof PickleList) || keys.items.length !== 1 || keys.items[0] !== key)
    fail("a storage's key is missing");
  const length = reader.length64();
  if (length !== announced.length) fail(`a storage has ${length} elements where ${announced.length} were announced`);
  const data = reader.take(length * elementBytes[announced.dtype]);
  if (reader.position !== bytes.length) fail("bytes follow a storage");
  return new TorchStorage(announced.dtype, data);
}

/** `("storage", class, key, device, length, view)`; views of storages are not written any more. */
function parseAnnouncement(id: PickleValue, fail: Fail): Announced & { readonly key: string } {
  if (!(id instanceof PickleTuple)) return fail("a storage is announced by what is no tuple");
  const [kind, type, key, , length, view = null] = id.items;
  const dtype = type instanceof PickleGlobal ? dtypeOfStorageClass(type.name) : undefined;
  if (
    kind !== "storage" ||
    dtype === undefined ||
    typeof key !== "string" ||
    typeof length !== "number" ||
    view !== null
  ) {
    return fail("a storage's announcement can't be read");
  }
  return { dtype, length, key, foreign: new PickleForeign({}) };
}
