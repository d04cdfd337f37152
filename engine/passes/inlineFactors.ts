/**
 * Values with borders that nothing but products reads, such as padded images and concatenations, are made where the products read them
 * rather than stored: for devices that copy what products read closer first, and so make each of these values few times.
 */
import type { DeviceLimits } from "../devices/device.ts";
import type { Graph } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { factoredContractionOf } from "../kernel/contraction.ts";
import { combine, constantIndex, type IndexExpression, rangeOf, toAffine, unflatten } from "../kernel/indexing.ts";
import type { Affine, Axis, Scalar } from "../kernel/kernel.ts";
import type { LoweredKernel } from "../kernel/kernelWalk.ts";
import { isRead } from "../kernel/access.ts";
import { mapAffine, mapChildren, rewriter, scalarsOf } from "../kernel/scalar.ts";
import { storageOf } from "../kernel/views.ts";
import type { FusedKernel } from "./fuse.ts";

/** Smaller products are summed term by term, and would ask for a border at each. */
const shortestSide = 8;
const leastProducts = 2 ** 16;

type Limits = Pick<DeviceLimits, "factors" | "operands" | "arrays">;

/** Kernels of which products hold what makes their factors. */
export function inlineFactors(kernels: readonly FusedKernel[], graph: Graph, limits: Limits): readonly FusedKernel[] {
  if (limits.factors === "stored") return kernels;
  const outputs = new Set(graph.outputs.map(storageOf));
  const made = new Map<Node, number>();
  for (const { root } of kernels) made.set(root, (made.get(root) ?? 0) + 1);
  const left: (FusedKernel | null)[] = [...kernels];
  // From the last on: what a value is made of may be such a value, too.
  for (const [place, fused] of [...left.entries()].reverse()) {
    if (fused === null || outputs.has(fused.root) || made.get(fused.root) !== 1 || !isFactor(fused.kernel)) continue;
    const readers = left.flatMap((other, index) =>
      other?.kernel.sources.includes(fused.root) === true ? [{ index, kernel: other.kernel, root: other.root }] : [],
    );
    const inlined = readers.map(({ kernel }) => inline(fused, kernel, limits));
    if (readers.length === 0 || inlined.includes(null)) continue;
    readers.forEach(({ index, root }, i) => {
      const kernel = inlined[i] ?? null;
      if (kernel !== null) left[index] = { root, kernel };
    });
    left[place] = null;
  }
  return left.flatMap((fused) => fused ?? []);
}

/** Whether a kernel makes a value with borders. */
function isFactor({ reduction, value }: LoweredKernel): boolean {
  return reduction === null && value.dtype === "f32" && scalarsOf(value).some(({ kind }) => kind === "region");
}

/** The product with the factor made where it was read; null if it is no product, or one that can't hold it. */
function inline({ root, kernel: factor }: FusedKernel, product: LoweredKernel, limits: Limits): LoweredKernel | null {
  const { reduction, sources } = product;
  const number = sources.indexOf(root);
  const reads = (scalar: Scalar): boolean => isRead(scalar) && scalar.operand === number;
  if (reduction === null || scalarsOf(product.value).some(reads)) return null;
  const axes = axesOf(product);
  const kept = [...new Set([...sources, ...factor.sources])].filter((source) => source !== root);
  const operandOf = (source: Node): number => kept.indexOf(source);
  const refused: Scalar[] = [];
  const body = rewriter((scalar, rewrite) => {
    if (!isRead(scalar)) return undefined;
    if (!reads(scalar)) {
      const operand = operandOf(at(sources, scalar.operand));
      return scalar.kind === "load" ? { ...scalar, operand } : { ...scalar, operand, index: rewrite(scalar.index) };
    }
    const made = scalar.kind === "load" ? factorAt(factor, scalar.at, axes) : null;
    if (made !== null) return renumbered(made, (operand) => operandOf(at(factor.sources, operand)));
    refused.push(scalar);
    return scalar;
  })(reduction.body);
  if (refused.length > 0) return null;
  const operands = kept.map((source) => ({ dtype: source.dtype, length: sizeOf(source.shape) }));
  const value = renumbered(product.value, (operand) => operandOf(at(sources, operand)));
  const gates = [...new Set([...product.gates, ...factor.gates])];
  const whole = { ...product, sources: kept, gates, operands, value, reduction: { ...reduction, body } };
  const fits = operands.length <= limits.operands && operands.length + 1 <= limits.arrays;
  return fits && isWorthTiles(axes, whole) ? whole : null;
}

function isWorthTiles(axes: readonly Axis[], { reduction }: LoweredKernel): boolean {
  const contraction = factoredContractionOf({ axes, reduction });
  if (contraction === null) return false;
  const points = (of: readonly number[]): number => sizeOf(of.map((axis) => at(axes, axis).size));
  const sides = [contraction.rows, contraction.columns, contraction.depth].map(points);
  return Math.min(...sides) >= shortestSide && sizeOf(axes.map(({ size }) => size)) >= leastProducts;
}

/** The value that a kernel stores as element `address`, over other axes; null if its axes can't be told from that. */
function factorAt({ parallel, value }: LoweredKernel, address: Affine, axes: readonly Axis[]): Scalar | null {
  const symbols = axes.map(({ size }, position) => ({ size, position }));
  const flat: IndexExpression = {
    offset: address.offset,
    terms: symbols.flatMap((axis) => {
      const coefficient = at(address.coefficients, axis.position);
      return coefficient === 0 || axis.size === 1 ? [] : [{ axis, coefficient }];
    }),
  };
  const found = unflatten(flat, parallel, new Map());
  if (found.kind !== "axes") return null;
  const place = (affine: Affine): Affine => {
    const sum = affine.coefficients.reduce(
      (total, coefficient, axis) => combine(at(found.axes, axis), coefficient, total),
      constantIndex(affine.offset),
    );
    return toAffine(sum, axes.length);
  };
  return rewriter((scalar, rewrite) => {
    if (scalar.kind !== "region") return mapChildren(mapAffine(scalar, place), rewrite);
    const coordinate = at(found.axes, scalar.axis);
    const { low, high } = rangeOf(coordinate, new Map());
    if (high < scalar.start || low >= scalar.stop) return rewrite(scalar.outside);
    if (low >= scalar.start && high < scalar.stop) return rewrite(scalar.inside);
    const { dtype, start, stop } = scalar;
    const [inside, outside] = [rewrite(scalar.inside), rewrite(scalar.outside)];
    return { kind: "within", dtype, at: toAffine(coordinate, axes.length), start, stop, inside, outside };
  })(value);
}

function renumbered(value: Scalar, operandOf: (operand: number) => number): Scalar {
  return rewriter((scalar, rewrite) => {
    if (!isRead(scalar)) return undefined;
    const operand = operandOf(scalar.operand);
    return scalar.kind === "load" ? { ...scalar, operand } : { ...scalar, operand, index: rewrite(scalar.index) };
  })(value);
}

const axesOf = ({ parallel, reduce }: LoweredKernel): readonly Axis[] => [
  ...parallel.map((size): Axis => ({ role: "parallel", size })),
  ...reduce.map((size): Axis => ({ role: "reduce", size })),
];
