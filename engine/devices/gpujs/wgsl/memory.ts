/** Which arrays are read and written in fours, and how. */
import { at } from "../../../graph/shape.ts";
import { isAligned } from "../../../kernel/affine.ts";
import type { Kernel } from "../../../kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { isRead } from "../../../kernel/access.ts";
import { addressText, quadText } from "./addresses.ts";
import type { Loads, Place, Value } from "./expression.ts";
import { splat, storedType } from "./types.ts";
import type { Aliases, Arrays, BoundArray } from "./wgslKernel.ts";
import type { WgslWriter } from "./writer.ts";

/** Whether an array is bound as vectors of four. */
export type IsVector = (bound: Pick<BoundArray, "kind" | "index">) => boolean;

/**
 * The arrays of which all that is touched are aligned fours along `lane`. What lies in one array is bound with one type, so all of it
 * has to be. Without a lane: none.
 */
export function vectorArrays(kernel: Kernel, aliases: Aliases, lane: number | null): IsVector {
  if (lane === null) return () => false;
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
  return ({ kind, index }) => at(kind === "operand" ? operands : whole, index);
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
      const text = isBoundAsVectors(operand) ? `${name}[(${index}) / 4u][(${index}) % 4u]` : `${name}[${index}]`;
      return arrays.asOperand(operand, text, 1);
    },
    quad: (operand, affine, { axes, lane, address }, index) => {
      if (lane === null || !isBoundAsVectors(operand)) return null;
      const four = address === undefined ? quadText(affine, axes, lane.axis, lane.quarter) : `(${index}) / 4u`;
      return arrays.asOperand(operand, `${arrays.operandName(operand)}[${four}]`, 4);
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
    if (lane === null) writer.line(`${name}[${index}] = ${word};`);
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
