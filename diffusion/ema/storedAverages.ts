/** The stored averages of a run in memory, of which averages of any length are made while somebody moves a slider. */
import {
  add,
  compileStep,
  type CompiledStep,
  createState,
  type Device,
  type DeviceChoice,
  EvenkeelError,
  eventLoopTurn,
  getDevice,
  multiply,
  reshape,
  slice,
  type State,
  type Tensor,
  tensor,
  throwIfAborted,
  zeros,
} from "../../engine/index.ts";
import {
  type Folder,
  type LazyTensor,
  type StoredFile,
  type StoredTensor,
  toFloat32,
  writeTensors,
} from "../../engine/io/index.ts";
import { checkParameters, flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import { describeDenoiser } from "../network/index.ts";
import { parseSnapshotMetadata, type SnapshotDtype, type SnapshotInfo } from "../snapshot/index.ts";
import { postHocMetadata } from "./averageMetadata.ts";
import { describeFit, type FitDescription } from "./describeFit.ts";
import { checkLayout, finiteValues, hasSameNumbers, isBufferByName, layoutOf } from "./layout.ts";
import { fitProfiles, type PostHocFit, type PostHocOptions } from "./postHoc.ts";
import { type AveragingProfile, compareProfiles, powerProfile } from "./profile.ts";
import { type SnapshotFilter, snapshotsIn } from "./snapshotFolder.ts";
import type { SnapshotFile } from "./storedAverage.ts";

/** Which stored averages are read, and where they are added up. */
export type StoredAveragesOptions = SnapshotFilter &
  PostHocOptions & {
    /** Where they are kept and added up. Default `wasm`. */
    readonly device?: DeviceChoice;
    /** Told after each file that was read. */
    readonly onSnapshot?: (done: number, total: number) => void;
    /** Ends reading between two files with an error `aborted`. */
    readonly signal?: AbortSignal;
  };

/** One stored average. */
type Stored = {
  readonly file: SnapshotFile;
  /** All that is averaged, one array behind the other: f32 [numbers], in the order of the network's description. */
  readonly numbers: State<Tensor>;
  /** What isn't averaged. */
  readonly buffers: ReadonlyMap<string, Tensor>;
  /** The arrays that differ from those of the first stored average. */
  readonly moved: ReadonlySet<string>;
};

/** A network's array that is averaged: its place in the arrays' numbers. */
type Place = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly size: number;
};

/** What all stored averages of a run have in common, by the first. */
type First = {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The network's arrays in the order of its description. */
  readonly order: readonly string[];
  readonly places: readonly Place[];
  readonly total: number;
};

/** Stored averages that are added up in one run of a program. */
const together = 8;

type Summation = CompiledStep<Tensor, [isFirst: boolean, factors: Tensor, ...stored: Tensor[]], null>;

/**
 * All stored averages of a run's folder, in memory as float32 (`bytes`), so that an average of any length is there at once: the same numbers,
 * bit for bit where the device rounds every product and sum (all but WebGPU, where products may be added unrounded), that `reconstruct`
 * stores as F32. Calls take their turns. Owns device memory: dispose of it.
 */
export class StoredAverages {
  readonly #folder: Folder;
  readonly #options: StoredAveragesOptions;
  readonly #device: Device;
  readonly #sum: Summation;
  #stored: readonly Stored[] = [];
  #first: First | undefined;
  #info: SnapshotInfo | undefined;
  #result: State<Tensor> | undefined;
  /** The fits last asked for: drawing and averaging want the same one. */
  readonly #fits = new Map<string, PostHocFit>();
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(folder: Folder, options: StoredAveragesOptions, device: Device) {
    this.#folder = folder;
    this.#options = options;
    this.#device = device;
    this.#sum = compileStep(
      (sum: Tensor, isFirst: boolean, factors: Tensor, ...stored: Tensor[]) => {
        // In the order of time and width, each product and each sum rounded to float32, as `reconstruct` does it.
        const state = stored.reduce(
          (total, numbers, i) => add(total, multiply(numbers, reshape(slice(factors, [[i, i + 1]]), []))),
          isFirst ? zeros(sum.shape) : sum,
        );
        return { state, result: null };
      },
      { device },
    );
  }

  /**
   * Reads the stored averages in a folder, which may have none yet. Which of its files are meant is told by `snapshotsIn`.
   * @throws EvenkeelError as `snapshotsIn`; `file` for a file that is damaged, of another network, or has numbers that aren't finite; `shape`
   * for other arrays than its network has; `memory` if they don't fit; `aborted`.
   */
  static async open(folder: Folder, options: StoredAveragesOptions = {}): Promise<StoredAverages> {
    const averages = new StoredAverages(folder, options, await getDevice(options.device ?? "wasm"));
    try {
      await averages.refresh();
      return averages;
    } catch (reason) {
      averages.dispose();
      throw reason;
    }
  }

  /**
   * Reads what has been stored since, and forgets what is there no more. A file is known by its name and profile: one that was written over
   * with the same is not read again.
   * @returns how many were read.
   * @throws EvenkeelError as `open`; what was there before is then there still.
   */
  refresh(): Promise<number> {
    return this.#inTurn(() => this.#refresh());
  }

  /** The profiles of the stored averages, in the order of time and width. */
  get profiles(): readonly AveragingProfile[] {
    return this.#stored.map(({ file }) => file.profile);
  }

  /** Images seen at the times of which there are averages, rising. */
  get times(): readonly number[] {
    return [...new Set(this.profiles.map(({ nimg }) => nimg))];
  }

  /** Memory that the stored averages take. */
  get bytes(): number {
    return 4 * (this.#first?.total ?? 0) * this.#stored.length;
  }

  /** What the newest stored average is: the network, its classes. @throws EvenkeelError `value` if there is none. */
  get info(): SnapshotInfo {
    if (this.#info === undefined) throw this.#none();
    return this.#info;
  }

  /**
   * How the average of this length is made of the stored ones.
   * @param nimg its time, one of `times`. Default: the last.
   * @throws EvenkeelError as `fitProfiles`; `range` for a length that none has; `value` if nothing was stored at that time.
   */
  fit(sigmaRel: number, nimg?: number): PostHocFit {
    const time = this.#timeOf(nimg);
    const key = `${sigmaRel} ${time}`;
    const known = this.#fits.get(key);
    if (known !== undefined) return known;
    const { normalize = true } = this.#options;
    const [fit] = fitProfiles(this.profiles, [powerProfile(time, sigmaRel)], { normalize });
    if (fit === undefined) throw new Error("a profile has no fit");
    if (this.#fits.size >= 64) this.#fits.clear();
    this.#fits.set(key, fit);
    return fit;
  }

  /** The same as it is drawn. @param points of the curves. Default 200. @throws EvenkeelError as `fit`. */
  describeFit(sigmaRel: number, nimg?: number, points = 200): FitDescription {
    return describeFit(this.profiles, this.fit(sigmaRel, nimg), points);
  }

  /**
   * The network's weights, averaged over this length, as `DenoiserProgram` takes them.
   * @param nimg its time, one of `times`. Default: the last.
   * @param signal ends it, also while it waits for its turn.
   * @throws EvenkeelError as `fit`; `aborted`.
   */
  average(sigmaRel: number, nimg?: number, signal?: AbortSignal): Promise<NamedParameters> {
    return this.#inTurn(async () => {
      const aborted = "averaging: the signal given to it is aborted.";
      throwIfAborted(signal, aborted);
      const { coefficients, wanted } = this.fit(sigmaRel, nimg);
      const used = this.#stored.filter(({ file }) => file.profile.nimg <= wanted.nimg);
      if (this.#first === undefined) throw this.#none();
      const result = (this.#result ??= await createState(zeros([this.#first.total]), this.#device));
      for (let begin = 0; begin < used.length; begin += together) {
        const some = used.slice(begin, begin + together).map(({ numbers }) => numbers);
        const factors = Float32Array.from(coefficients.subarray(begin, begin + some.length));
        await this.#sum.advance(result, begin === 0, tensor(factors), ...some);
        throwIfAborted(signal, aborted);
      }
      const data = await (await result.read()).data();
      return this.#named(this.#first, used, data as Float32Array<ArrayBuffer>);
    });
  }

  /**
   * Writes the average of this length to a safetensors file: the metadata of the last stored average with the length and, under `postHoc`,
   * what it was made of; `snapshotsIn` leaves such files out.
   * @param nimg its time, one of `times`. Default: the last.
   * @param dtype how numbers are stored: F32 keeps very short averages exact.
   * @throws EvenkeelError as `average`; `file` if it can't be kept.
   */
  async write(file: StoredFile, sigmaRel: number, nimg?: number, dtype: SnapshotDtype = "F16"): Promise<void> {
    const fit = this.fit(sigmaRel, nimg);
    const { normalize = true } = this.#options;
    const last = this.#stored.findLast((stored) => stored.file.profile.nimg <= fit.wanted.nimg);
    const profiles = this.profiles;
    const metadata = postHocMetadata((await last?.file.metadata()) ?? new Map(), profiles, fit, normalize);
    const weights = await this.average(sigmaRel, nimg);
    const tensors = Object.entries(weights).map(([name, array]): [string, LazyTensor] => [
      name,
      { dtype, shape: array.shape, data: () => array.data("f32") },
    ]);
    await writeTensors(file, tensors, { metadata: Object.fromEntries(metadata) });
  }

  /** Frees what it has on the device. Idempotent. */
  dispose(): void {
    this.#sum.dispose();
    this.#result?.dispose();
    for (const { numbers } of this.#stored) numbers.dispose();
    this.#stored = [];
  }

  /** What was added up, by the arrays' names; what stays the same in all of them is copied, as `reconstruct` does. */
  #named({ tensors, order, places }: First, used: readonly Stored[], sums: Float32Array<ArrayBuffer>): NamedParameters {
    const byName = new Map(places.map((place) => [place.name, place]));
    const moved = new Set(used.flatMap((stored) => [...stored.moved]));
    return Object.fromEntries(
      order.map((name) => {
        const place = byName.get(name);
        // Every stored average has them.
        if (place === undefined) return [name, used.at(-1)?.buffers.get(name) as Tensor];
        const { shape, start, size } = place;
        // One alone can't show what stays.
        const isConstant = used.length > 1 && !moved.has(name);
        const data = isConstant ? toFloat32(tensors.get(name) as StoredTensor) : sums.slice(start, start + size);
        return [name, tensor(data, { shape })];
      }),
    );
  }

  async #refresh(): Promise<number> {
    const { signal, onSnapshot } = this.#options;
    const found = await snapshotsIn(this.#folder, this.#options);
    const files = found.toSorted((a, b) => compareProfiles(a.profile, b.profile));
    const isKept = ({ file }: Stored): boolean =>
      files.some(({ path, profile }) => path === file.path && compareProfiles(profile, file.profile) === 0);
    // What is compared with the first has to be read again with another.
    const hasFirst = files[0] === undefined || files[0].path === this.#stored[0]?.file.path;
    const kept = hasFirst ? this.#stored.filter(isKept) : [];
    const unread = files.filter(({ path }) => kept.every(({ file }) => file.path !== path));
    const read: Stored[] = [];
    let first = kept.length > 0 ? this.#first : undefined;
    const last = files.at(-1);
    try {
      for (const [i, file] of unread.entries()) {
        throwIfAborted(signal, "reading stored averages: the signal given to it is aborted.");
        const tensors = await file.open();
        first ??= await firstOf(file, tensors);
        read.push(await this.#store(file, tensors, first));
        onSnapshot?.(i + 1, unread.length);
      }
      const info = last === undefined ? undefined : parseSnapshotMetadata(await last.metadata(), last.path);
      this.#replace([...kept, ...read], first, info);
    } catch (reason) {
      for (const { numbers } of read) numbers.dispose();
      throw reason;
    }
    return read.length;
  }

  #replace(stored: readonly Stored[], first: First | undefined, info: SnapshotInfo | undefined): void {
    for (const old of this.#stored) if (!stored.includes(old)) old.numbers.dispose();
    if (first?.total !== this.#first?.total) {
      this.#result?.dispose();
      this.#result = undefined;
    }
    this.#stored = stored.toSorted((a, b) => compareProfiles(a.file.profile, b.file.profile));
    this.#first = first;
    this.#info = info;
    this.#fits.clear();
  }

  async #store(file: SnapshotFile, tensors: ReadonlyMap<string, StoredTensor>, first: First): Promise<Stored> {
    checkLayout(file.name, tensors, layoutOf(first.name, first.tensors));
    const numbers = new Float32Array(first.total);
    const moved = new Set<string>();
    for (const { name, start } of first.places) {
      await eventLoopTurn();
      // The layout is the first's.
      const own = tensors.get(name) as StoredTensor;
      numbers.set(finiteValues(file.name, name, own), start);
      if (!hasSameNumbers(own, first.tensors.get(name) as StoredTensor)) moved.add(name);
    }
    const averaged = new Set(first.places.map(({ name }) => name));
    const buffers = new Map(
      [...tensors].flatMap(([name, own]): [string, Tensor][] =>
        averaged.has(name) ? [] : [[name, tensor(toFloat32(own), { shape: own.shape })]],
      ),
    );
    return { file, numbers: await createState(tensor(numbers), this.#device), buffers, moved };
  }

  #timeOf(nimg: number | undefined): number {
    const { times } = this;
    const chosen = nimg ?? times.at(-1);
    if (chosen === undefined) throw this.#none();
    if (times.includes(chosen)) return chosen;
    const near = times.toSorted((a, b) => Math.abs(a - chosen) - Math.abs(b - chosen))[0] ?? 0;
    throw new EvenkeelError(
      "value",
      `${this.#folder.path}: no average was stored after ${chosen} images; the nearest are of ${near}. Choose one of the times of stored averages.`,
    );
  }

  #none(): EvenkeelError {
    return new EvenkeelError(
      "value",
      `${this.#folder.path}: there are no stored averages yet, named like network-snapshot-0000100-0.050.safetensors. ` +
        "A run stores them with every snapshot.",
    );
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(task);
    // What failed for one is nothing to the next.
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}

/** @throws EvenkeelError `file`, `shape` unless a stored average is of a network of ours, with its arrays. */
async function firstOf(file: SnapshotFile, tensors: ReadonlyMap<string, StoredTensor>): Promise<First> {
  const { network } = parseSnapshotMetadata(await file.metadata(), file.path);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(network));
  checkParameters(specs, tensors, file.path);
  const places: Place[] = [];
  let total = 0;
  for (const name of Object.keys(specs)) {
    const own = tensors.get(name) as StoredTensor;
    if (isBufferByName(name, own)) continue;
    places.push({ name, shape: own.shape, start: total, size: own.data.length });
    total += own.data.length;
  }
  return { name: file.name, tensors, order: Object.keys(specs), places, total };
}
