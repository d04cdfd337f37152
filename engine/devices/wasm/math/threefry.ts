import { type Code, type FunctionBuilder, i32, i32x4, type Local, op } from "../assembler/index.ts";
import { bind, or, xor } from "./lanes.ts";

/** Rotations of Threefry-2x32 (Salmon et al. 2011, table 2), four rounds each, in turn. */
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;
/** The key schedule's parity constant (Skein's C240, low 32 bits). */
const parity = 0x1bd1_1bda;

/** Threefry-2x32 with 20 rounds of four counters under four keys. Leaves words 0 and 1 of the blocks. */
export function threefry(f: FunctionBuilder, key0: Local, key1: Local, counter0: Local, counter1: Local): void {
  const key2 = bind(f, "key2", xor(xor(key0, key1), i32x4(parity)));
  const keys = [key0, key1, key2];
  const keyAt = (index: number): Local => keys[index % 3] ?? key0;
  f.set(counter0, op("i32x4.add", counter0, key0));
  f.set(counter1, op("i32x4.add", counter1, key1));
  for (let group = 0; group < 5; group++) {
    for (const amount of rotations[group % 2 === 0 ? 0 : 1]) {
      f.set(counter0, op("i32x4.add", counter0, counter1));
      f.set(counter1, xor(rotate(counter1, amount), counter0));
    }
    f.set(counter0, op("i32x4.add", counter0, keyAt(group + 1)));
    f.set(counter1, op("i32x4.add", op("i32x4.add", counter1, keyAt(group + 2)), i32x4(group + 1)));
  }
  f.emit(counter0, counter1);
}

function rotate(x: Local, amount: number): Code {
  return or(op("i32x4.shl", x, i32(amount)), op("i32x4.shr_u", x, i32(32 - amount)));
}
