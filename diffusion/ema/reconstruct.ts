/** Post-hoc averages of stored weights: one pass over the snapshots, of which one is in memory at a time. */
import { encodeFloat16, type StoredTensor, toFloat32 } from "../../engine/io/index.ts";
import { EvenkeelError, eventLoopTurn, inTurns } from "../../engine/index.ts";
import { checkLayout, finiteValues, hasSameNumbers, isBufferByName, isFloat, type Layout, layoutOf } from "./layout.ts";
import { fittingProfiles, type PostHocFit, type PostHocOptions } from "./postHoc.ts";
import { type AveragingProfile, compareProfiles, describeProfile } from "./profile.ts";

/** A stored average of weights. */
export interface SnapshotSource {
  /** What messages call it, e.g. its path. */
  readonly name: string;
  /** What it is an average of. */
  readonly profile: AveragingProfile;
  /** Reads it into memory. Called once for each pass, when its turn has come. */
  open(): Promise<ReadonlyMap<string, StoredTensor>>;
}

/** Options of `reconstruct`. */
export type ReconstructOptions = PostHocOptions & {
  /** How results are stored: F16 (default; rounded to nearest even once) or F32, advisable for very short averages. */
  readonly dtype?: "F16" | "F32";
  /** Tells which tensors are constants of the network, copied from the last snapshot instead of averaged. */
  readonly isBuffer?: (name: string, tensor: StoredTensor) => boolean;
  /** Called after each snapshot that has been added up. */
  readonly onSnapshot?: (done: number, total: number) => void;
};

/** An average that was made: how, and what it holds. */
export type Reconstruction = {
  readonly fit: PostHocFit;
  /** In the order of the last snapshot. What is the same in all snapshots is the same here, whatever the coefficients add up to. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
};

/**
 * The post-hoc averages of the snapshots that are nearest to the wanted profiles. Sums in float32 in the order of the
 * snapshots' time and width; needs memory for two snapshots and one float32 copy of the weights for each wanted profile.
 * @throws EvenkeelError as `fitProfiles`; `file` if a snapshot has other tensors than the one before or numbers
 * that aren't finite, or a result does not fit F16.
 * @example
 * ```ts
 * import { toFloat32 } from "evenkeel/engine/io";
 *
 * // One weight, that of a time the time itself, of which two averages are stored.
 * const stored = [1000, 2000].map((nimg) => ({
 *   name: `at ${nimg}`,
 *   profile: powerProfile(nimg, 0.1),
 *   open: () => Promise.resolve(new Map([["w", { name: "w", dtype: "F32", shape: [1], data: Float32Array.of(nimg) } as const]])),
 * }));
 * const [longer] = await reconstruct(stored, [powerProfile(2000, 0.15)], { dtype: "F32" });
 * const w = longer?.weights.get("w");
 * if (w !== undefined) console.log(toFloat32(w)); // Float32Array(1) [ 1963.03 ]
 * ```
 */
export async function reconstruct(
  snapshots: readonly SnapshotSource[],
  wanted: readonly AveragingProfile[],
  options: ReconstructOptions = {},
): Promise<readonly Reconstruction[]> {
  const sorted = snapshots.toSorted((a, b) => compareProfiles(a.profile, b.profile));
  const stored = sorted.map(({ profile }) => profile);
  const fits = await inTurns(fittingProfiles(stored, wanted, options));
  const results = await accumulate(
    sorted,
    fits.map(({ coefficients, wanted: { nimg } }) => ({ coefficients, nimg })),
    options,
  );
  return fits.map((fit, i) => ({ fit, weights: store(results[i], describeProfile(fit.wanted), options) }));
}

type Combination = { readonly coefficients: Float64Array; readonly nimg: number };

type Sum = {
  readonly shape: StoredTensor["shape"];
  readonly values: Float32Array;
  /** Of a buffer: the tensor of the last snapshot so far. Of a constant: that of all snapshots. */
  copied: StoredTensor | undefined;
};

type Sums = Map<string, Sum>;

async function accumulate(
  snapshots: readonly SnapshotSource[],
  combinations: readonly Combination[],
  options: ReconstructOptions,
): Promise<Sums[]> {
  const { isBuffer = isBufferByName } = options;
  const sums = combinations.map((): Sums => new Map());
  const end = Math.max(...combinations.map(({ nimg }) => nimg));
  const used = snapshots.filter(({ profile }) => profile.nimg <= end);
  let first: Layout | undefined;
  // What has been the same so far. Of a network in training that is hardly anything from the second snapshot on.
  const constants = new Map<string, StoredTensor>();
  for (const [index, snapshot] of used.entries()) {
    const tensors = await snapshot.open();
    for (const [name, tensor] of index === 0 ? tensors : constants) {
      const present = tensors.get(name);
      if (present !== undefined && hasSameNumbers(present, tensor)) constants.set(name, tensor);
      else constants.delete(name);
    }
    first ??= layoutOf(snapshot.name, tensors);
    checkLayout(snapshot.name, tensors, first);
    for (const [name, tensor] of tensors) {
      await eventLoopTurn();
      const buffer = isBuffer(name, tensor);
      const values = buffer ? undefined : finiteValues(snapshot.name, name, tensor);
      for (const [target, { coefficients, nimg }] of combinations.entries()) {
        if (snapshot.profile.nimg > nimg) continue;
        const sum = sumOf(sums[target], name, tensor, buffer);
        if (values === undefined) sum.copied = tensor;
        else addScaled(sum.values, values, coefficients[index] ?? 0);
      }
    }
    // One snapshot alone can't show what stays.
    for (const [target, { nimg }] of index === 0 ? [] : combinations.entries()) {
      if (snapshot.profile.nimg > nimg || (used[index + 1]?.profile.nimg ?? Infinity) <= nimg) continue;
      for (const [name, sum] of sums[target] ?? []) sum.copied ??= constants.get(name);
    }
    options.onSnapshot?.(index + 1, used.length);
  }
  return sums;
}

function sumOf(sums: Sums | undefined, name: string, tensor: StoredTensor, buffer: boolean): Sum {
  const found = sums?.get(name);
  if (found !== undefined) return found;
  const sum: Sum = {
    shape: tensor.shape,
    values: new Float32Array(buffer ? 0 : tensor.data.length),
    copied: undefined,
  };
  sums?.set(name, sum);
  return sum;
}

/** Rounds the product and the sum to float32, each on its own, as PyTorch does. */
function addScaled(sum: Float32Array, values: Float32Array, coefficient: number): void {
  const factor = Math.fround(coefficient);
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + Math.fround((values[i] ?? 0) * factor);
}

function store(sums: Sums | undefined, target: string, options: ReconstructOptions): Map<string, StoredTensor> {
  const { dtype = "F16" } = options;
  const weights = new Map<string, StoredTensor>();
  for (const [name, { shape, values, copied }] of sums ?? []) {
    if (copied !== undefined && !isFloat(copied)) {
      weights.set(name, copied);
      continue;
    }
    const floats = copied === undefined ? values : toFloat32(copied);
    if (dtype === "F32") {
      weights.set(name, { name, dtype, shape, data: floats });
      continue;
    }
    const data = encodeFloat16(floats);
    const bad = data.findIndex((bits) => (bits & 0x7c00) === 0x7c00);
    if (bad >= 0) {
      throw new EvenkeelError(
        "file",
        `${target}: element ${bad} of ${name} is ${floats[bad]}, too large for F16. Store F32.`,
      );
    }
    weights.set(name, { name, dtype, shape, data });
  }
  return weights;
}
