/** Numbers that 16 bits hold, and memory in which they take no more. */
import { at } from "../graph/shape.ts";
import type { Kernel, Operand, Scalar, Store, Storage } from "./kernel.ts";

/** Bytes of elements in memory: whole words. */
export function storedBytes({ length, storage }: { readonly length: number; readonly storage?: Storage }): number {
  return storage === "float16" ? 4 * Math.ceil(length / 2) : 4 * length;
}

/** The largest finite one, and the smallest above 0: what is subnormal isn't kept. */
const [largest, smallest] = [65504, 2 ** -14];

/**
 * Whether an expression gives nothing but numbers that `roundToFloat16` gives, as its form tells.
 * @param isOperand whether all elements of an operand are such
 */
export function givesFloat16(root: Scalar, isOperand: (operand: number) => boolean): boolean {
  const known = new Map<Scalar, boolean>();
  const gives = (scalar: Scalar): boolean => {
    const before = known.get(scalar);
    if (before !== undefined) return before;
    const answer = scalar.dtype === "f32" && look(scalar);
    known.set(scalar, answer);
    return answer;
  };
  const look = (scalar: Scalar): boolean => {
    switch (scalar.kind) {
      case "load":
      case "gather":
        return isOperand(scalar.operand);
      case "literal":
        return isFloat16(scalar.value);
      case "unary":
        if (scalar.op === "negate" || scalar.op === "absolute") return gives(scalar.x);
        return scalar.op === "roundToFloat16";
      case "binary":
        return (scalar.op === "maximum" || scalar.op === "minimum") && gives(scalar.x) && gives(scalar.y);
      case "select":
        return gives(scalar.x) && gives(scalar.y);
      case "region":
      case "within":
        return gives(scalar.inside) && gives(scalar.outside);
      default:
        return false;
    }
  };
  return gives(root);
}

function isFloat16(value: number): boolean {
  const magnitude = Math.abs(value);
  if (value === 0 || magnitude === Infinity || Number.isNaN(value)) return true;
  // Numbers of 11 bits: the rest of the mantissa is 0.
  const units = magnitude / 2 ** (Math.floor(Math.log2(magnitude)) - 10);
  return magnitude >= smallest && magnitude <= largest && Number.isInteger(units);
}

/** The kernel with arrays of these in memory as 16-bit floats. */
export function withFloat16(
  kernel: Kernel,
  isOperand: (operand: number) => boolean,
  isResult: (result: number) => boolean,
): Kernel {
  const changed = {
    operands: kernel.operands.map((_, i) => isOperand(i)),
    results: kernel.stores.map((_, i) => isResult(i)),
  };
  if (![...changed.operands, ...changed.results].includes(true)) return kernel;
  const marked = <T extends Operand | Store>(array: T, is: boolean): T =>
    is ? { ...array, storage: "float16" } : array;
  const [first, ...others] = kernel.stores.map((store, i) => marked(store, at(changed.results, i)));
  if (first === undefined) throw new RangeError(`kernel ${kernel.name} has no result`);
  const operands = kernel.operands.map((operand, i) => marked(operand, at(changed.operands, i)));
  const saved = [...operands, first, ...others].reduce((sum, array) => sum + 4 * array.length - storedBytes(array), 0);
  return { ...kernel, operands, stores: [first, ...others], bytes: kernel.bytes - saved };
}
