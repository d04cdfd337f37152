/** Kernels over parts of arrays that others have parts of, too. */
import { at } from "../../../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "../../../kernel/kernel.ts";
import { mapAffine, mapChildren, rewriter } from "../../../kernel/scalar.ts";

/** Where an operand or a result lies: in which array, from which element on. */
export type Place = { readonly array: number; readonly offset: number };

/** A kernel over parts of arrays. */
export type PlacedKernel = {
  readonly kernel: Kernel;
  readonly operands: readonly Place[];
  readonly results: readonly Place[];
};

/** Kernels that go through the same rows one after the other; see `Stage` of plans. */
export type PlacedRows = {
  readonly name: string;
  readonly stages: readonly (PlacedKernel & { readonly rows: readonly number[] })[];
  /** What is read that none of them makes, and what they make. */
  readonly operands: readonly Place[];
  readonly results: readonly Place[];
};

/**
 * The kernel with addresses in whole arrays.
 * @param numberOf the operand that an array is in the new kernel
 */
export function movedTo(
  kernel: Kernel,
  { operands, results }: PlacedKernel,
  numberOf: (array: number) => number,
): Kernel {
  const moved = ({ offset, coefficients }: Affine, by: number): Affine => ({ offset: offset + by, coefficients });
  const rewrite = rewriter((scalar, again) => {
    if (scalar.kind !== "load" && scalar.kind !== "gather") return undefined;
    const { array, offset } = at(operands, scalar.operand);
    const there: Scalar = {
      ...mapAffine(scalar, (address) => moved(address, offset)),
      operand: numberOf(array),
    } as typeof scalar;
    return mapChildren(there, again);
  });
  const [store, ...stores] = kernel.stores.map((each, result) => ({
    ...each,
    value: rewrite(each.value),
    at: moved(each.at, at(results, result).offset),
  }));
  if (store === undefined) throw new RangeError(`kernel ${kernel.name} has no result`);
  return {
    ...kernel,
    reduction: kernel.reduction && { ...kernel.reduction, body: rewrite(kernel.reduction.body) },
    stores: [store, ...stores],
  };
}
