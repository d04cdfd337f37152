/** The laws of devices below the compiler: random kernels and random plans give what their definition says. */
import type fc from "fast-check";
import type { DeviceBuffer, Executable, KernelDevice } from "../../engine/devices/device.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import { at } from "../../engine/graph/shape.ts";
import type { Kernel } from "../../engine/kernel/kernel.ts";
import type { Plan, PlanBuffer } from "../../engine/kernel/plan.ts";
import { joinSteps } from "../../engine/passes/joinSteps.ts";
import { printKernel } from "../../engine/kernel/print.ts";
import { buildCase, contractionCases, type KernelCase, kernelCases, printOperands } from "../arbitraries/kernels.ts";
import { buildPlan, planSpecs } from "../arbitraries/plans.ts";
import type { Accuracy } from "../bounds/bounds.ts";
import { type Bounded, firstViolation } from "../bounds/bounded.ts";
import { interpretPlan } from "../bounds/interpretKernel.ts";
import { downloaded } from "../devices/downloaded.ts";
import { assertCases, type LawOptions, type LawReport } from "./lawOptions.ts";
import { withoutLeftovers } from "./withoutLeftovers.ts";

/** How much a law of kernels or plans compared. */
export type KernelLawReport = LawReport & {
  /** Kernels or plans with elements of which none could be compared. */
  readonly blind: number;
};

/**
 * Runs random kernels, one at a time, and compares every element with its float64 value within the error that float32 allows.
 * @throws Error with the shrunk kernel, its data, the element, both values, the bound and the device's code; also if memory
 * is left behind or more than half of the kernels could not be compared at all
 * @example
 * ```ts
 * const { compared } = await checkKernels(new ReferenceDevice("arena"), { runs: 5, seed: 1, accuracy: accuracies.wasm });
 * console.log(compared > 0); // true
 * ```
 */
export function checkKernels(device: KernelDevice, options: LawOptions): Promise<KernelLawReport> {
  return check(device, options, kernelCases, instanceOf);
}

/**
 * The same for matrix products and convolutions that are as large as a few tiles.
 * @throws Error as {@link checkKernels}
 * @example
 * ```ts
 * const { compared } = await checkContractions(new ReferenceDevice("arena"), { runs: 1, seed: 1, accuracy: accuracies.wasm });
 * console.log(compared > 0); // true
 * ```
 */
export function checkContractions(device: KernelDevice, options: LawOptions): Promise<KernelLawReport> {
  return check(device, options, contractionCases, instanceOf);
}

function instanceOf(kernelCase: KernelCase): Instance {
  const { kernel, data } = buildCase(kernelCase);
  return {
    plan: planOf(kernel),
    inputs: data,
    text: () => `${printKernel(kernel)}\n${printOperands(kernelCase.operands)}`,
  };
}

/**
 * The same for plans of several kernels, each run twice.
 * @throws Error as {@link checkKernels}
 * @example
 * ```ts
 * const { compared } = await checkPlans(new ReferenceDevice("arena"), { runs: 3, seed: 1, accuracy: accuracies.wasm });
 * console.log(compared > 0); // true
 * ```
 */
export function checkPlans(device: KernelDevice, options: LawOptions): Promise<KernelLawReport> {
  return check(device, options, planSpecs, (spec) => {
    const { plan, inputs } = buildPlan(spec, device.limits);
    return { plan, inputs, text: () => `${printPlan(plan)}\n${printOperands(spec.inputs)}` };
  });
}

type Instance = { readonly plan: Plan; readonly inputs: readonly TensorData[]; readonly text: () => string };

async function check<S>(
  device: KernelDevice,
  options: LawOptions,
  arbitrary: fc.Arbitrary<S>,
  build: (spec: S) => Instance,
): Promise<KernelLawReport> {
  const { runs, seed, accuracy } = options;
  const report = { compared: 0, uncertain: 0, blind: 0 };
  const holds = async (spec: S): Promise<void> => {
    const { plan, inputs, text } = build(spec);
    const { compared, uncertain } = await comparePlan(device, plan, inputs, accuracy).catch((cause: unknown) => {
      throw new Error(`${text()}\n${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
    report.compared += compared;
    report.uncertain += uncertain;
    if (compared === 0 && uncertain > 0) report.blind++;
  };
  await withoutLeftovers(device, seed, () => assertCases(arbitrary, holds, options));
  requireComparisons(report, runs, seed);
  return report;
}

/** @throws Error if a law had nothing to compare in more than half of its runs */
export function requireComparisons({ blind }: KernelLawReport, runs: number, seed: number): void {
  if (blind > runs / 2) throw new Error(`seed ${seed}: nothing to compare in ${blind} of ${runs} runs`);
}

/** The plan that runs one kernel from inputs to output 0. */
export function planOf(kernel: Kernel): Plan {
  const inputs = kernel.operands.map(({ dtype, length }, index): PlanBuffer => {
    return { dtype, length, role: { kind: "input", index } };
  });
  const [{ dtype, length }] = kernel.stores;
  return {
    buffers: [...inputs, { dtype, length, role: { kind: "output", index: 0 } }],
    steps: [{ kernel, operands: inputs.map((_, index) => index), results: [inputs.length] }],
    slots: [],
    inputs: inputs.length,
    outputs: 1,
    aliases: [null],
  };
}

async function comparePlan(
  device: KernelDevice,
  plan: Plan,
  data: readonly TensorData[],
  accuracy: Accuracy,
): Promise<{ readonly compared: number; readonly uncertain: number }> {
  const wanted = interpretPlan(plan, data, accuracy);
  const buffersOf = (kind: "input" | "output"): PlanBuffer[] =>
    plan.buffers.filter(({ role }) => role.kind === kind).sort((a, b) => indexOf(a) - indexOf(b));
  // As the engine's plans are: where a device's kernels may have several results, neighbours are joined.
  const joined = device.limits.results > 1 ? joinSteps(plan, device.limits) : plan;
  const executable = await device.compile(joined);
  const inputs = buffersOf("input").map(({ dtype, length }) => device.allocate(dtype, length));
  const outputs = buffersOf("output").map(({ dtype, length }, i) => {
    const alias = plan.aliases[i] ?? null;
    return alias === null ? device.allocate(dtype, length) : at(inputs, alias);
  });
  try {
    // Twice: what a run leaves behind must not matter to the next.
    for (let run = 0; run < 2; run++) {
      inputs.forEach((input, i) => device.upload(input, at(data, i)));
      await executable.run(inputs, outputs);
    }
    return await compareOutputs(device, plan, executable, outputs, wanted);
  } finally {
    executable.dispose();
    for (const buffer of new Set([...inputs, ...outputs])) device.free(buffer);
  }
}

function indexOf({ role }: PlanBuffer): number {
  return role.kind === "input" || role.kind === "output" ? role.index : -1;
}

async function compareOutputs(
  device: KernelDevice,
  plan: Plan,
  executable: Executable,
  outputs: readonly DeviceBuffer[],
  wanted: readonly Bounded[],
): Promise<{ readonly compared: number; readonly uncertain: number }> {
  let [compared, uncertain] = [0, 0];
  for (const [number, { role }] of plan.buffers.entries()) {
    if (role.kind !== "output") continue;
    const { values, errors } = at(wanted, number);
    const got = await downloaded(device, at(outputs, role.index));
    if (got.length !== values.length)
      throw new Error(`output ${role.index} has ${got.length} of ${values.length} elements`);
    const place = firstViolation(got, at(wanted, number));
    if (place !== undefined) {
      const sources = executable.sources().map(({ kernel, language, text }) => `-- ${kernel} [${language}]\n${text}`);
      throw new Error(
        [
          `${device.name}: output ${role.index}, element ${place}: got ${got[place]}, wanted ${values[place]} within ${errors[place]}`,
          ...sources.map((source) => source.slice(0, 4000)),
        ].join("\n"),
      );
    }
    const open = errors.reduce((count, error) => count + Number(error === Infinity), 0);
    compared += values.length - open;
    uncertain += open;
  }
  return { compared, uncertain };
}

/**
 * A plan in words.
 * @example
 * ```ts
 * import { tensor, type Tensor } from "evenkeel/engine";
 *
 * const { graph } = await graphCase((x: Tensor) => x.multiply(x), tensor([1, 2]));
 * const text = printPlan(await planGraph(graph, new ReferenceDevice("arena")));
 * console.log(text.split("\n").slice(0, 2)); // [ 'b0: f32[2] input 0', 'b1: f32[2] output 0, alias none' ]
 * ```
 */
export function printPlan({ buffers, steps, slots, aliases }: Plan): string {
  const role = (buffer: PlanBuffer): string => {
    switch (buffer.role.kind) {
      case "input":
        return `input ${buffer.role.index}`;
      case "output":
        return `output ${buffer.role.index}, alias ${aliases[buffer.role.index] ?? "none"}`;
      case "constant":
        return `constant ${[...buffer.role.data.slice(0, 24)].join(" ")}`;
      case "temporary":
        return `slot ${buffer.role.slot} + ${buffer.role.offset}`;
    }
  };
  return [
    ...buffers.map((buffer, i) => `b${i}: ${buffer.dtype}[${buffer.length}] ${role(buffer)}`),
    `slots ${slots.join(" ")}`,
    ...steps.map(
      ({ kernel, operands, results }) =>
        `${results.map((result) => `b${result}`).join(", ")} = ${kernel.name}(${operands.map((operand) => `b${operand}`).join(", ")})\n${printKernel(kernel)}`,
    ),
  ].join("\n");
}
