/** In which kernels two plans differ, and how. */
import { at } from "../../engine/graph/shape.ts";
import type { AxisRole, Kernel, Operand, Scalar } from "../../engine/kernel/kernel.ts";
import { kernelForm, kernelKey } from "../../engine/kernel/kernelKey.ts";
import { kindOfKernel } from "../../engine/kernel/kernelKind.ts";
import { partsOf, type Plan } from "../../engine/kernel/plan.ts";
import { rootsOf, scalarsOf } from "../../engine/kernel/scalar.ts";

/** A kernel of each of two plans that stand at the same place, and in what they differ. */
export type ChangedKernel = { readonly a: Kernel; readonly b: Kernel; readonly differences: readonly string[] };

/** How two plans differ. */
export type KernelDiff = {
  /** Kernels that compute the same in the same way, whatever they are called. */
  readonly same: number;
  readonly changed: readonly ChangedKernel[];
  readonly onlyA: readonly Kernel[];
  readonly onlyB: readonly Kernel[];
  /** All of it in words, a line a kernel. */
  readonly text: string;
};

/**
 * Which kernels of two plans (of two devices, of two versions of a function or of the engine) differ and how. Kernels are compared in the
 * order in which they run, by what they compute, not by their names; steps that are run as one count one by one.
 * @example
 * ```ts
 * import { exp, tanh, tensor, type Tensor } from "evenkeel/engine";
 *
 * const planOf = async (fn: (x: Tensor) => Tensor) =>
 *   planGraph((await graphCase(fn, tensor([1, 2, 3]))).graph, new ReferenceDevice("arena"));
 * const { same, changed } = kernelDiff(await planOf((x) => exp(tanh(x))), await planOf((x) => exp(x.multiply(2))));
 * console.log(same, changed.length); // 0 1
 * ```
 */
export function kernelDiff(planA: Plan, planB: Plan): KernelDiff {
  const [a, b] = [kernelsOf(planA), kernelsOf(planB)];
  const runs = unlike(a, b);
  const same = a.length - runs.reduce((sum, run) => sum + run.a.length, 0);
  const paired = runs.map(pairUp);
  const changed = paired.flatMap((run) => run.changed);
  const [onlyA, onlyB] = [paired.flatMap((run) => run.onlyA), paired.flatMap((run) => run.onlyB)];
  const slots = ({ slots: bytes }: Plan): number => bytes.reduce((sum, each) => sum + each, 0);
  const text = [
    `${a.length} and ${b.length} kernels, ${same} of them the same; temporaries take ${slots(planA)} and ${slots(planB)} bytes`,
    ...changed.map((each) => `changed: ${each.a.name} -> ${each.b.name}: ${each.differences.join("; ")}`),
    ...onlyA.map((kernel) => `only in the first: ${describeKernel(kernel)}`),
    ...onlyB.map((kernel) => `only in the second: ${describeKernel(kernel)}`),
  ].join("\n");
  return { same, changed, onlyA, onlyB, text };
}

const kernelsOf = (plan: Plan): Kernel[] => plan.steps.flatMap(partsOf).map(({ kernel }) => kernel);

type Run = { readonly a: readonly Kernel[]; readonly b: readonly Kernel[] };

/** What lies between the kernels of a longest common part of both lists. */
function unlike(a: readonly Kernel[], b: readonly Kernel[]): Run[] {
  const [keysA, keysB] = [a.map(kernelKey), b.map(kernelKey)];
  // lengths[i][j]: of a longest common part of what is behind i and j.
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const both = keysA[i] === keysB[j] ? 1 + (lengths[i + 1]?.[j + 1] ?? 0) : 0;
      at(lengths, i)[j] = Math.max(both, lengths[i + 1]?.[j] ?? 0, lengths[i]?.[j + 1] ?? 0);
    }
  }
  const runs: { a: Kernel[]; b: Kernel[] }[] = [{ a: [], b: [] }];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && keysA[i] === keysB[j]) {
      runs.push({ a: [], b: [] });
      i++;
      j++;
    } else if (j === b.length || (i < a.length && (lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0))) {
      at(runs, runs.length - 1).a.push(at(a, i++));
    } else at(runs, runs.length - 1).b.push(at(b, j++));
  }
  return runs.filter((run) => run.a.length + run.b.length > 0);
}

type Paired = Pick<KernelDiff, "changed" | "onlyA" | "onlyB">;

/** Of kernels at the same place: those that are most alike belong together. */
function pairUp({ a, b }: Run): Paired {
  const rest = [...b];
  const changed: ChangedKernel[] = [];
  const onlyA: Kernel[] = [];
  for (const kernel of a) {
    const partner =
      rest.find((other) => kernelForm(other) === kernelForm(kernel)) ??
      rest.find((other) => kindOfKernel(other) === kindOfKernel(kernel) && sharesResult(kernel, other));
    if (partner === undefined) {
      onlyA.push(kernel);
      continue;
    }
    rest.splice(rest.indexOf(partner), 1);
    changed.push({ a: kernel, b: partner, differences: differencesOf(kernel, partner) });
  }
  return { changed, onlyA, onlyB: rest };
}

/** Whether they write an array of the same type and length. */
const sharesResult = (a: Kernel, b: Kernel): boolean =>
  a.stores.some(({ dtype, length }) => b.stores.some((store) => store.dtype === dtype && store.length === length));

const sizesOf = ({ axes }: Kernel, role: AxisRole): string =>
  axes.flatMap((axis) => (axis.role === role ? [axis.size] : [])).join(" x ") || "none";

const typesOf = (arrays: readonly (Operand | Kernel["stores"][number])[]): string =>
  arrays.map(({ dtype, storage, length }) => `${storage ?? dtype}[${length}]`).join(", ") || "nothing";

/** A kernel in a few words. */
function describeKernel(kernel: Kernel): string {
  const folded = kernel.reduction === null ? "" : `, ${kernel.reduction.op} over ${sizesOf(kernel, "reduce")}`;
  return `${kernel.name}, ${kindOfKernel(kernel)} over ${sizesOf(kernel, "parallel")}${folded}: reads ${typesOf(kernel.operands)}, writes ${typesOf(kernel.stores)}`;
}

/** What each operation of a kernel is called. */
function operationOf(scalar: Scalar): string {
  switch (scalar.kind) {
    case "unary":
    case "binary":
    case "compare":
      return scalar.op;
    case "shift":
      return `shift ${scalar.direction}`;
    case "load":
    case "gather":
    case "literal":
    case "index":
    case "select":
    case "cast":
    case "threefry":
    case "region":
    case "within":
    case "accumulator":
      return scalar.kind;
  }
}

/** How often each operation stands in a kernel. */
function countOperations(kernel: Kernel): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const scalar of scalarsOf(...rootsOf(kernel))) {
    const name = operationOf(scalar);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function differencesOf(a: Kernel, b: Kernel): string[] {
  const differences: string[] = [];
  const tell = (what: string, ofA: string, ofB: string): void => {
    if (ofA !== ofB) differences.push(`${what} ${ofA} -> ${ofB}`);
  };
  tell("kind", kindOfKernel(a), kindOfKernel(b));
  tell("parallel axes", sizesOf(a, "parallel"), sizesOf(b, "parallel"));
  tell("axes that are folded", sizesOf(a, "reduce"), sizesOf(b, "reduce"));
  tell("folds by", a.reduction?.op ?? "nothing", b.reduction?.op ?? "nothing");
  tell("reads", typesOf(a.operands), typesOf(b.operands));
  tell("writes", typesOf(a.stores), typesOf(b.stores));
  const [ofA, ofB] = [countOperations(a), countOperations(b)];
  for (const name of [...new Set([...ofA.keys(), ...ofB.keys()])].sort()) {
    const [before, after] = [ofA.get(name) ?? 0, ofB.get(name) ?? 0];
    if (before !== after) differences.push(`${name} ${before} -> ${after} times`);
  }
  if (differences.length > 0) return differences;
  // The same operations on the same arrays: where they read, or in which order they compute.
  return [
    kernelForm(a) === kernelForm(b) ? "other strides, offsets or numbers" : "the same operations, composed otherwise",
  ];
}
