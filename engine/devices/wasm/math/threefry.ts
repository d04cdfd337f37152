import { type Code, type FunctionBuilder, i32, i32x4, type Local, op } from "../assembler/index.ts";
import { bind, or, xor } from "./lanes.ts";

/** Rotations of Threefry-2x32 (Salmon et al. 2011, table 2), four rounds each, in turn. */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;
/** The key schedule's parity constant (Skein's C240, low 32 bits). */
const parity = 0x1bd1_1bda;

/** Keys and counters of four blocks; the counters become the blocks. */
export type Block = Readonly<Record<"key0" | "key1" | "counter0" | "counter1", Local>>;

/**
 * Threefry-2x32 with 20 rounds of four counters under four keys, or of several such fours side by side: each round waits for the one
 * before, and meanwhile the others have theirs. Leaves words 0 and 1 of the blocks of each.
 */
export function threefry(f: FunctionBuilder, ...blocks: readonly Block[]): void {
  const all = blocks.map((block) => {
    const key2 = bind(f, "key2", xor(xor(block.key0, block.key1), i32x4(parity)));
    return { ...block, keys: [block.key0, block.key1, key2] };
  });
  const keyAt = ({ key0, keys }: (typeof all)[number], index: number): Local => keys[index % 3] ?? key0;
  for (const { key0, key1, counter0, counter1 } of all) {
    f.set(counter0, op("i32x4.add", counter0, key0));
    f.set(counter1, op("i32x4.add", counter1, key1));
  }
  for (let group = 0; group < 5; group++) {
    for (const amount of rotations[group % 2 === 0 ? 0 : 1]) {
      for (const { counter0, counter1 } of all) f.set(counter0, op("i32x4.add", counter0, counter1));
      for (const { counter0, counter1 } of all) f.set(counter1, xor(rotate(counter1, amount), counter0));
    }
    for (const block of all) {
      const { counter0, counter1 } = block;
      f.set(counter0, op("i32x4.add", counter0, keyAt(block, group + 1)));
      f.set(counter1, op("i32x4.add", op("i32x4.add", counter1, keyAt(block, group + 2)), i32x4(group + 1)));
    }
  }
  for (const { counter0, counter1 } of all) f.emit(counter0, counter1);
}

function rotate(x: Local, amount: number): Code {
  return or(op("i32x4.shl", x, i32(amount)), op("i32x4.shr_u", x, i32(32 - amount)));
}
