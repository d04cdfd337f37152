/**
 * Threefry-2x32-20 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, 2011) on 16-bit limbs,
 * as the body of a helper function that returns [high of word 0, low of word 0, high of word 1, low of word 1].
 */
import { at } from "../../../graph/shape.ts";
import type { Limbs } from "./limbs.ts";
import { addLimbs, bitwiseLimbs, literalLimbs, shiftLeftLimbs, shiftRightLimbs } from "./limbs.ts";
import type { KernelWriter } from "./writer.ts";

const rotations = [13, 15, 26, 6, 17, 29, 16, 24];
const rounds = 20;
const parity = 0x1bd11bda;

/** Arguments of the helper: high and low limb of key 0, key 1, counter 0, counter 1. */
export const threefryArguments = ["key0h", "key0l", "key1h", "key1l", "count0h", "count0l", "count1h", "count1l"];

function rotateLeft(writer: KernelWriter, x: Limbs, amount: number): Limbs {
  if (amount === 16) return { high: x.low, low: x.high };
  const left = shiftLeftLimbs(writer, x, amount);
  const right = shiftRightLimbs(writer, x, 32 - amount, false);
  // The two have no bit in common.
  const join = (a: string, b: string): string => (a === "0" ? b : b === "0" ? a : writer.local(`(${a} + ${b})`));
  return { high: join(left.high, right.high), low: join(left.low, right.low) };
}

/** Writes the rounds and the return statement. */
export function writeThreefry(writer: KernelWriter): void {
  const key0: Limbs = { high: "key0h", low: "key0l" };
  const key1: Limbs = { high: "key1h", low: "key1l" };
  const key2 = bitwiseLimbs(writer, "xorHalves", bitwiseLimbs(writer, "xorHalves", key0, key1), literalLimbs(parity));
  const keys = [key0, key1, key2];
  const key = (index: number): Limbs => keys[index % 3] ?? key0;
  let word0 = addLimbs(writer, { high: "count0h", low: "count0l" }, key(0));
  let word1 = addLimbs(writer, { high: "count1h", low: "count1l" }, key(1));
  for (let round = 0; round < rounds; round++) {
    word0 = addLimbs(writer, word0, word1);
    word1 = bitwiseLimbs(writer, "xorHalves", rotateLeft(writer, word1, at(rotations, round % 8)), word0);
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      word0 = addLimbs(writer, word0, key(injection));
      word1 = addLimbs(writer, addLimbs(writer, word1, key(injection + 1)), literalLimbs(injection));
    }
  }
  writer.line(`return [${word0.high}, ${word0.low}, ${word1.high}, ${word1.low}];`);
}
