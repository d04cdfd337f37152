import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";
import {
  type Fail,
  PickleDict,
  PickleForeign,
  PickleInstance,
  PickleList,
  PickleReader,
  PickleSet,
  PickleTuple,
  type PickleValue,
  type PickleWorld,
  readPickle,
} from "./pickle/index.ts";
import { parseTorchStorage } from "./torchStorage.ts";
import { TorchStorage, TorchTensor } from "./torchTensor.ts";

/** Data without classes: what JSON can hold. */
export type PlainData = null | boolean | number | string | PlainData[] | { [key: string]: PlainData };

/** An object of the reference: its class's name and the arguments it was made with. */
export type PickledObject = { readonly className: string; readonly initKwargs: Readonly<Record<string, PlainData>> };

/** What a `network-snapshot-*.pkl` of the reference holds. */
export type NetworkPickle = PickledObject & {
  /** Parameters and buffers by their names in the state dictionary, in its order, as stored. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly encoder: PickledObject | null;
  readonly datasetKwargs: Readonly<Record<string, PlainData>>;
  readonly lossFn: PickledObject | null;
};

/** Modules within modules, at most. */
const maximumDepth = 32;
/** Values looked at when data are made plain, at most: shared parts of a pickle could otherwise stand for endless data. */
const maximumPlainValues = 100_000;
/** Copies of tensors take no more than this multiple of the file. */
const maximumGrowth = 2;

/**
 * Reads the reference's snapshot. The pickle is parsed by a machine that knows the few names such files need and refuses all
 * others; the Python source in them is passed over.
 * @param source what messages call it.
 * @throws EvenkeelError `file` for anything else, naming what is wrong.
 */
export function readNetworkPickle(bytes: Uint8Array, source: string): NetworkPickle {
  const reader = new PickleReader(bytes, source);
  const root = readPickle(reader, worldOfNetworks(source));
  const outer = dictOf(root);
  const ema = outer?.get("ema");
  if (outer === undefined || !(ema instanceof PickleInstance)) {
    throw new EvenkeelError("file", `${source} is a pickle, but no network snapshot: it has no network under "ema".`);
  }
  const plain = new PlainReader(source);
  const weights = new Map<string, TorchTensor>();
  collectWeights(ema, "", weights, source, 0);
  const total = [...weights.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0);
  if (total > maximumGrowth * bytes.length) {
    throw new EvenkeelError(
      "file",
      `${source}: its ${weights.size} tensors would take ${total} bytes, the file has ${bytes.length}.`,
    );
  }
  return {
    ...plain.object(ema),
    weights: new Map([...weights].map(([name, tensor]) => [name, tensor.copy(name)])),
    encoder: plain.optionalObject(outer.get("encoder")),
    datasetKwargs: plain.record(outer.get("dataset_kwargs") ?? null),
    lossFn: plain.optionalObject(outer.get("loss_fn")),
  };
}

/** The names that snapshots need. */
function worldOfNetworks(source: string): PickleWorld {
  // The same bytes, called for again and again, are read once.
  const storages = new Map<Uint8Array, PickleForeign>();
  const functions = new Map<string, (args: readonly PickleValue[], fail: Fail) => PickleValue>([
    ["collections.OrderedDict", orderedDict],
    ["torch_utils.persistence._reconstruct_persistent_obj", reconstructObject],
    ["torch._utils._rebuild_parameter", ([data = null], fail) => requireTensor(data, fail)],
    ["torch._utils._rebuild_tensor_v2", (args, fail) => rebuildTensor(args, fail, source)],
    [
      "torch.storage._load_from_bytes",
      ([data], fail) => {
        if (!(data instanceof Uint8Array)) return fail("a storage is made of what are no bytes");
        const storage = storages.get(data) ?? new PickleForeign(parseTorchStorage(data, source));
        storages.set(data, storage);
        return storage;
      },
    ],
  ]);
  const containers = ["ModuleDict", "ModuleList", "Sequential", "ParameterDict", "ParameterList"];
  const classes = new Set(["dnnlib.util.EasyDict", ...containers.map((name) => `torch.nn.modules.container.${name}`)]);
  return { functions, classes, names: () => false };
}

/** Empty, or with pairs. */
function orderedDict(args: readonly PickleValue[], fail: Fail): PickleValue {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!(pairs instanceof PickleList)) return fail("an OrderedDict is made of what is no list");
  for (const pair of pairs.items) {
    const [key, value] = pair instanceof PickleTuple || pair instanceof PickleList ? pair.items : [];
    if (key === undefined || value === undefined) return fail("an OrderedDict is made of what are no pairs");
    dict.entries.set(key, value);
  }
  return dict;
}

/** An object with the name of its class and its state; the class's source comes along and is not looked at. */
function reconstructObject([meta]: readonly PickleValue[], fail: Fail): PickleValue {
  const entries = meta === undefined ? undefined : dictOf(meta);
  const className = entries?.get("class_name");
  if (entries?.get("type") !== "class" || typeof className !== "string")
    return fail("an object's description can't be read");
  const object = new PickleInstance(className);
  object.state = entries.get("state") ?? null;
  return object;
}

function requireTensor(value: PickleValue, fail: Fail): PickleForeign {
  const isTensor = value instanceof PickleForeign && value.value instanceof TorchTensor;
  return isTensor ? value : fail("a parameter is made of what is no tensor");
}

/** `(storage, offset, size, stride, requires_grad, hooks)`. */
function rebuildTensor(args: readonly PickleValue[], fail: Fail, source: string): PickleValue {
  const [storage, offset, size, stride] = args;
  const numbers = (value: PickleValue | undefined): readonly number[] | undefined =>
    value instanceof PickleTuple && value.items.every((item) => typeof item === "number") ? value.items : undefined;
  const [shape, strides] = [numbers(size), numbers(stride)];
  const block = storage instanceof PickleForeign ? storage.value : undefined;
  if (!(block instanceof TorchStorage) || typeof offset !== "number" || shape === undefined || strides === undefined) {
    return fail("a tensor's description can't be read");
  }
  return new PickleForeign(new TorchTensor(block, offset, shape, strides, source));
}

/** The entries of a dictionary, or of an object that is one. */
function dictOf(value: PickleValue): ReadonlyMap<PickleValue, PickleValue> | undefined {
  if (value instanceof PickleDict) return value.entries;
  return value instanceof PickleInstance ? value.dict.entries : undefined;
}

/** A module's own parameters, then its persistent buffers, then those of its modules, as PyTorch orders a state dictionary. */
function collectWeights(
  module: PickleInstance,
  prefix: string,
  weights: Map<string, TorchTensor>,
  source: string,
  depth: number,
): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${source}: ${prefix === "" ? "the network" : prefix.slice(0, -1)} ${problem}.`);
  };
  if (depth > maximumDepth) fail(`lies more than ${maximumDepth} modules deep`);
  const state = dictOf(module.state) ?? fail("has no state");
  const part = (name: string): ReadonlyMap<PickleValue, PickleValue> => {
    const value = state.get(name);
    return value === undefined ? new Map() : (dictOf(value) ?? fail(`has ${name} that are no dictionary`));
  };
  const passing = state.get("_non_persistent_buffers_set");
  const isPassing = (key: PickleValue): boolean => passing instanceof PickleSet && passing.items.has(key);
  for (const [key, value] of [...part("_parameters"), ...[...part("_buffers")].filter(([name]) => !isPassing(name))]) {
    if (value === null) continue;
    const tensor = value instanceof PickleForeign ? value.value : undefined;
    if (typeof key !== "string" || !(tensor instanceof TorchTensor))
      return fail(`has an entry ${nameOf(key)}, which is no tensor`);
    if (weights.has(prefix + key)) fail(`has ${key} twice`);
    weights.set(prefix + key, tensor);
  }
  for (const [key, child] of part("_modules")) {
    if (child === null) continue;
    if (typeof key !== "string" || !(child instanceof PickleInstance))
      return fail(`has an entry ${nameOf(key)}, which is no module`);
    collectWeights(child, `${prefix}${key}.`, weights, source, depth + 1);
  }
}

/** A dictionary's key in words. */
function nameOf(key: PickleValue): string {
  return typeof key === "object" ? (key?.constructor.name ?? "None") : String(key);
}

/** Makes pickled data plain, up to a number of values. */
class PlainReader {
  readonly #source: string;
  #left = maximumPlainValues;

  constructor(source: string) {
    this.#source = source;
  }

  object(instance: PickleInstance): PickledObject {
    const state = dictOf(instance.state);
    return { className: instance.className, initKwargs: this.record(state?.get("_init_kwargs") ?? null) };
  }

  optionalObject(value: PickleValue | undefined): PickledObject | null {
    return value instanceof PickleInstance ? this.object(value) : null;
  }

  record(value: PickleValue): Record<string, PlainData> {
    const entries = dictOf(value);
    if (entries === undefined) return {};
    const plain = this.plain(value, 0);
    return plain as Record<string, PlainData>;
  }

  plain(value: PickleValue, depth: number): PlainData {
    if (this.#left-- <= 0 || depth > maximumDepth) {
      throw new EvenkeelError("file", `${this.#source}: its settings are nested too deep, or too many.`);
    }
    if (value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string")
      return value;
    if (typeof value === "bigint") return value.toString();
    if (value instanceof PickleTuple || value instanceof PickleList)
      return value.items.map((item) => this.plain(item, depth + 1));
    const entries = dictOf(value);
    if (entries !== undefined) {
      return Object.fromEntries([...entries].map(([key, item]) => [nameOf(key), this.plain(item, depth + 1)]));
    }
    return null;
  }
}
