import { EvenkeelError } from "../../engine/index.ts";
import { quoteText, type StoredTensor } from "../../engine/io/index.ts";
import { collectWeights } from "./moduleWeights.ts";
import { dictOf, networkGlobals } from "./networkGlobals.ts";
import { PickleInstance, PickleReader, PickleTuple, type PickleValue, readPickle } from "./pickle/index.ts";
import { type PlainData, PlainReader, type PlainRecord } from "./plainData.ts";

/** An object of the reference: its class's name, the arguments it was made with, and what it kept. */
export type PickledObject = {
  readonly className: string;
  readonly initArgs: readonly PlainData[];
  readonly initKwargs: PlainRecord;
  /** Attributes that are plain data, e.g. a loss's `P_mean` even where its default was used. */
  readonly attributes: PlainRecord;
};

/** What a `network-snapshot-*.pkl` of the reference holds. */
export type NetworkPickle = PickledObject & {
  /** Parameters and buffers by their names in the state dictionary, in its order, as stored. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly encoder: PickledObject | null;
  readonly datasetKwargs: PlainRecord;
  readonly lossFn: PickledObject | null;
};

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
  const outer = dictOf(readPickle(reader, networkGlobals(source)));
  const ema = outer?.get("ema");
  if (outer === undefined || !(ema instanceof PickleInstance)) {
    const held = [...(outer?.keys() ?? [])].filter((key) => typeof key === "string").slice(0, 5);
    const what = held.includes("G_ema")
      ? ": it is a network of StyleGAN"
      : held.length > 0
        ? `: it has ${held.map(quoteText).join(", ")}`
        : "";
    throw new EvenkeelError(
      "file",
      `${source} is a pickle, but no network snapshot: it has no network under "ema"${what}.`,
    );
  }
  if (reader.position !== bytes.length) {
    throw new EvenkeelError("file", `${source}: ${bytes.length - reader.position} bytes follow the pickle.`);
  }
  const tensors = collectWeights(ema, source);
  let total = 0;
  for (const tensor of tensors.values()) total += tensor.byteLength;
  if (total > maximumGrowth * bytes.length) {
    throw new EvenkeelError(
      "file",
      `${source}: its ${tensors.size} tensors would take ${total} bytes, the file has ${bytes.length}.`,
    );
  }
  const plain = new PlainReader(source);
  const datasetKwargs = outer.get("dataset_kwargs") ?? null;
  const optional = (name: string): PickledObject | null => {
    const value = outer.get(name) ?? null;
    return value === null ? null : pickledObject(value, name, plain, source);
  };
  return {
    ...pickledObject(ema, "network", plain, source),
    weights: new Map([...tensors].map(([name, tensor]) => [name, tensor.copy(name, source)])),
    encoder: optional("encoder"),
    datasetKwargs: datasetKwargs === null ? {} : plain.record(datasetKwargs, "dataset_kwargs"),
    lossFn: optional("loss_fn"),
  };
}

/** Classes of preconditioned networks in the first paper's code, EDM (2022). */
const edmClasses = ["EDMPrecond", "VPPrecond", "VEPrecond", "iDDPMPrecond"];

/**
 * The same of EDM2's networks alone.
 * @throws EvenkeelError `file`, of EDM's (2022) in these words.
 * @example
 * ```ts
 * // An empty dictionary, pickled. Of a network's snapshot there are `weights` by name, `initKwargs`, and so on.
 * try {
 *   readEdm2Pickle(Uint8Array.of(0x80, 2, 0x7d, 0x2e), "empty.pkl");
 * } catch (error) {
 *   console.log((error as Error).message); // empty.pkl is a pickle, but no network snapshot: it has no network under "ema".
 * }
 * ```
 */
export function readEdm2Pickle(bytes: Uint8Array, source: string): NetworkPickle {
  const named = (name: string, cause?: unknown): EvenkeelError =>
    new EvenkeelError(
      "file",
      `${source}: is a network of EDM (2022), of the class ${name}; Evenkeel reads those of EDM2. Its pickles hold other layers and names.`,
      { cause },
    );
  let pickle: NetworkPickle;
  try {
    pickle = readNetworkPickle(bytes, source);
  } catch (cause) {
    // Its names are in a pickle as they are, whatever else can't be read.
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, searchedBytes));
    const found = edmClasses.find((name) => text.includes(name));
    throw found === undefined ? cause : named(found, cause);
  }
  if (edmClasses.includes(pickle.className)) throw named(pickle.className);
  return pickle;
}

/** How far into a pickle its class is looked for: descriptions come before weights. */
const searchedBytes = 2 ** 22;

function pickledObject(value: PickleValue, what: string, plain: PlainReader, source: string): PickledObject {
  const state = value instanceof PickleInstance ? dictOf(value.state) : undefined;
  if (!(value instanceof PickleInstance) || state === undefined) {
    throw new EvenkeelError("file", `${source}: its ${what} is no object with a state.`);
  }
  const args = state.get("_init_args");
  const initArgs = args instanceof PickleTuple ? plain.plain(args, 0) : [];
  if (!Array.isArray(initArgs))
    throw new EvenkeelError("file", `${source}: its ${what} was made of what is no plain data.`);
  const kwargs = state.get("_init_kwargs");
  return {
    className: value.className,
    initArgs,
    initKwargs: kwargs === undefined ? {} : plain.record(kwargs, `${what}'s options`),
    attributes: plain.attributes(value.state),
  };
}
