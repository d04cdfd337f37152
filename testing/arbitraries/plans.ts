/** Random plans: a few kernels one after the other over inputs, constants, temporaries that share memory, and outputs. */
import fc from "fast-check";
import type { DeviceLimits } from "../../engine/devices/device.ts";
import type { DType, TensorData } from "../../engine/graph/dtype.ts";
import { at } from "../../engine/graph/shape.ts";
import type { Kernel } from "../../engine/kernel/kernel.ts";
import type { BufferRole, Plan, PlanBuffer, PlanStep } from "../../engine/kernel/plan.ts";
import { rootsOf, scalarsOf } from "../../engine/kernel/scalar.ts";
import { buildKernel, smallSpecs, fillData, type KernelSpec, type OperandData, operandData } from "./kernels.ts";

type FilledBuffer = OperandData & { readonly length: number };

export type StepSpec = {
  readonly spec: KernelSpec;
  /** Which earlier buffers to read, counted back from the newest. */
  readonly reads: readonly number[];
  /** Runs the kernel of an earlier step again, on other buffers where they fit. */
  readonly repeats: boolean;
  readonly isOutput: boolean;
};

/** A random plan, from which `buildPlan` makes one for a device. */
export type PlanSpec = {
  readonly inputs: readonly FilledBuffer[];
  readonly constants: readonly FilledBuffer[];
  readonly steps: readonly StepSpec[];
  /** Whether outputs take over inputs' memory where they may. */
  readonly aliases: boolean;
  /** Whether an output more is input 0, unchanged. */
  readonly keepsFirst: boolean;
};

/** A plan, and the elements of its inputs. */
export type PlanCase = { readonly plan: Plan; readonly inputs: readonly TensorData[] };

type DraftBuffer = { readonly dtype: DType; readonly length: number; role: BufferRole | null };

/**
 * The plan of a spec, laid out for a device.
 * @example
 * ```ts
 * import { sample } from "fast-check";
 *
 * const { limits } = new ReferenceDevice("arena");
 * const plans = sample(planSpecs, 10).map((spec) => buildPlan(spec, limits).plan);
 * console.log(plans.every(({ steps }) => steps.length >= 2)); // true
 * ```
 */
export function buildPlan(spec: PlanSpec, limits: Pick<DeviceLimits, "temporaries" | "inPlace">): PlanCase {
  const buffers: DraftBuffer[] = [];
  spec.inputs.forEach(({ dtype, length }, index) => buffers.push({ dtype, length, role: { kind: "input", index } }));
  for (const constant of spec.constants) {
    const { dtype, length } = constant;
    buffers.push({ dtype, length, role: { kind: "constant", data: fillData(constant, length) } });
  }
  const steps: PlanStep[] = [];
  let outputs = 0;
  for (const [number, step] of spec.steps.entries()) {
    const { kernel, operands } = buildStep(step, number, steps, buffers);
    const isOutput = step.isOutput || number === spec.steps.length - 1;
    const role: BufferRole | null = isOutput ? { kind: "output", index: outputs++ } : null;
    const { dtype, length } = kernel.stores[0];
    steps.push({ kernel, operands, results: [buffers.push({ dtype, length, role }) - 1] });
  }
  const aliases = Array.from({ length: outputs }, (): number | null => null);
  if (spec.keepsFirst) {
    const { dtype, length } = at(buffers, 0);
    buffers.push({ dtype, length, role: { kind: "output", index: outputs++ } });
    aliases.push(0);
  }
  if (spec.aliases) findAliases(buffers, steps, limits.inPlace, aliases);
  const slots = placeTemporaries(buffers, steps, limits.temporaries);
  const placed = buffers.map(({ dtype, length, role }): PlanBuffer => {
    if (role === null) throw new Error("a temporary without a place");
    return { dtype, length, role };
  });
  return {
    plan: { buffers: placed, steps, slots, inputs: spec.inputs.length, outputs, aliases },
    inputs: spec.inputs.map((input) => fillData(input, input.length)),
  };
}

function buildStep(
  { spec, reads, repeats }: StepSpec,
  number: number,
  steps: readonly PlanStep[],
  buffers: readonly DraftBuffer[],
): { readonly kernel: Kernel; readonly operands: readonly number[] } {
  const before = steps.at(-1);
  if (repeats && before !== undefined) {
    const operands = before.operands.map((operand) => {
      const { dtype, length } = at(buffers, operand);
      const newest = buffers.findLastIndex((buffer) => buffer.dtype === dtype && buffer.length === length);
      return newest < 0 ? operand : newest;
    });
    return { kernel: before.kernel, operands };
  }
  const operands = reads.map((back) => buffers.length - 1 - (back % buffers.length));
  const slots = operands.map((operand) => {
    const { dtype, length } = at(buffers, operand);
    return { dtype, length, isFixed: true };
  });
  return { kernel: buildKernel(spec, slots, `step_${number}`), operands };
}

/** An output may take over an input that no later step reads, and the writing step at its own place only. */
function findAliases(
  buffers: readonly DraftBuffer[],
  steps: readonly PlanStep[],
  inPlace: boolean,
  aliases: (number | null)[],
): void {
  if (!inPlace) return;
  for (const [
    writer,
    {
      kernel,
      operands,
      results: [result],
    },
  ] of steps.entries()) {
    const { dtype, length, role } = at(buffers, result);
    if (role?.kind !== "output") continue;
    const input = buffers.findIndex((buffer, number) => {
      if (buffer.role?.kind !== "input" || buffer.dtype !== dtype || buffer.length !== length) return false;
      if (aliases.includes(buffer.role.index)) return false;
      const isReadLater = steps.some((step, index) => index > writer && step.operands.includes(number));
      return !isReadLater && operands.every((operand, i) => operand !== number || readsOwnPlaceOnly(kernel, i));
    });
    if (input >= 0) aliases[role.index] = input;
  }
}

function readsOwnPlaceOnly(kernel: Kernel, operand: number): boolean {
  return scalarsOf(...rootsOf(kernel)).every((scalar) => {
    if (scalar.kind === "gather") return scalar.operand !== operand;
    if (scalar.kind !== "load" || scalar.operand !== operand) return true;
    const { offset, coefficients } = scalar.at;
    const own = kernel.stores[0].at.coefficients;
    return offset === 0 && coefficients.every((coefficient, axis) => coefficient === own[axis]);
  });
}

/** Gives temporaries memory that is free from the step that writes them to the last one that reads them. */
function placeTemporaries(
  buffers: DraftBuffer[],
  steps: readonly PlanStep[],
  temporaries: DeviceLimits["temporaries"],
): number[] {
  const alignment = 64;
  const bytesOf = ({ length }: DraftBuffer): number => Math.ceil((4 * length) / alignment) * alignment;
  const slots: { bytes: number; readonly places: { offset: number; bytes: number; last: number }[] }[] = [];
  if (temporaries === "arena") slots.push({ bytes: 0, places: [] });
  for (const [
    number,
    {
      results: [result],
    },
  ] of steps.entries()) {
    const buffer = at(buffers, result);
    if (buffer.role !== null) continue;
    const last = steps.reduce((latest, { operands }, step) => (operands.includes(result) ? step : latest), number);
    const bytes = bytesOf(buffer);
    const isBusy = (place: { readonly last: number }): boolean => place.last >= number;
    if (temporaries === "arena") {
      const arena = at(slots, 0);
      let offset = 0;
      for (const place of arena.places.filter(isBusy).sort((a, b) => a.offset - b.offset)) {
        if (place.offset - offset >= bytes) break;
        offset = Math.max(offset, place.offset + place.bytes);
      }
      arena.places.push({ offset, bytes, last });
      arena.bytes = Math.max(arena.bytes, offset + bytes);
      buffer.role = { kind: "temporary", slot: 0, offset };
    } else {
      const free = slots.findIndex(({ places }) => !places.some(isBusy));
      const slot = free < 0 ? slots.push({ bytes: 0, places: [] }) - 1 : free;
      const chosen = at(slots, slot);
      chosen.places.push({ offset: 0, bytes, last });
      chosen.bytes = Math.max(chosen.bytes, bytes);
      buffer.role = { kind: "temporary", slot, offset: 0 };
    }
  }
  return slots.map(({ bytes }) => bytes);
}

const length = fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 64, 65, 100, 0);
const filled = (dtypes: readonly DType[]): fc.Arbitrary<FilledBuffer> =>
  fc.tuple(operandData(dtypes), length).map(([data, count]) => ({ ...data, length: count }));
const dtypes: readonly DType[] = ["f32", "f32", "f32", "f32", "i32", "u32", "bool"];

const stepSpecs: fc.Arbitrary<StepSpec> = fc.record({
  spec: smallSpecs,
  reads: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }),
  repeats: fc.nat(5).map((n) => n === 5),
  isOutput: fc.nat(3).map((n) => n === 3),
});

/** Random plans of two to six kernels. */
export const planSpecs: fc.Arbitrary<PlanSpec> = fc.noBias(
  fc.record({
    inputs: fc.array(filled(dtypes), { minLength: 1, maxLength: 3 }),
    constants: fc.array(filled(dtypes), { maxLength: 1 }),
    steps: fc.array(stepSpecs, { minLength: 2, maxLength: 6 }),
    aliases: fc.boolean(),
    keepsFirst: fc.boolean(),
  }),
);
