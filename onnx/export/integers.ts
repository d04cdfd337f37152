/**
 * Integers of 32 bits that wrap, on signed operators: runtimes have few for unsigned ones, save shifts. Their sums and products have the
 * same bits either way.
 */
import type { DType } from "../../engine/graph/dtype.ts";
import type { NodeOf } from "../../engine/graph/node.ts";
import type { GraphWriter } from "./graphWriter.ts";

const lowest = -(2 ** 31);

/** The bits with the top one turned around: an order of unsigned integers becomes that of signed ones. */
export const flipped = (w: GraphWriter, x: string): string => w.op("BitwiseXor", [x, w.number("i32", lowest)]);

/** Shifts bits, zeros coming in. */
function shifted(w: GraphWriter, x: string, direction: "LEFT" | "RIGHT", amount: number): string {
  const by = w.constant("u32", [], [amount]);
  return w.cast(w.op("BitShift", [w.cast(x, "u32"), by], { direction: { text: direction } }), "i32");
}

export function shift(w: GraphWriter, node: NodeOf<"shift">): string {
  const { direction, amount } = node.attributes;
  const x = w.value(node.inputs[0]);
  if (amount === 0) return x;
  if (direction === "left") return shifted(w, x, "LEFT", amount);
  if (node.dtype === "u32") return shifted(w, x, "RIGHT", amount);
  // With the bits that go away taken off first, a quotient is exact, whichever way it would be rounded.
  if (amount === 31) return w.op("Neg", [w.cast(w.op("Less", [x, w.number("i32", 0)]), "i32")]);
  const kept = w.op("BitwiseAnd", [x, w.number("i32", -(2 ** amount))]);
  return w.op("Div", [kept, w.number("i32", 2 ** amount)]);
}

/** The quotient towards zero; 0 where the divisor is 0. */
export function divideInteger(w: GraphWriter, x: string, y: string, dtype: DType): string {
  return dtype === "u32" ? divideUnsigned(w, x, y) : divideSigned(w, x, y);
}

function divideSigned(w: GraphWriter, x: string, y: string): string {
  const zero = w.number("i32", 0);
  const [isZero, isMinusOne] = [w.op("Equal", [y, zero]), w.op("Equal", [y, w.number("i32", -1)])];
  // -2^31 / -1 would end programs, and so would 0.
  const divisor = w.op("Where", [w.op("Or", [isZero, isMinusOne]), w.number("i32", 1), y]);
  const quotient = w.op("Div", [x, divisor]);
  return w.op("Where", [isZero, zero, w.op("Where", [isMinusOne, w.op("Neg", [x]), quotient])]);
}

/**
 * By a divisor below 2^31: twice the quotient of half of x, and one more if what is left allows. By a larger one: 1 or 0. Warren,
 * Hacker's Delight, 9-3.
 */
function divideUnsigned(w: GraphWriter, x: string, y: string): string {
  const [zero, one] = [w.number("i32", 0), w.number("i32", 1)];
  const isLarge = w.op("Less", [y, zero]);
  const isZero = w.op("Equal", [y, zero]);
  const atLeast = (a: string, b: string): string => w.cast(w.op("LessOrEqual", [flipped(w, b), flipped(w, a)]), "i32");
  const divisor = w.op("Where", [w.op("Or", [isLarge, isZero]), one, y]);
  const even = shifted(w, w.op("Div", [shifted(w, x, "RIGHT", 1), divisor]), "LEFT", 1);
  const rest = w.op("Sub", [x, w.op("Mul", [even, divisor])]);
  const quotient = w.op("Add", [even, atLeast(rest, divisor)]);
  return w.op("Where", [isZero, zero, w.op("Where", [isLarge, atLeast(x, y), quotient])]);
}

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** Threefry-2x32 with 20 rounds (Salmon et al., SC 2011). Both words are made of the same nodes. */
export function threefry(w: GraphWriter, node: NodeOf<"threefry">): string {
  const [key0 = "", key1 = "", counter0 = "", counter1 = ""] = w.operands(node);
  const add = (a: string, b: string): string => w.op("Add", [a, b]);
  const xor = (a: string, b: string): string => w.op("BitwiseXor", [a, b]);
  const keys = [key0, key1, xor(xor(key0, key1), w.number("u32", 0x1bd11bda))];
  const keyOf = (injection: number): string => keys[injection % 3] ?? "";
  let [x, y] = [add(counter0, key0), add(counter1, key1)];
  for (const injection of [1, 2, 3, 4, 5]) {
    for (const rotation of rotations[injection % 2 === 1 ? 0 : 1]) {
      x = add(x, y);
      const turned = w.op("BitwiseOr", [shifted(w, y, "LEFT", rotation), shifted(w, y, "RIGHT", 32 - rotation)]);
      y = xor(turned, x);
    }
    x = add(x, keyOf(injection));
    y = add(add(y, keyOf(injection + 1)), w.number("u32", injection));
  }
  return node.attributes.word === 0 ? x : y;
}
