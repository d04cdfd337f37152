/**
 * Arithmetic on vectors of four 32-bit lanes, as WebAssembly SIMD.
 *
 * Every `emit*` takes its operands from the stack (v128, in order) and leaves its v128 result there. Functions too long
 * to repeat are added once to the module (`f.module`) and called. A bool lane is a mask: all ones or all zeros; in
 * memory a bool is four bytes 0 or 1 (load: `!= 0`, store: `& 1`). Nothing here touches memory or JavaScript.
 *
 * - `emitUnary(f, op, dtype)`: x; `dtype` is that of x.
 * - `emitBinary(f, op, dtype)`: x, y.
 * - `emitCompare(f, op, dtype)`: x, y of `dtype`, leaves a mask.
 * - `emitSelect(f)`: condition, x, y, leaves `condition ? x : y`.
 * - `emitCast(f, from, to)`: x.
 * - `emitShift(f, direction, amount, dtype)`: x.
 * - `emitThreefry(f, word)`: key0, key1, counter0, counter1.
 *   `emitThreefryBlock(f)` leaves both words; `threefry(f, ...blocks)` those of several blocks, written out in place.
 * - `emitLiteral(f, value, dtype)`: nothing. `literal(value, dtype)` is its code.
 */
export {
  emitBinary,
  emitCompare,
  emitSelect,
  emitShift,
  emitThreefry,
  emitThreefryBlock,
} from "./binary.ts";
export { emitCast, emitLiteral, literal } from "./cast.ts";
export { threefry } from "./threefry.ts";
export { emitUnary, longInPlace } from "./unary.ts";
