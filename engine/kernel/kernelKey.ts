import { affineKey } from "./affine.ts";
import type { Affine, Kernel, Scalar } from "./kernel.ts";
import { childrenOf, mapChildren, rewriter } from "./scalar.ts";

/**
 * Text that is equal for kernels that compute the same in the same way, whatever their names and the lengths of their operands. Its
 * length is linear in the distinct expressions: each is a line that names its parts by their lines' numbers.
 */
export function kernelKey(kernel: Kernel): string {
  return keyOf(kernel, { size: String, address: affineKey, ownText });
}

/**
 * Text that is equal for kernels that compute the same but for numbers: the sizes of axes, strides, offsets, literals. Which axes move an
 * address it does tell.
 */
export function kernelForm(kernel: Kernel): string {
  const address = ({ coefficients }: Affine): string => coefficients.map(Math.sign).join();
  return keyOf(kernel, {
    size: () => "",
    address,
    ownText: (scalar) => {
      switch (scalar.kind) {
        case "load":
        case "gather":
          return `${scalar.operand}[${address(scalar.at)}]`;
        case "index":
          return address(scalar.at);
        case "literal":
        case "shift":
          return "";
        case "region":
          return String(scalar.axis);
        default:
          return ownText(scalar);
      }
    },
  });
}

/** How what may differ between kernels of one key is told. */
type Telling = {
  readonly size: (size: number) => string;
  readonly address: (address: Affine) => string;
  readonly ownText: (scalar: Scalar) => string;
};

function keyOf(
  { axes, operands, reduction, stores }: Kernel,
  { size: sizeText, address, ownText: told }: Telling,
): string {
  const numbers = new Map<Scalar, number>();
  const lines = new Map<string, number>();
  const number = (scalar: Scalar): number => {
    const known = numbers.get(scalar);
    if (known !== undefined) return known;
    const parts = childrenOf(scalar).map(number);
    const line = `${scalar.kind} ${scalar.dtype} ${told(scalar)} (${parts.join()})`;
    // Equal expressions are one, whether they are one object or not.
    const index = lines.get(line) ?? lines.size;
    lines.set(line, index);
    numbers.set(scalar, index);
    return index;
  };
  const fold = reduction === null ? "" : `${reduction.op} ${number(reduction.body)}`;
  const stored = stores.map(({ value, dtype, storage, at }) => `${number(value)} ${storage ?? dtype} ${address(at)}`);
  return [
    axes.map(({ role, size }) => `${role} ${sizeText(size)}`).join(),
    operands.map(({ dtype, storage }) => storage ?? dtype).join(),
    fold,
    stored.join(),
    ...lines.keys(),
  ].join("\n");
}

/** Gives one object for all equal expressions that it is asked about, made of such. */
export function sharing(): (scalar: Scalar) => Scalar {
  const numbers = new Map<Scalar, number>();
  const known = new Map<string, Scalar>();
  return rewriter((scalar, rewrite) => {
    const own = mapChildren(scalar, rewrite);
    const parts = childrenOf(own).map((part) => numbers.get(part));
    const line = `${own.kind} ${own.dtype} ${ownText(own)} (${parts.join()})`;
    const first = known.get(line) ?? own;
    known.set(line, first);
    if (!numbers.has(first)) numbers.set(first, numbers.size);
    return first;
  });
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
    case "within":
      return `${affineKey(scalar.at)} ${scalar.start} ${scalar.stop}`;
    case "select":
    case "cast":
    case "accumulator":
      return "";
  }
}
