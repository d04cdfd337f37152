/**
 * How tensors lie in the memory of a gpu.js device.
 *
 * For kernels that gpu.js translates everything is an f32 word, so that one storage works in every mode: f32 is one word an element,
 * bool one word (0 or 1). An f32 holds no 32-bit integer exactly, so i32 and u32 are split in two planes: words [0, n) hold the high 16
 * bits of each element (0..65535, two's complement), words [n, 2n) the low 16 bits.
 *
 * For WGSL of our own each element is a word of its own kind, a bool a u32 of 0 or 1.
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
  if (dtypeOfData(data) !== dtype) throw wrongData(data, dtype);
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
  if (words.length !== wordsOf(dtype, length)) throw wrongLength(words.length, dtype, length, wordsOf(dtype, length));
  if (dtype === "f32") return words;
  const data = allocateData(dtype, length);
  if (dtype === "bool") {
    for (let i = 0; i < length; i++) data[i] = words[i] === 0 ? 0 : 1;
    return data;
  }
  for (let i = 0; i < length; i++) data[i] = ((words[i] ?? 0) << 16) | (words[length + i] ?? 0);
  return data;
}

/** How elements become words and back. */
export type WordFormat = {
  readonly wordsOf: typeof wordsOf;
  /** Host memory as words, which may be the same memory. */
  readonly toWords: (data: TensorData, dtype: DType) => Float32Array | Int32Array | Uint32Array;
  /** Words as they were read, which may become the result. */
  readonly fromWords: typeof fromWords;
};

/** Of kernels that gpu.js translates. */
export const halvedIntegers: WordFormat = { wordsOf, toWords, fromWords };

/** Of WGSL of our own. */
export const wholeIntegers: WordFormat = {
  wordsOf: (_, length) => length,
  toWords: (data, dtype) => {
    const found = dtypeOfData(data);
    if (found !== dtype) throw wrongData(data, dtype);
    return data instanceof Uint8Array ? Uint32Array.from(data, (value) => (value === 0 ? 0 : 1)) : data;
  },
  fromWords: (words, dtype, length) => {
    if (words.length !== length) throw wrongLength(words.length, dtype, length, length);
    const whole = new Int32Array(words.buffer, words.byteOffset, length);
    switch (dtype) {
      case "f32":
        return words;
      case "i32":
        return whole;
      case "u32":
        return new Uint32Array(words.buffer, words.byteOffset, length);
      case "bool":
        return Uint8Array.from(whole, (value) => (value === 0 ? 0 : 1));
    }
  },
};

function wrongData(data: TensorData, dtype: DType): EvenkeelError {
  return new EvenkeelError(
    "dtype",
    `upload: got ${data.constructor.name} (${dtypeOfData(data)}), the buffer's dtype is ${dtype}.`,
  );
}

function wrongLength(words: number, dtype: DType, length: number, wanted: number): EvenkeelError {
  return new EvenkeelError("kernel", `download: got ${words} words, ${length} elements of ${dtype} take ${wanted}.`);
}
