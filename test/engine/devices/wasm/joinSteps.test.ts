import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import type { Device } from "../../../../engine/devices/device.ts";
import { createWasmDevice } from "../../../../engine/devices/wasm/device.ts";
import { joinSteps } from "../../../../engine/devices/wasm/joinSteps.ts";
import { at as item } from "../../../../engine/graph/shape.ts";
import type { DType, TensorData } from "../../../../engine/graph/dtype.ts";
import type { Affine, Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan, PlanBuffer, PlanStep } from "../../../../engine/kernel/plan.ts";
import { mayOverwrite } from "../../../../engine/passes/aliasOutputs.ts";
import { planMemory } from "../../../../engine/passes/planMemory.ts";
import { interpretExact } from "./exactKernels.ts";
import { noGraph } from "./runKernel.ts";

/** Every kernel is shared among the threads, however small. */
const devices: Device[] = [];
for (const threads of [1, 3]) devices.push(await createWasmDevice({ threads, sharedCost: 0 }));
after(() => devices.forEach((device) => device.dispose()));

/** How a step reads a buffer of all points: each its own element, or one that other points write. */
const ways = ["own", "own", "own", "own", "row", "first", "reversed"] as const;
type Way = (typeof ways)[number];

type StepSpec = {
  readonly x: number;
  readonly y: number;
  readonly way: Way;
  readonly form: "sum" | "less" | "choice" | "long" | "folded";
  readonly flat: boolean;
  readonly target: "temporary" | "output" | "takes over";
};

const stepSpecs: fc.Arbitrary<StepSpec> = fc.record({
  x: fc.nat(30),
  y: fc.nat(30),
  way: fc.constantFrom(...ways),
  form: fc.constantFrom("sum", "sum", "sum", "less", "choice", "choice", "long", "folded"),
  flat: fc.boolean(),
  target: fc.constantFrom("temporary", "temporary", "temporary", "output", "takes over"),
});

const inputCount = 3;

/** A plan as the planner makes them: temporaries share memory, some outputs take that of an input. */
function planOfSpecs(rows: number, columns: number, specs: readonly StepSpec[]): Plan {
  const points = rows * columns;
  type Draft = { readonly dtype: DType; readonly length: number; role: PlanBuffer["role"] | null };
  const buffers: Draft[] = Array.from({ length: inputCount }, (_, index) => ({
    dtype: "f32",
    length: points,
    role: { kind: "input", index },
  }));
  const steps: PlanStep[] = [];
  const wanted: (number | null)[] = [];
  for (const { x, y, way, form, flat, target } of specs) {
    const whole = buffers.flatMap(({ length }, buffer) => (length === points ? [buffer] : []));
    const operands = [...new Set([x, y].map((choice) => item(whole, choice % whole.length)))];
    const load = (operand: number, at: Affine): Scalar => {
      const dtype = item(buffers, item(operands, operand)).dtype;
      const value: Scalar = { kind: "load", dtype, operand, at };
      return dtype === "f32" ? value : { kind: "cast", dtype: "f32", x: value };
    };
    const over = (whole: number, row: number, column: number, offset = 0): Affine => ({
      offset,
      coefficients: flat && form !== "folded" ? [whole] : [row, column],
    });
    const own = over(1, columns, 1);
    const places: Record<Way, Affine> = {
      own,
      row: flat && form !== "folded" ? own : over(0, 1, 0),
      first: over(0, 0, 0),
      reversed: over(-1, -columns, -1, points - 1),
    };
    const a = load(0, own);
    const b = load(operands.length - 1, places[way]);
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
    };
    const isFolded = form === "folded";
    const dtype = form === "less" ? "bool" : "f32";
    const length = isFolded ? rows : points;
    const kernel: Kernel = {
      name: form,
      axes: isFolded
        ? [
            { role: "parallel", size: rows },
            { role: "reduce", size: columns },
          ]
        : (flat ? [points] : [rows, columns]).map((size) => ({ role: "parallel" as const, size })),
      operands: operands.map((buffer) => ({ dtype: item(buffers, buffer).dtype, length: points })),
      body: bodies[form],
      reduction: isFolded ? { op: "max", epilogue: { kind: "accumulator", dtype: "f32" } } : null,
      result: { dtype, length, at: isFolded ? { offset: 0, coefficients: [1, 0] } : own },
      flops: 0,
      bytes: 4,
    };
    const output = wanted.length;
    if (target !== "temporary") wanted.push(target === "output" || dtype === "bool" || isFolded ? null : output);
    buffers.push({ dtype, length, role: target === "temporary" ? null : { kind: "output", index: output } });
    steps.push({ kernel, operands, result: buffers.length - 1 });
  }
  const { roles, slots } = planMemory(
    buffers.map(({ dtype, length, role }) => ({ dtype, length, temporary: role === null })),
    steps,
    "arena",
  );
  const aliases = wanted.map((input, output) => {
    const buffer = buffers.findIndex(({ role }) => role?.kind === "output" && role.index === output);
    return input !== null && input < inputCount && mayOverwrite(steps, input, buffer) ? input : null;
  });
  return {
    buffers: buffers.map(({ dtype, length, role }, index) => ({ dtype, length, role: role ?? roles(index) })),
    steps,
    slots,
    inputs: inputCount,
    outputs: wanted.length,
    aliases,
  };
}

const dataOf = (dtype: DType, values: readonly number[]): TensorData =>
  dtype === "bool" ? Uint8Array.from(values) : Float32Array.from(values);

/** The outputs, step by step. */
function interpretPlan(
  { buffers, steps, outputs }: Plan,
  inputs: readonly TensorData[],
): readonly (readonly number[])[] {
  const values: TensorData[] = [...inputs];
  for (const { kernel, operands, result } of steps) {
    const data = operands.map((operand) => item(values, operand));
    values[result] = dataOf(kernel.result.dtype, interpretExact(kernel, data));
  }
  return Array.from({ length: outputs }, (_, output) => {
    const buffer = buffers.findIndex(({ role }) => role.kind === "output" && role.index === output);
    return [...item(values, buffer)];
  });
}

async function runPlan(
  device: Device,
  plan: Plan,
  inputs: readonly TensorData[],
): Promise<readonly (readonly number[])[]> {
  const executable = await device.compile({ graph: noGraph, plan: () => plan });
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
  for (const buffer of made) results.push([...(await device.download(buffer))]);
  for (const buffer of new Set([...given, ...made])) device.free(buffer);
  executable.dispose();
  return results;
}

test("joined steps give the bits of steps one after the other", async () => {
  let [joinedSteps, registers] = [0, 0];
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(1, 3, 7, 16, 20, 32, 36),
      fc.array(stepSpecs, { minLength: 2, maxLength: 12 }),
      async (rows, columns, specs) => {
        const plan = planOfSpecs(rows, columns, specs);
        const inputs = Array.from({ length: inputCount }, (_, input) =>
          Float32Array.from({ length: rows * columns }, (_, index) => ((index * 7 + input * 3) % 11) - 5),
        );
        const expected = interpretPlan(plan, inputs);
        for (const device of devices) assert.deepEqual(await runPlan(device, plan, inputs), expected);
        const sweeps = joinSteps(plan).filter(({ steps }) => steps.length > 1);
        for (const { steps, results } of sweeps) {
          joinedSteps += steps.length;
          registers += steps.length - results.length;
        }
      },
    ),
    { numRuns: 600 },
  );
  assert.ok(joinedSteps > 600, `only ${joinedSteps} steps were joined`);
  assert.ok(registers > 100, `only ${registers} results stayed in registers`);
  for (const device of devices) assert.deepEqual(device.memory(), { bytes: 0, buffers: 0 });
});

/** x to a temporary, its rows' maxima, the temporary to output 0, x to another temporary `offset` bytes in, the maxima of that. */
function overlappingPlan(offset: number): Plan {
  const [rows, columns] = [3, 16];
  const points = rows * columns;
  const copy: Kernel = {
    name: "copy",
    axes: [{ role: "parallel", size: points }],
    operands: [{ dtype: "f32", length: points }],
    body: { kind: "load", dtype: "f32", operand: 0, at: { offset: 0, coefficients: [1] } },
    reduction: null,
    result: { dtype: "f32", length: points, at: { offset: 0, coefficients: [1] } },
    flops: 0,
    bytes: 4,
  };
  const maxima: Kernel = {
    ...copy,
    name: "maxima",
    axes: [
      { role: "parallel", size: rows },
      { role: "reduce", size: columns },
    ],
    body: { kind: "load", dtype: "f32", operand: 0, at: { offset: 0, coefficients: [columns, 1] } },
    reduction: { op: "max", epilogue: { kind: "accumulator", dtype: "f32" } },
    result: { dtype: "f32", length: rows, at: { offset: 0, coefficients: [1, 0] } },
  };
  const buffer = (length: number, role: PlanBuffer["role"]): PlanBuffer => ({ dtype: "f32", length, role });
  return {
    buffers: [
      buffer(points, { kind: "input", index: 0 }),
      buffer(points, { kind: "temporary", slot: 0, offset: 0 }),
      buffer(rows, { kind: "output", index: 0 }),
      buffer(points, { kind: "output", index: 1 }),
      buffer(points, { kind: "temporary", slot: 0, offset }),
      buffer(rows, { kind: "output", index: 2 }),
    ],
    steps: [
      { kernel: copy, operands: [0], result: 1 },
      { kernel: maxima, operands: [1], result: 2 },
      { kernel: copy, operands: [1], result: 3 },
      { kernel: copy, operands: [0], result: 4 },
      { kernel: maxima, operands: [4], result: 5 },
    ],
    slots: [4 * points + offset + 64],
    inputs: 1,
    outputs: 3,
    aliases: [null, null, null],
  };
}

test("steps stay apart where one writes over a part of what another still reads", async () => {
  for (const { offset, sizes } of [
    { offset: 0, sizes: [1, 1, 2, 1] },
    { offset: 64, sizes: [1, 1, 1, 1, 1] },
  ]) {
    const plan = overlappingPlan(offset);
    assert.deepEqual(
      joinSteps(plan).map(({ steps }) => steps.length),
      sizes,
    );
    const inputs = [Float32Array.from({ length: 48 }, (_, index) => index)];
    for (const device of devices) assert.deepEqual(await runPlan(device, plan, inputs), interpretPlan(plan, inputs));
  }
});
