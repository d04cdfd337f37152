/** Numbers in 16 bits, two in a u32: states of half the memory. Made of whole numbers and powers of two alone, so equal on every device. */
import { EvenkeelError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../graph/shape.ts";
import { isTensor, type Tensor } from "../graph/tensor.ts";
import { foldIn, randomUniform } from "../random/index.ts";
import { mapTree } from "../tree.ts";
import {
  absolute,
  add,
  and,
  cast,
  castFinite,
  equal,
  floor,
  greaterEqual,
  isNaN as isNotANumber,
  less,
  multiply,
  negate,
  or,
  subtract,
  where,
} from "../ops/elementwise.ts";
import { scalar } from "../ops/creation.ts";
import { concat, pad, reshape, slice } from "../ops/movement.ts";
import { round } from "../ops/rounding.ts";
import { shiftLeft, shiftRight } from "../ops/shifts.ts";

/** IEEE 754 binary16 (11 digits, up to 65,504), or bfloat16 (8 digits, the range of float32). */
export type Format16 = "float16" | "bfloat16";

/** What a tensor is packed to. `bits` is [ceil(size / 2)]: the first half of its numbers in the low bits, the second in the high ones. */
export type Packed16 = { readonly format: Format16; readonly shape: Shape; readonly bits: Tensor };

/** A tree with its tensors packed. */
export type PackedTree<T> = T extends Tensor ? Packed16 : { readonly [K in keyof T]: PackedTree<T[K]> };

/** The tree that was packed. */
export type UnpackedTree<T> = T extends Packed16 ? Tensor : { readonly [K in keyof T]: UnpackedTree<T[K]> };

type Form = { readonly digits: number; readonly bias: number; readonly powers: readonly number[] };

/** Digits behind the leading one, what is added to exponents, and the powers of two that make all exponents from 0 up. */
const forms: Readonly<Record<Format16, Form>> = {
  float16: { digits: 10, bias: 15, powers: [8, 4, 2, 1] },
  bfloat16: { digits: 7, bias: 127, powers: [64, 32, 16, 8, 4, 2, 1] },
};

/** Sign, exponent and digits of an infinity without its sign. */
const infinityOf = ({ digits, bias }: Form): number => (2 * bias + 1) << digits;

/**
 * A tree of f32 tensors in half the memory: optimizer moments, averages, anything that a state keeps. Each number becomes the nearest of its
 * format, the even one of two; with a key it becomes one of its two neighbours by chance, so that the mean is the number itself: sums of
 * small steps, such as an average's, would otherwise stand still. What is too large becomes an infinity, NaN stays, -0 becomes 0, and
 * numbers below 2^-126 become 0 in bfloat16. It has no derivative. Memory is saved at the cost of some 40 instructions for a number each
 * way.
 * @param key as `randomKey` gives it, another one at each step
 * @returns the tree with a `Packed16` in place of each tensor: trees, too, for `createState`, `compileStep` and files
 * @throws EvenkeelError `dtype` if one isn't f32, `value` for another format
 * @example
 * ```ts
 * const packed = pack16({ mean: tensor([0.1, -2, 70000]) }, "bfloat16");
 * console.log(packed.mean.bits.shape); // [ 2 ]
 * console.log(await unpack16(packed).mean.array()); // [ 0.10009765625, -2, 70144 ]
 * ```
 */
export function pack16<T>(tree: T, format: Format16, key?: Tensor): PackedTree<T> {
  if (!Object.hasOwn(forms, format)) {
    throw new EvenkeelError("value", `pack16: format ${format} is neither "float16" nor "bfloat16".`);
  }
  let leaf = 0;
  const packed = mapTree(tree as unknown, (x, path): unknown => {
    if (x.dtype !== "f32") {
      throw new EvenkeelError(
        "dtype",
        `pack16: ${path === "" ? "the tensor" : path} is ${x.dtype}, but f32 alone is packed. Keep it beside what is packed.`,
      );
    }
    const chance = key === undefined ? undefined : randomUniform(foldIn(key, leaf), x.shape);
    leaf++;
    return { format, shape: x.shape, bits: twoByTwo(bitsOf(x, forms[format], chance)) } satisfies Packed16;
  });
  return packed as PackedTree<T>;
}

/**
 * The numbers of a packed tree, as f32.
 * @throws EvenkeelError `value` if something else than packed tensors is there
 * @example
 * ```ts
 * // A mean in 16 bits that a step reads and writes.
 * const first = pack16(zeros([2]), "float16");
 * const next = pack16(add(unpack16(first), tensor([0.5, 1 / 3])), "float16");
 * console.log(await unpack16(next).array()); // [ 0.5, 0.333251953125 ]
 * ```
 */
export function unpack16<T>(packed: T): UnpackedTree<T> {
  return unpacked(packed, "") as UnpackedTree<T>;
}

function unpacked(tree: unknown, path: string): unknown {
  if (isPacked(tree)) return numbersOf(tree);
  if (isTensor(tree)) {
    throw new EvenkeelError(
      "value",
      `unpack16: ${path === "" ? "the value" : path} is a tensor that isn't packed. Give what pack16 gave.`,
    );
  }
  if (Array.isArray(tree)) return tree.map((child, i) => unpacked(child, `${path}[${i}]`));
  if (typeof tree !== "object" || tree === null) return tree;
  const children = Object.entries(tree).map(([name, child]) => [
    name,
    unpacked(child, path === "" ? name : `${path}.${name}`),
  ]);
  return Object.fromEntries(children);
}

function isPacked(tree: unknown): tree is Packed16 {
  if (typeof tree !== "object" || tree === null || !("bits" in tree && "format" in tree && "shape" in tree))
    return false;
  return isTensor(tree.bits) && typeof tree.format === "string" && Object.hasOwn(forms, tree.format);
}

/** u32: the 16 bits of each number. */
function bitsOf(x: Tensor, form: Form, chance: Tensor | undefined): Tensor {
  const { digits, bias, powers } = form;
  // From 2^(bias + 1) on nothing is left to round.
  const isBeyond = greaterEqual(multiply(absolute(x), 0.5), 2 ** bias);
  const size = where(or(isNotANumber(x), isBeyond), 0, absolute(x));
  // As one to two times a power of two; what is smaller than the least power keeps that, with a zero in front.
  const isSmall = less(size, 1);
  let fraction = where(isSmall, multiply(size, 2 ** (bias - 1)), size);
  // One less than the exponent as it is stored: the leading one of the fraction adds the rest.
  let exponent = where(isSmall, u32(0), bias - 1);
  for (const power of powers) {
    const isLarge = greaterEqual(fraction, 2 ** power);
    fraction = where(isLarge, multiply(fraction, 2 ** -power), fraction);
    exponent = add(exponent, where(isLarge, u32(power), 0));
  }
  // Whole digits; they carry into the exponent where they are rounded up to its next power.
  const scaled = multiply(fraction, 2 ** digits);
  const below = floor(scaled);
  const whole = chance === undefined ? round(scaled) : add(below, cast(less(chance, subtract(scaled, below)), "f32"));
  const finite = add(shiftLeft(exponent, digits), castFinite(whole, "u32"));
  const infinity = infinityOf(form);
  const special = where(isNotANumber(x), u32(infinity + (1 << (digits - 1))), where(isBeyond, u32(infinity), finite));
  return or(special, where(less(x, 0), u32(0x8000), 0));
}

/** f32: the number of each 16 bits. */
function valueOf(bits: Tensor, form: Form): Tensor {
  const { digits, bias, powers } = form;
  const exponent = and(shiftRight(bits, digits), 2 * bias + 1);
  const fraction = cast(and(bits, (1 << digits) - 1), "f32");
  // Below bfloat16's least power float32 has no numbers on every device.
  const smallest = form === forms.bfloat16 ? 0 : multiply(fraction, 2 ** (1 - bias - digits));
  const isUp = greaterEqual(exponent, bias);
  const distance = where(isUp, subtract(exponent, bias), subtract(u32(bias), exponent));
  const scaled = powers.reduce(
    (value, power) =>
      multiply(value, where(equal(and(distance, power), 0), 1, where(isUp, scalar(2 ** power), 2 ** -power))),
    add(multiply(fraction, 2 ** -digits), 1),
  );
  const special = where(equal(fraction, 0), scalar(Infinity), NaN);
  const size = where(equal(exponent, 0), smallest, where(equal(exponent, 2 * bias + 1), special, scaled));
  return where(equal(and(bits, 0x8000), 0), size, negate(size));
}

const u32 = (value: number): Tensor => scalar(value, "u32");

const halfOf = (shape: Shape): number => Math.ceil(sizeOf(shape) / 2);

/** Two of each u32 of 16 bits in one: its first half in the low bits. */
function twoByTwo(bits: Tensor): Tensor {
  const half = halfOf(bits.shape);
  const flat = pad(reshape(bits, [bits.size]), [[0, 2 * half - bits.size]]);
  return or(slice(flat, [[0, half]]), shiftLeft(slice(flat, [[half, 2 * half]]), 16));
}

function numbersOf({ format, shape, bits }: Packed16): Tensor {
  const half = halfOf(shape);
  if (bits.dtype !== "u32" || bits.shape.join() !== String(half)) {
    throw new EvenkeelError(
      "value",
      `unpack16: numbers of ${formatShape(shape)} are u32 [${half}] when packed, not ${bits.dtype} ${formatShape(bits.shape)}.`,
    );
  }
  const both = concat([and(bits, 0xffff), shiftRight(bits, 16)]);
  return reshape(valueOf(slice(both, [[0, sizeOf(shape)]]), forms[format]), [...shape]);
}
