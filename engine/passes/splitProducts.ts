/**
 * Products with few results that each sum very many terms, as the gradients of filters do, in two kernels: the sums of slices of the
 * terms, which are computed side by side, and the sum of these in their order, of which is stored what the kernel stores. How many
 * slices there are follows from the shape alone.
 */
import type { DeviceLimits } from "../devices/device.ts";
import { at, rowMajorStrides, sizeOf } from "../graph/shape.ts";
import { type Contraction, convolutionOf, factoredContractionOf } from "../kernel/contraction.ts";
import type { Affine, Axis, Kernel, Operand, Scalar, Store } from "../kernel/kernel.ts";
import { kernelKey } from "../kernel/kernelKey.ts";
import { normalizeKernel, rewriteKernel, withValues } from "../kernel/normalize.ts";
import { afterOf, type PlanStep } from "../kernel/plan.ts";
import { isRead } from "../kernel/access.ts";
import { rewriter, rootsOf, scalarsOf } from "../kernel/scalar.ts";

/** Rows and columns of a piece of the results that is computed at a time. */
const tile = 64;
/** Terms of a slice, at least and, where slices are few enough, at most. */
const shortestSlice = 256;
const longestSlice = 4096;
const mostSlices = 64;
/** Sums of fewer terms than this stay whole, and so do those of fewer rows or columns. */
const fewTerms = 1024;
const shortestSide = 8;

type Limits = Pick<DeviceLimits, "concurrency" | "elements">;

/** A kernel that reads these operands of another one. */
type Half = { readonly kernel: Kernel; readonly operands: readonly number[] };
/** What is summed in slices, and what their sums, its first operand before the others, make. */
type Halves = { readonly slices: Half; readonly total: Half };

/**
 * Steps of which some are split in two.
 * @param addTemporary gives the number of a new buffer of float32 numbers
 */
export function splitProducts(
  steps: readonly PlanStep[],
  limits: Limits,
  addTemporary: (length: number) => number,
): PlanStep[] {
  if (limits.concurrency <= 1) return [...steps];
  const halvesOf = splitter(limits);
  return steps.flatMap((step) => {
    const halves = halvesOf(step.kernel);
    if (halves === null) return [step];
    const { slices, total } = halves;
    const partial = addTemporary(slices.kernel.stores[0].length);
    const buffersOf = ({ operands }: Half): number[] => operands.map((operand) => at(step.operands, operand));
    return [
      { kernel: slices.kernel, operands: buffersOf(slices), results: [partial], ...afterOf([step]) },
      { kernel: total.kernel, operands: [partial, ...buffersOf(total)], results: step.results },
    ];
  });
}

/** Splits each kernel once. Equal halves are one object: a device compiles each once. */
function splitter(limits: Limits): (kernel: Kernel) => Halves | null {
  const known = new Map<Kernel, Halves | null>();
  const pool = new Map<string, Kernel>();
  const pooled = ({ kernel, operands }: Half): Half => {
    const key = `${kernel.operands.map(({ length }) => length).join()}\n${kernelKey(kernel)}`;
    const found = pool.get(key) ?? kernel;
    pool.set(key, found);
    return { kernel: found, operands };
  };
  return (kernel) => {
    const found = known.get(kernel);
    if (found !== undefined) return found;
    const halves = split(kernel, limits);
    const own = halves && { slices: pooled(halves.slices), total: pooled(halves.total) };
    known.set(kernel, own);
    return own;
  };
}

function split(described: Kernel, limits: Limits): Halves | null {
  const kernel = normalizeKernel(described);
  const contraction = factoredContractionOf(kernel);
  if (contraction === null || kernel.axes.some(({ size }) => size === 0)) return null;
  // Forward convolutions sum over filters, and have as many results as pixels.
  if (convolutionOf(kernel, contraction)?.kind === "forward") return null;
  const slices = slicesOf(kernel.axes, contraction, limits);
  if (slices === null) return null;
  const parallel = kernel.axes.filter(({ role }) => role === "parallel");
  const results = sizeOf(parallel.map(({ size }) => size));
  const count = sizeOf(slices);
  if (count * results > limits.elements) return null;
  return { slices: slicesKernel(kernel, slices), total: totalKernel(kernel, count, results) };
}

/** Of how many slices each of the first reduce axes is made; null if the sum is to stay whole. */
function slicesOf(axes: readonly Axis[], contraction: Contraction, { concurrency }: Limits): readonly number[] | null {
  const size = (axis: number): number => at(axes, axis).size;
  const points = (of: readonly number[]): number => sizeOf(of.map(size));
  const terms = points(contraction.depth);
  if (terms < fewTerms || Math.min(points(contraction.rows), points(contraction.columns)) < shortestSide) return null;
  const tiles =
    points(contraction.batch) *
    Math.ceil(points(contraction.rows) / tile) *
    Math.ceil(points(contraction.columns) / tile);
  const wanted = Math.min(mostSlices, Math.max(Math.ceil(concurrency / tiles), Math.ceil(terms / longestSlice)));
  if (wanted < 2) return null;
  const possible = divisions(contraction.depth.map(size)).filter((counts) => {
    const count = sizeOf(counts);
    return count > 1 && count <= mostSlices && terms / count >= shortestSlice;
  });
  return possible.find((counts) => sizeOf(counts) >= wanted) ?? possible.at(-1) ?? null;
}

/** All ways to cut axes into equal pieces that are in one piece in row-major order, those with fewer pieces first. */
function divisions(sizes: readonly number[]): readonly (readonly number[])[] {
  const ways: number[][] = [];
  for (const [axis, size] of sizes.entries()) {
    for (let pieces = 2; pieces <= size; pieces++) {
      if (size % pieces === 0) ways.push([...sizes.slice(0, axis), pieces]);
    }
  }
  return ways;
}

/** The sums of slices, one array of results after the other. */
function slicesKernel(kernel: Kernel, slices: readonly number[]): Half {
  const parallel = kernel.axes.flatMap(({ role }, axis) => (role === "parallel" ? [axis] : []));
  const reduce = kernel.axes.flatMap(({ role }, axis) => (role === "reduce" ? [axis] : []));
  // What is left of a reduce axis to sum in a slice; its steps are those of the axis, a slice's as many times longer.
  const left = reduce.map((axis, place) => at(kernel.axes, axis).size / (slices[place] ?? 1));
  const axes: Axis[] = [
    ...slices.map((size): Axis => ({ role: "parallel", size })),
    ...parallel.map((axis) => at(kernel.axes, axis)),
    ...left.map((size): Axis => ({ role: "reduce", size })),
  ];
  const affine = ({ offset, coefficients }: Affine): Affine => ({
    offset,
    coefficients: [
      ...slices.map((_, place) => at(coefficients, at(reduce, place)) * at(left, place)),
      ...parallel.map((axis) => at(coefficients, axis)),
      ...reduce.map((axis) => at(coefficients, axis)),
    ],
  });
  const moved = rewriteKernel(withoutRegions(kernel), axes, { affine, axis: (axis) => axis + slices.length });
  const sizes = axes.flatMap(({ role, size }) => (role === "parallel" ? [size] : []));
  const store: Store = {
    value: { kind: "accumulator", dtype: "f32" },
    dtype: "f32",
    length: sizeOf(sizes),
    at: { offset: 0, coefficients: [...rowMajorStrides(sizes), ...left.map(() => 0)] },
  };
  return halfOf({ ...moved, name: `${kernel.name}_slices`, stores: [store] }, []);
}

/** Borders of factors told by places instead of axes, which may be cut. */
function withoutRegions(kernel: Kernel): Kernel {
  const { axes, reduction } = kernel;
  const replaced = rewriter((scalar, rewrite) => {
    if (scalar.kind !== "region") return undefined;
    const { dtype, start, stop } = scalar;
    const coefficients = axes.map((_, axis) => Number(axis === scalar.axis));
    const [inside, outside] = [rewrite(scalar.inside), rewrite(scalar.outside)];
    return { kind: "within", dtype, at: { offset: 0, coefficients }, start, stop, inside, outside };
  });
  return { ...kernel, reduction: reduction && { ...reduction, body: replaced(reduction.body) } };
}

/** The sum of the slices' sums, and of it what the kernel stores. */
function totalKernel(kernel: Kernel, slices: number, results: number): Half {
  const parallel = kernel.axes.filter(({ role }) => role === "parallel");
  const axes: readonly Axis[] = [...parallel, { role: "reduce", size: slices }];
  const stored = rewriteKernel({ ...kernel, reduction: null }, axes, {
    affine: ({ offset, coefficients }) => ({ offset, coefficients: [...coefficients.slice(0, parallel.length), 0] }),
    axis: (axis) => axis,
  });
  const half = halfOf({ ...stored, name: `${kernel.name}_total`, flops: slices * results }, [
    { dtype: "f32", length: slices * results },
  ]);
  const strides = rowMajorStrides(parallel.map(({ size }) => size));
  const place = { offset: 0, coefficients: [...strides, results] };
  const body: Scalar = { kind: "load", dtype: "f32", operand: 0, at: place };
  return { ...half, kernel: { ...half.kernel, reduction: { op: "sum", body } } };
}

/** The kernel with `first` and those of its operands that it reads. */
function halfOf(kernel: Kernel, first: readonly Operand[]): Half {
  const read = scalarsOf(...rootsOf(kernel)).flatMap((scalar) => (isRead(scalar) ? [scalar.operand] : []));
  const kept = [...new Set(read)].sort((a, b) => a - b);
  const renumbered = rewriter((scalar, rewrite) => {
    if (!isRead(scalar)) return undefined;
    const operand = first.length + kept.indexOf(scalar.operand);
    return scalar.kind === "load" ? { ...scalar, operand } : { ...scalar, operand, index: rewrite(scalar.index) };
  });
  const operands = [...first, ...kept.map((operand) => at(kernel.operands, operand))];
  const { reduction } = kernel;
  const touched = [...operands, ...kernel.stores].reduce((sum, { length }) => sum + length, 0);
  return {
    kernel: {
      ...withValues(kernel, renumbered),
      operands,
      reduction: reduction && { ...reduction, body: renumbered(reduction.body) },
      bytes: 4 * touched,
    },
    operands: kept,
  };
}
