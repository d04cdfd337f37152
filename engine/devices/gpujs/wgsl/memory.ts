/** Which arrays are read and written in fours, and how. */
import { at } from "../../../graph/shape.ts";
import { isAligned } from "../../../kernel/affine.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { isRead } from "../../../kernel/access.ts";
import { addressText, quadText } from "./addresses.ts";
import type { Loads, Place, Value } from "./expression.ts";
import { halvesOf } from "./halves.ts";
import { splat, storedType } from "./types.ts";
import type { Aliases, Arrays, BoundArray } from "./wgslKernel.ts";
import type { WgslWriter } from "./writer.ts";

/** Whether an array is bound as vectors of four. */
export type IsVector = (bound: Pick<BoundArray, "kind" | "index">) => boolean;

/**
 * The arrays of which all that is touched are aligned fours along `lane`. What lies in one array is bound with one type, so all of it
 * has to be. Without a lane: none. 16-bit floats are bound in fours whatever is touched.
 */
export function vectorArrays(kernel: Kernel, aliases: Aliases, lane: number | null): IsVector {
  const isHalf: IsVector = ({ kind, index }) =>
    (kind === "operand" ? at(kernel.operands, index) : at(kernel.stores, index)).storage === "float16";
  if (lane === null) return isHalf;
  const operands = kernel.operands.map(() => true);
  for (const scalar of scalarsOf(...rootsOf(kernel))) {
    if (isRead(scalar) && (scalar.kind === "gather" || !isAligned(scalar.at, lane))) operands[scalar.operand] = false;
  }
  const results = kernel.stores.map((store) => isAligned(store.at, lane) && store.length % 4 === 0);
  aliases.operands.forEach((result, operand) => {
    if (result !== null && !at(operands, operand)) results[result] = false;
  });
  // Of results in one array the first speaks for all.
  const whole = aliases.results.map((first) =>
    results.every((isVector, result) => isVector || at(aliases.results, result) !== first),
  );
  return (bound) => isHalf(bound) || at(bound.kind === "operand" ? operands : whole, bound.index);
}

/** Reads straight from the arrays. */
export function loadsFrom(arrays: Arrays, aliases: Aliases, isVector: IsVector): Loads {
  const isBoundAsVectors = (operand: number): boolean => {
    const result = aliases.operands[operand] ?? null;
    return isVector(result === null ? { kind: "operand", index: operand } : { kind: "result", index: result });
  };
  return {
    element: (operand, index) => {
      const name = arrays.operandName(operand);
      if (arrays.isHalf("operand", operand)) return halvesOf(name).element(index);
      const text = isBoundAsVectors(operand) ? `${name}[(${index}) / 4u][(${index}) % 4u]` : `${name}[${index}]`;
      return arrays.asOperand(operand, text, 1);
    },
    quad: (operand, affine, { axes, lane, address }, index) => {
      if (lane === null || !isBoundAsVectors(operand)) return null;
      const name = arrays.operandName(operand);
      const number = address === undefined ? quadText(affine, axes, lane.axis, lane.quarter) : `(${index}) / 4u`;
      if (arrays.isHalf("operand", operand)) {
        // A place with addresses of its own has aligned ones alone.
        return address !== undefined || isAligned(affine, lane.axis) ? halvesOf(name).four(number) : null;
      }
      return arrays.asOperand(operand, `${name}[${number}]`, 4);
    },
  };
}

/** Writes what a point, or four neighbours, give to each result. */
export function storeResults(
  writer: WgslWriter,
  kernel: Kernel,
  arrays: Arrays,
  isVector: IsVector,
  { axes, lane }: Place,
  values: readonly Value[],
): void {
  const lanes = lane === null ? 1 : 4;
  const words = values.map(({ text, dtype }) => {
    const word =
      dtype === "bool" ? `select(${splat("0u", "u32", lanes)}, ${splat("1u", "u32", lanes)}, ${text})` : text;
    // All is read before anything is written.
    return values.length === 1 ? word : writer.atom(word);
  });
  kernel.stores.forEach(({ dtype, at: address }, result) => {
    const word = at(words, result);
    const index = addressText(address, axes);
    const name = arrays.resultName(result);
    if (arrays.isHalf("result", result)) {
      if (lane === null || !isAligned(address, lane.axis)) {
        throw new Error(`webgpu kernel ${kernel.name}: result ${result} is in 16 bits and isn't written in fours`);
      }
      writer.line(halvesOf(name).store(quadText(address, axes, lane.axis, lane.quarter), word));
    } else if (lane === null) writer.line(`${name}[${index}] = ${word};`);
    else if (isVector({ kind: "result", index: result })) {
      writer.line(`${name}[${quadText(address, axes, lane.axis, lane.quarter)}] = ${word};`);
    } else {
      const [value, first] = [writer.fresh(), writer.local(index)];
      writer.line(`let ${value}: ${storedType(dtype, 4)} = ${word};`);
      const step = at(address.coefficients, lane.axis);
      [0, 1, 2, 3].forEach((i) => writer.line(`${name}[${first} + ${i * step}u] = ${value}[${i}];`));
    }
  });
}
