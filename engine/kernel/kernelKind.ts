/** What sort of work a kernel is, for counting and for telling: read off what it folds and stores. */
import { at } from "../graph/shape.ts";
import { convolutionOf, factoredContractionOf } from "./contraction.ts";
import type { Kernel } from "./kernel.ts";
import { rootsOf, scalarsOf } from "./scalar.ts";
import { scatterOf } from "./scatter.ts";

/** The kinds in the order in which they are told. */
export const kernelKinds = [
  /** The gradient of an image is one too, of a padded cotangent. */
  "convolution",
  "filter gradient",
  /** A product of matrices: each element of both is used more than once. */
  "product",
  "scatter",
  "reduction",
  "element-wise",
  /** Values are moved and stay what they are. */
  "copy",
] as const;

/** What sort of work a kernel is. */
export type KernelKind = (typeof kernelKinds)[number];

/** The kind of a kernel: of what it folds, or whether what it stores is computed at all. */
export function kindOfKernel(kernel: Pick<Kernel, "axes" | "reduction" | "stores">): KernelKind {
  if (kernel.reduction === null) {
    const moves = scalarsOf(...rootsOf(kernel)).every(
      ({ kind }) => kind === "load" || kind === "gather" || kind === "region" || kind === "literal",
    );
    return moves ? "copy" : "element-wise";
  }
  if (scatterOf(kernel) !== null) return "scatter";
  const contraction = factoredContractionOf(kernel);
  if (contraction === null) return "reduction";
  const convolution = convolutionOf(kernel, contraction);
  if (convolution !== null) return convolution.kind === "forward" ? "convolution" : "filter gradient";
  const isRepeated = (axes: readonly number[]): boolean => axes.some((axis) => at(kernel.axes, axis).size > 1);
  return isRepeated(contraction.rows) && isRepeated(contraction.columns) ? "product" : "reduction";
}
