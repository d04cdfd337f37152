/** Loops over the reduce axes. Sums of f32 are blocked: every loop level adds up its own, so that errors stay small. */
import { EvenkeelError } from "../../../errors.ts";
import { isInteger } from "../../../graph/dtype.ts";
import type { Kernel, ReduceOp, Reduction, Scalar } from "../../../kernel/kernel.ts";
import { loopCounts } from "../loopCounts.ts";
import type { AxisText } from "./addresses.ts";
import * as limbs from "./limbs.ts";
import type { Limbs } from "./limbs.ts";
import { extremum } from "./numberOps.ts";
import { infinityText } from "./numbers.ts";
import { ScalarEmitter, type Value } from "./scalarEmitter.ts";
import type { KernelWriter } from "./writer.ts";

/** Iterations of one loop level at most. */
const longestLoop = 512;
/** The same of float32 sums: of n terms they are off by at most `levels * 32` roundings, not n. (`cpu` adds up in float64.) */
const longestSum = 32;

/** One loop: `count` iterations; with a guard, only while the axis' coordinate is below `size`. */
type Loop = { readonly name: string; readonly count: number };

/** Writes the loops and gives the folded value. `parallel` are the texts of the parallel axes. */
export function emitReduction(
  writer: KernelWriter,
  kernel: Kernel,
  parallel: readonly AxisText[],
  { op, body }: Reduction,
): Value {
  const isFloat32Sum = op === "sum" && body.dtype === "f32" && writer.mode !== "cpu";
  const longest = isFloat32Sum && !isProduct(body) ? longestSum : longestLoop;
  const loops: Loop[] = [];
  const guards: string[] = [];
  const axes = kernel.axes.map(({ role, size }, index): AxisText => {
    if (role === "parallel") return parallel[index] ?? { text: "0", size: 1 };
    if (size === 1) return { text: "0", size };
    const counts = loopCounts(size, longest);
    const names = counts.map(() => writer.counter());
    counts.forEach((count, level) => loops.push({ name: names[level] ?? "", count }));
    const text = coordinate(counts, names);
    if (counts.reduce((product, count) => product * count, 1) > size) guards.push(`${text} < ${size}`);
    return { text, size };
  });
  const fold = folds(writer, body, op);
  const empty = kernel.axes.some(({ role, size }) => role === "reduce" && size === 0);
  if (empty) return fold.start();
  const level = (depth: number): Value => {
    const loop = loops[depth];
    const total = fold.start();
    if (loop === undefined) {
      fold.add(total, new ScalarEmitter(writer, kernel, axes, null).emit(body));
      return total;
    }
    writer.open(`for (let ${loop.name} = 0; ${loop.name} < ${loop.count}; ${loop.name}++)`);
    const innermost = depth === loops.length - 1;
    if (innermost) {
      if (guards.length > 0) writer.open(`if (${guards.join(" && ")})`);
      fold.add(total, new ScalarEmitter(writer, kernel, axes, null).emit(body));
      if (guards.length > 0) writer.close();
    } else if (fold.blocked) {
      fold.add(total, level(depth + 1));
    } else {
      nested(depth + 1, total);
    }
    writer.close();
    return total;
  };
  /** Loops inside that fold into the same total. */
  const nested = (depth: number, total: Value): void => {
    const loop = loops[depth];
    if (loop !== undefined) {
      writer.open(`for (let ${loop.name} = 0; ${loop.name} < ${loop.count}; ${loop.name}++)`);
      nested(depth + 1, total);
      writer.close();
      return;
    }
    if (guards.length > 0) writer.open(`if (${guards.join(" && ")})`);
    fold.add(total, new ScalarEmitter(writer, kernel, axes, null).emit(body));
    if (guards.length > 0) writer.close();
  };
  return level(0);
}

/** Sums of products, which are most of a GPU's work, have fewer and longer loops. */
function isProduct(body: Scalar): boolean {
  return body.kind === "binary" && body.op === "multiply" && body.x.kind === "load" && body.y.kind === "load";
}

function coordinate(counts: readonly number[], names: readonly string[]): string {
  let stride = 1;
  const terms: string[] = [];
  for (let level = counts.length - 1; level >= 0; level--) {
    const name = names[level] ?? "";
    terms.unshift(stride === 1 ? name : `${name} * ${stride}`);
    stride *= counts[level] ?? 1;
  }
  return terms.length === 1 ? terms.join("") : `(${terms.join(" + ")})`;
}

/** How values of a dtype are folded. */
type Fold = {
  /** Whether every loop level has a total of its own. */
  readonly blocked: boolean;
  /** Declares a total with the identity. */
  readonly start: () => Value;
  readonly add: (total: Value, value: Value) => void;
};

function folds(writer: KernelWriter, body: Scalar, op: ReduceOp): Fold {
  const { dtype } = body;
  if (isInteger(dtype)) {
    const signed = dtype === "i32";
    const identity = limbs.literalLimbs(op === "max" && signed ? -(2 ** 31) : 0);
    return {
      blocked: false,
      start: () => ({ kind: "limbs", high: writer.variable(identity.high), low: writer.variable(identity.low) }),
      add: (total, value) => {
        const [left, right] = [limbsOf(total), limbs.atomLimbs(writer, limbsOf(value))];
        const sum =
          op === "sum"
            ? limbs.addLimbs(writer, left, right)
            : limbs.selectLimbs(writer, `${limbs.differenceOfLimbs(writer, left, right, signed)} > 0`, left, right);
        writer.line(`${left.high} = ${sum.high};`);
        writer.line(`${left.low} = ${sum.low};`);
      },
    };
  }
  return {
    blocked: op === "sum",
    start: () => ({
      kind: "number",
      text: writer.variable(op === "sum" || dtype === "bool" ? "0" : infinityText(writer, true)),
    }),
    add: (total, value) => {
      const left = numberOf(total);
      const right = numberOf(value);
      writer.line(
        `${left} = ${op === "sum" ? `${left} + ${right}` : extremum(writer, ">", writer.atom(right), left)};`,
      );
    },
  };
}

function limbsOf(value: Value): Limbs {
  if (value.kind === "limbs") return value;
  throw new EvenkeelError("kernel", `gpu.js kernels: a reduction of integers met the number ${value.text}.`);
}

function numberOf(value: Value): string {
  if (value.kind === "number") return value.text;
  throw new EvenkeelError("kernel", "gpu.js kernels: a reduction of numbers met an integer.");
}
