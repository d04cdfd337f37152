import { affineKey } from "./affine.ts";
import type { Kernel, Scalar } from "./kernel.ts";
import { childrenOf } from "./scalar.ts";

/**
 * Text that is equal for kernels that compute the same in the same way, whatever their names and the lengths of their operands. Its
 * length is linear in the distinct expressions: each is a line that names its parts by their lines' numbers.
 */
export function kernelKey({ axes, operands, reduction, stores }: Kernel): string {
  const numbers = new Map<Scalar, number>();
  const lines = new Map<string, number>();
  const number = (scalar: Scalar): number => {
    const known = numbers.get(scalar);
    if (known !== undefined) return known;
    const parts = childrenOf(scalar).map(number);
    const line = `${scalar.kind} ${scalar.dtype} ${ownText(scalar)} (${parts.join()})`;
    // Equal expressions are one, whether they are one object or not.
    const index = lines.get(line) ?? lines.size;
    lines.set(line, index);
    numbers.set(scalar, index);
    return index;
  };
  const fold = reduction === null ? "" : `${reduction.op} ${number(reduction.body)}`;
  const stored = stores.map(({ value, dtype, at }) => `${number(value)} ${dtype} ${affineKey(at)}`);
  return [
    axes.map(({ role, size }) => `${role} ${size}`).join(),
    operands.map(({ dtype }) => dtype).join(),
    fold,
    stored.join(),
    ...lines.keys(),
  ].join("\n");
}

/** What an expression is beside its kind, its dtype and its parts. */
function ownText(scalar: Scalar): string {
  switch (scalar.kind) {
    case "load":
      return `${scalar.operand}[${affineKey(scalar.at)}]`;
    case "gather":
      return `${scalar.operand}[${affineKey(scalar.at)} by ${scalar.stride} of ${scalar.size}]`;
    case "literal":
      return Object.is(scalar.value, -0) ? "-0" : String(scalar.value);
    case "index":
      return affineKey(scalar.at);
    case "unary":
    case "binary":
    case "compare":
      return scalar.op;
    case "shift":
      return `${scalar.direction} ${scalar.amount}`;
    case "threefry":
      return String(scalar.word);
    case "region":
      return `${scalar.axis} ${scalar.start} ${scalar.stop}`;
    case "select":
    case "cast":
    case "accumulator":
      return "";
  }
}
