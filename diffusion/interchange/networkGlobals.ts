import { numpyFunctions } from "./numpyValues.ts";
import {
  keyProblem,
  PickleDict,
  type PickleContext,
  PickleForeign,
  type PickleFunction,
  PickleGlobal,
  PickleInstance,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
  type PickleWorld,
} from "./pickle/index.ts";
import { parseTorchStorage } from "./torchStorage.ts";
import { maximumAxes, TorchStorage, TorchTensor } from "./torchTensor.ts";

/** A dictionary whose entries are attributes too: options are kept in it. */
export const easyDict = "dnnlib.util.EasyDict";

const containers = ["ModuleDict", "ModuleList", "Sequential", "ParameterDict", "ParameterList"];
const classes = new Set([easyDict, ...containers.map((name) => `torch.nn.modules.container.${name}`)]);

/** Types that stand as values: of elements, and as arguments of functions below. */
const elementTypes = ["float16", "bfloat16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64"];
const plainNames = new Set([
  ...elementTypes.map((name) => `torch.${name}`),
  "numpy.ndarray",
  ...["builtins", "__builtin__"].flatMap((module) => [`${module}.object`, `${module}.dict`]),
]);

/**
 * All that a snapshot may name. Dictionaries, sets and bytes are plain values in later protocols; the earlier ones make them by
 * functions.
 */
export function networkGlobals(source: string): PickleWorld {
  // The same bytes or text, called for again and again, are read once.
  const storages = new Map<Uint8Array, PickleForeign>();
  const encoded = new Map<string, Uint8Array>();
  const functions = new Map<string, PickleFunction>([
    ["collections.OrderedDict", orderedDict],
    ["torch_utils.persistence._reconstruct_persistent_obj", reconstructObject],
    ["torch._utils._rebuild_parameter", ([data = null], { fail }) => requireTensor(data, fail)],
    ["torch._utils._rebuild_tensor_v2", (args, { fail }) => rebuildTensor(args, fail, source)],
    ["torch.device", ([kind = null]) => kind],
    ["torch.Size", ([sizes], { fail }) => (sizes instanceof PickleTuple ? sizes : fail("a size is no tuple"))],
    ...numpyFunctions,
    [
      "torch.storage._load_from_bytes",
      ([data], { fail }) => {
        if (!(data instanceof Uint8Array)) return fail("a storage is made of what are no bytes");
        const storage = storages.get(data) ?? new PickleForeign(parseTorchStorage(data, source));
        storages.set(data, storage);
        return storage;
      },
    ],
    [
      "_codecs.encode",
      ([text, encoding], { fail }) => {
        if (typeof text !== "string" || encoding !== "latin1") return fail("a text is encoded in an unknown way");
        const bytes = encoded.get(text) ?? singleBytes(text, fail);
        encoded.set(text, bytes);
        return bytes;
      },
    ],
    ["copyreg._reconstructor", reconstructOld],
    ["copy_reg._reconstructor", reconstructOld],
    ...["builtins", "__builtin__"].flatMap((module): [string, PickleFunction][] => [
      [`${module}.set`, setOfList],
      [`${module}.frozenset`, setOfList],
      [`${module}.bytearray`, bytesOfBytes],
      [`${module}.bytes`, bytesOfBytes],
    ]),
  ]);
  return { functions, classes, names: (name) => plainNames.has(name) };
}

/** Empty, or with pairs. */
const orderedDict: PickleFunction = ([pairs], { fail, spend }) => {
  const dict = new PickleDict();
  if (pairs === undefined) return dict;
  if (!(pairs instanceof PickleList)) return fail("an OrderedDict is made of what is no list");
  spend(pairs.items.length);
  for (const pair of pairs.items) {
    const [key, value] = pair instanceof PickleTuple || pair instanceof PickleList ? pair.items : [];
    if (key === undefined || value === undefined) return fail("an OrderedDict is made of what are no pairs");
    const problem = keyProblem(key);
    if (problem !== undefined) return fail(problem);
    dict.entries.set(key, value);
  }
  return dict;
};

const setOfList: PickleFunction = ([list, ...others], { fail, spend }) => {
  if (others.length > 0) return fail("a set is made of more than a list");
  const set = new PickleSet();
  if (list === undefined) return set;
  if (!(list instanceof PickleList || list instanceof PickleTuple)) return fail("a set is made of what is no list");
  spend(list.items.length);
  for (const item of list.items) {
    const problem = keyProblem(item);
    if (problem !== undefined) return fail(problem);
    set.items.add(item);
  }
  return set;
};

/** Protocols before 3 make empty bytes so, and bytearrays of others. */
const bytesOfBytes: PickleFunction = ([bytes], { fail }) => {
  if (bytes === undefined) return new Uint8Array(0);
  return bytes instanceof Uint8Array ? bytes : fail("bytes are made of what are no bytes");
};

function singleBytes(text: string, fail: PickleContext["fail"]): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) return fail("bytes are written as a text with characters that are no bytes");
    bytes[i] = code;
  }
  return bytes;
}

/** `(class, base, content)`, as protocols 0 and 1 make objects: of a class that is a dictionary, the base has the content. */
const reconstructOld: PickleFunction = ([type, , content], { fail, spend }) => {
  if (!(type instanceof PickleGlobal) || !classes.has(type.name)) return fail("an object is made of what is no class");
  const object = new PickleInstance(type.name);
  if (content instanceof PickleDict) {
    spend(content.entries.size);
    for (const [key, value] of content.entries) object.dict.entries.set(key, value);
  } else if (content !== null) fail("an object's content is no dictionary");
  return object;
};

/** An object with the name of its class and its state; the class's source comes along and is not looked at. */
const reconstructObject: PickleFunction = ([meta], { fail }) => {
  const entries = meta === undefined ? undefined : dictOf(meta);
  const className = entries?.get("class_name");
  if (entries?.get("type") !== "class" || typeof className !== "string") {
    return fail("an object's description can't be read");
  }
  const object = new PickleInstance(className);
  object.state = entries.get("state") ?? null;
  return object;
};

function requireTensor(value: PickleValue, fail: PickleContext["fail"]): PickleForeign {
  const isTensor = value instanceof PickleForeign && value.value instanceof TorchTensor;
  return isTensor ? value : fail("a parameter is made of what is no tensor");
}

/** `(storage, offset, size, stride, requires_grad, hooks)`. */
function rebuildTensor(args: readonly PickleValue[], fail: PickleContext["fail"], source: string): PickleValue {
  const [storage, offset, size, stride] = args;
  const [shape, strides] = [countsOf(size), countsOf(stride)];
  const block = storage instanceof PickleForeign ? storage.value : undefined;
  if (!(block instanceof TorchStorage) || typeof offset !== "number" || shape === undefined || strides === undefined) {
    return fail("a tensor's description can't be read");
  }
  return new PickleForeign(new TorchTensor(block, offset, shape, strides, source));
}

function countsOf(value: PickleValue | undefined): readonly number[] | undefined {
  if (!(value instanceof PickleTuple) || value.items.length > maximumAxes) return undefined;
  const counts = value.items.filter((item) => typeof item === "number");
  return counts.length === value.items.length ? counts : undefined;
}

/** The entries of a dictionary, or of an object that is one. */
export function dictOf(value: PickleValue): ReadonlyMap<PickleValue, PickleValue> | undefined {
  if (value instanceof PickleDict) return value.entries;
  return value instanceof PickleInstance ? value.dict.entries : undefined;
}
