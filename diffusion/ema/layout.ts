/** Tensors of the snapshots of a run: which are averaged, and whether they are those of one network. */
import { EvenkeelError } from "../../engine/index.ts";
import { type StoredTensor, toFloat32 } from "../../engine/io/index.ts";

/**
 * Buffers of the networks of EDM and EDM2 (Fourier frequencies and phases, resampling filters), the running statistics of
 * batch normalization, and whatever is no float.
 * @example
 * ```ts
 * const noise = { name: "emb_fourier.freqs", dtype: "F32", shape: [2], data: Float32Array.of(1, 2) } as const;
 * console.log(isBufferByName("emb_fourier.freqs", noise), isBufferByName("out_conv.weight", noise)); // true false
 * ```
 */
export function isBufferByName(name: string, tensor: StoredTensor): boolean {
  return /(^|\.)(freqs|phases|resample_filter|running_mean|running_var|num_batches_tracked)$/.test(name)
    ? true
    : !isFloat(tensor);
}

/** Whether it can be averaged. */
export function isFloat({ dtype }: StoredTensor): boolean {
  return dtype === "F16" || dtype === "BF16" || dtype === "F32" || dtype === "F64";
}

/** Whether two tensors are the same to the bit, in what they are stored as. */
export function hasSameNumbers({ dtype, data }: StoredTensor, other: StoredTensor): boolean {
  if (dtype !== other.dtype || data.length !== other.data.length) return false;
  for (let i = 0; i < data.length; i++) if (data[i] !== other.data[i]) return false;
  return true;
}

/** A snapshot's tensor as float32. @throws EvenkeelError `file` for a number that isn't finite. */
export function finiteValues(snapshot: string, name: string, tensor: StoredTensor): Float32Array {
  const values = toFloat32(tensor);
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new EvenkeelError(
      "file",
      `${snapshot}: element ${bad} of ${name} is ${values[bad]}; its training had failed by then.`,
    );
  }
  return values;
}

/** Which tensors the snapshots of a run have, and the name of the snapshot that says so. */
export type Layout = { readonly name: string; readonly tensors: ReadonlyMap<string, StoredTensor["shape"]> };

/** What the snapshots of a run must have, by one of them. */
export function layoutOf(name: string, tensors: ReadonlyMap<string, StoredTensor>): Layout {
  return { name, tensors: new Map([...tensors].map(([key, { shape }]) => [key, shape])) };
}

/** @throws EvenkeelError `file` for a snapshot that has other tensors. */
export function checkLayout(name: string, tensors: ReadonlyMap<string, StoredTensor>, first: Layout): void {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem} Only snapshots of one network can be averaged.`);
  };
  for (const [key, shape] of first.tensors) {
    const found = tensors.get(key);
    if (found === undefined) return fail(`has no tensor ${key}, which ${first.name} has.`);
    if (found.shape.join() !== shape.join()) {
      return fail(`${key} is [${found.shape.join(", ")}]; in ${first.name} it is [${shape.join(", ")}].`);
    }
  }
  for (const key of tensors.keys())
    if (!first.tensors.has(key)) fail(`has a tensor ${key}, which ${first.name} hasn't.`);
}
