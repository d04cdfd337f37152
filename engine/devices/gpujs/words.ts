/**
 * How tensors lie in the memory of a gpu.js device. Everything there is an f32 word, so that one storage works in
 * every mode: f32 is one word an element, bool one word (0 or 1). An f32 holds no 32-bit integer exactly, so i32 and
 * u32 are split in two planes: words [0, n) hold the high 16 bits of each element (0..65535, two's complement), words
 * [n, 2n) the low 16 bits.
 */
import type { DType, TensorData } from "../../graph/dtype.ts";
import { allocateData, dtypeOfData, isInteger } from "../../graph/dtype.ts";
import { EvenkeelError } from "../../errors.ts";

/** Words that `length` elements of `dtype` take. */
export function wordsOf(dtype: DType, length: number): number {
  return isInteger(dtype) ? 2 * length : length;
}

/**
 * Host memory as words. f32 data is returned as it is (not copied).
 * @throws EvenkeelError `dtype` if `data` isn't the host memory of `dtype`.
 */
export function toWords(data: TensorData, dtype: DType): Float32Array {
  if (dtypeOfData(data) !== dtype) {
    throw new EvenkeelError(
      "dtype",
      `upload: got ${data.constructor.name} (${dtypeOfData(data)}), the buffer's dtype is ${dtype}.`,
    );
  }
  if (data instanceof Float32Array) return data;
  const length = data.length;
  const words = new Float32Array(wordsOf(dtype, length));
  if (data instanceof Uint8Array) {
    for (let i = 0; i < length; i++) words[i] = data[i] === 0 ? 0 : 1;
    return words;
  }
  for (let i = 0; i < length; i++) {
    const value = data[i] ?? 0;
    words[i] = value >>> 16;
    words[length + i] = value & 0xffff;
  }
  return words;
}

/**
 * Words as host memory of `length` elements. f32 words are returned as they are (not copied).
 * @throws EvenkeelError `kernel` if `words` has another size than `length` elements of `dtype` take.
 */
export function fromWords(words: Float32Array, dtype: DType, length: number): TensorData {
  if (words.length !== wordsOf(dtype, length)) {
    throw new EvenkeelError(
      "kernel",
      `download: got ${words.length} words, ${length} elements of ${dtype} take ${wordsOf(dtype, length)}.`,
    );
  }
  if (dtype === "f32") return words;
  const data = allocateData(dtype, length);
  if (dtype === "bool") {
    for (let i = 0; i < length; i++) data[i] = words[i] === 0 ? 0 : 1;
    return data;
  }
  for (let i = 0; i < length; i++) data[i] = ((words[i] ?? 0) << 16) | (words[length + i] ?? 0);
  return data;
}
