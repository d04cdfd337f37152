/** Random plans of element-wise steps and maxima, over few buffers, so that steps depend on each other in many ways. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { KernelDevice } from "../../../../engine/devices/device.ts";
import type { DType, TensorData } from "../../../../engine/graph/dtype.ts";
import { at as item } from "../../../../engine/graph/shape.ts";
import type { Affine, Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan, PlanBuffer, PlanStep } from "../../../../engine/kernel/plan.ts";
import { joinSteps } from "../../../../engine/passes/joinSteps.ts";
import { overwritingOf } from "../../../../engine/passes/aliasOutputs.ts";
import { planMemory } from "../../../../engine/passes/planMemory.ts";
import { interpretExact } from "./exactKernels.ts";
import { downloaded } from "../../../../testing/devices/downloaded.ts";

/** How a step reads its second operand: each point its own element, but the first ones none, or one that other points have or write, too. */
const ways = ["own", "own", "own", "own", "cut", "row", "row", "column", "first", "reversed", "next"] as const;
type Way = (typeof ways)[number];

type StepSpec = {
  readonly x: number;
  readonly y: number;
  readonly way: Way;
  /** What it computes; `folded` and `columns`: the maxima of rows or of columns; `half`: of the upper half of the rows. */
  readonly form: "sum" | "less" | "choice" | "long" | "folded" | "columns" | "half";
  readonly flat: boolean;
  readonly target: "temporary" | "output" | "takes over";
};

const stepSpecs: fc.Arbitrary<StepSpec> = fc.record({
  x: fc.nat(30),
  y: fc.nat(30),
  way: fc.constantFrom(...ways),
  form: fc.constantFrom(
    "sum",
    "sum",
    "sum",
    "less",
    "choice",
    "choice",
    "long",
    "folded",
    "folded",
    "columns",
    "half",
    "half",
    "half",
  ),
  flat: fc.boolean(),
  target: fc.constantFrom("temporary", "temporary", "temporary", "output", "takes over"),
});

/** Inputs as large as results, and one of the upper half of the rows. */
const wholeInputs = 3;

/** Small whole numbers, so that sums are exact. */
const numbersOf = (length: number, input: number): Float32Array =>
  Float32Array.from({ length }, (_, index) => ((index * 7 + input * 3) % 11) - 5);

/** A plan as the planner makes them: temporaries share memory, some outputs take that of an input. */
function planOfSpecs(rows: number, columns: number, specs: readonly StepSpec[]): Plan {
  const buffers: Draft[] = Array.from({ length: wholeInputs + 1 }, (_, index) => ({
    dtype: "f32",
    length: index < wholeInputs ? rows * columns : Math.ceil(rows / 2) * columns,
    role: { kind: "input", index },
  }));
  const steps: PlanStep[] = [];
  const wanted: (number | null)[] = [];
  for (const spec of specs) {
    const upper = spec.form === "half" ? Math.ceil(rows / 2) : rows;
    const points = upper * columns;
    const choose = (choice: number, length: number): number | undefined => {
      const candidates = buffers.flatMap((buffer, index) => (buffer.length === length ? [index] : []));
      return candidates[choice % candidates.length];
    };
    /** Of the upper half a step reads what is as large, or what is larger. */
    const chooseLarge = (choice: number): number => choose(choice, choice % 2 === 0 ? points : rows * columns) ?? 0;
    const x = chooseLarge(spec.x);
    const vector = spec.way === "row" ? upper : spec.way === "column" ? columns : points;
    const y = (spec.flat ? undefined : choose(spec.y, vector)) ?? chooseLarge(spec.y);
    const { kernel, operands } = kernelOf(spec, upper, columns, [x, y], buffers);
    const { dtype, length } = kernel.stores[0];
    const output = wanted.length;
    const takesOver = spec.target === "takes over" && dtype === "f32" && length === rows * columns;
    if (spec.target !== "temporary") wanted.push(takesOver ? output : null);
    buffers.push({ dtype, length, role: spec.target === "temporary" ? null : { kind: "output", index: output } });
    steps.push({ kernel, operands, results: [buffers.length - 1] });
  }
  const { roles, slots } = planMemory(
    buffers.map(({ dtype, length, role }) => ({ dtype, length, temporary: role === null })),
    steps,
    "arena",
  );
  const aliases = wanted.map((input, output) => {
    const buffer = buffers.findIndex(({ role }) => role?.kind === "output" && role.index === output);
    return input !== null && input < wholeInputs && overwritingOf(steps)(input, buffer) ? input : null;
  });
  return {
    buffers: buffers.map(({ dtype, length, role }, index) => ({ dtype, length, role: role ?? roles(index) })),
    steps,
    slots,
    inputs: wholeInputs + 1,
    outputs: wanted.length,
    aliases,
  };
}

type Draft = { readonly dtype: DType; readonly length: number; readonly role: PlanBuffer["role"] | null };

/** The kernel of a step that reads buffers x, element by element, and y. */
function kernelOf(
  { way, form, flat }: StepSpec,
  rows: number,
  columns: number,
  [x, y]: readonly [number, number],
  buffers: readonly Draft[],
): { readonly kernel: Kernel; readonly operands: readonly number[] } {
  const points = rows * columns;
  const operands = [...new Set([x, y])];
  const isFlat = flat && form !== "folded" && form !== "columns";
  /** An address by its steps from row to row and from column to column; `whole`: the same in one axis. */
  const over = (row: number, column: number, offset = 0, whole = column): Affine => ({
    offset,
    coefficients: isFlat ? [whole] : form === "columns" ? [column, row] : [row, column],
  });
  const own = over(columns, 1);
  const ofY: Record<Way, Affine> = {
    own,
    row: isFlat ? own : over(1, 0),
    column: isFlat ? own : over(0, 1),
    first: over(0, 0),
    reversed: over(-columns, -1, points - 1),
    next: own,
    cut: own,
  };
  const load = (buffer: number, at: Affine): Scalar => {
    const { dtype } = item(buffers, buffer);
    const value: Scalar = { kind: "load", dtype, operand: operands.indexOf(buffer), at };
    return dtype === "f32" ? value : { kind: "cast", dtype: "f32", x: value };
  };
  const a = load(x, own);
  const region = { kind: "region", dtype: "f32", axis: 0 } as const;
  const secondOperand = (): Scalar => {
    if (way === "next" && !isFlat && form !== "columns") {
      return { ...region, start: 0, stop: rows - 1, inside: load(y, over(columns, 1, columns)), outside: load(y, own) };
    }
    if (way === "cut" && form !== "columns") {
      const outside: Scalar = { kind: "literal", dtype: "f32", value: 1 };
      return { ...region, start: 3, stop: isFlat ? points : rows, inside: load(y, own), outside };
    }
    return load(y, ofY[way]);
  };
  const b = secondOperand();
  const binary = (op: "add" | "subtract" | "minimum", left: Scalar, right: Scalar): Scalar => ({
    kind: "binary",
    dtype: "f32",
    op,
    x: left,
    y: right,
  });
  const less: Scalar = { kind: "compare", dtype: "bool", op: "less", x: a, y: b };
  const bodies: Record<StepSpec["form"], Scalar> = {
    sum: binary("subtract", a, b),
    less,
    choice: { kind: "select", dtype: "f32", condition: less, x: b, y: a },
    long: binary("add", binary("minimum", a, b), binary("subtract", b, a)),
    folded: binary("subtract", a, b),
    columns: binary("subtract", a, b),
    half: binary("subtract", b, a),
  };
  const parallel = form === "folded" ? [rows] : form === "columns" ? [columns] : isFlat ? [points] : [rows, columns];
  const reduce = form === "folded" ? [columns] : form === "columns" ? [rows] : [];
  const isFold = reduce.length > 0;
  const length = parallel.reduce((product, size) => product * size, 1);
  const kernel: Kernel = {
    name: form,
    axes: [
      ...parallel.map((size) => ({ role: "parallel" as const, size })),
      ...reduce.map((size) => ({ role: "reduce" as const, size })),
    ],
    operands: operands.map((buffer) => ({ dtype: item(buffers, buffer).dtype, length: item(buffers, buffer).length })),
    reduction: isFold ? { op: "max", body: bodies[form] } : null,
    stores: [
      {
        value: isFold ? { kind: "accumulator", dtype: "f32" } : bodies[form],
        dtype: form === "less" ? "bool" : "f32",
        length,
        at: isFold ? { offset: 0, coefficients: [1, 0] } : own,
      },
    ],
    flops: 1,
    bytes: 4 * (length + operands.reduce((sum, buffer) => sum + item(buffers, buffer).length, 0)),
  };
  return { kernel, operands };
}

const dataOf = (dtype: DType, values: readonly number[]): TensorData =>
  dtype === "bool" ? Uint8Array.from(values) : Float32Array.from(values);

/** Numbers for the inputs of a plan. */
export const inputsOf = ({ buffers }: Plan): readonly TensorData[] =>
  buffers.flatMap(({ role, length }) => (role.kind === "input" ? [numbersOf(length, role.index)] : []));

/** The outputs, step by step. */
export function interpretPlan(
  { buffers, steps, outputs }: Plan,
  inputs: readonly TensorData[],
): readonly (readonly number[])[] {
  const values = buffers.map(({ role }): TensorData => {
    if (role.kind === "input") return item(inputs, role.index);
    return role.kind === "constant" ? role.data : new Float32Array();
  });
  for (const {
    kernel,
    operands,
    results: [result],
  } of steps) {
    const data = operands.map((operand) => item(values, operand));
    values[result] = dataOf(kernel.stores[0].dtype, interpretExact(kernel, data));
  }
  return Array.from({ length: outputs }, (_, output) => {
    const buffer = buffers.findIndex(({ role }) => role.kind === "output" && role.index === output);
    return [...item(values, buffer)];
  });
}

async function runPlan(
  device: KernelDevice,
  plan: Plan,
  inputs: readonly TensorData[],
): Promise<readonly (readonly number[])[]> {
  const executable = await device.compile(plan);
  const given = inputs.map((data) => {
    const buffer = device.allocate("f32", data.length);
    device.upload(buffer, data);
    return buffer;
  });
  const made = plan.aliases.map((input, output) => {
    const buffer = plan.buffers.find(({ role }) => role.kind === "output" && role.index === output);
    return input === null ? device.allocate(buffer?.dtype ?? "f32", buffer?.length ?? 0) : item(given, input);
  });
  await executable.run(given, made);
  const results: number[][] = [];
  for (const buffer of made) results.push([...(await downloaded(device, buffer))]);
  for (const buffer of new Set([...given, ...made])) device.free(buffer);
  executable.dispose();
  return results;
}

/** Random plans over matrices of one of the given numbers of rows and of columns. */
export const stepPlans = (rows: readonly number[], columns: readonly number[]): fc.Arbitrary<Plan> =>
  fc
    .tuple(fc.constantFrom(...rows), fc.constantFrom(...columns), fc.array(stepSpecs, { minLength: 2, maxLength: 12 }))
    .map(([m, n, specs]) => planOfSpecs(m, n, specs));

/** Asserts that devices give what the steps of a plan give one after the other, bit for bit, also if they are joined. */
export async function assertRuns(devices: readonly KernelDevice[], plan: Plan): Promise<void> {
  const inputs = inputsOf(plan);
  const expected = interpretPlan(plan, inputs);
  for (const device of devices) {
    for (const form of [plan, joinSteps(plan, device.limits)]) {
      assert.deepEqual(await runPlan(device, form, inputs), expected);
    }
  }
}
