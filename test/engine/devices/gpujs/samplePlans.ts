/** Small plans written by hand, to test a device without the compiler in front of it. */
import type { DType } from "../../../../engine/graph/dtype.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { BufferRole, Plan, PlanStep } from "../../../../engine/kernel/plan.ts";

const linear = { offset: 0, coefficients: [1] };

export function load(operand: number, dtype: DType = "f32"): Scalar {
  return { kind: "load", dtype, operand, at: linear };
}

export function add(x: Scalar, y: Scalar): Scalar {
  return { kind: "binary", dtype: x.dtype, op: "add", x, y };
}

export function literal(value: number, dtype: DType = "f32"): Scalar {
  return { kind: "literal", dtype, value };
}

/** A kernel over one axis of `length` points that reads `operands` arrays of that length. */
export function elementwise(name: string, length: number, operands: number, value: Scalar): Kernel {
  const { dtype } = value;
  return {
    name,
    axes: [{ role: "parallel", size: length }],
    operands: Array.from({ length: operands }, () => ({ dtype, length })),
    reduction: null,
    stores: [{ value, dtype, length, at: linear }],
    flops: length,
    bytes: 4 * length * (operands + 1),
  };
}

/** A plan over buffers of `length` elements each. */
export function plan(dtype: DType, length: number, roles: readonly BufferRole[], steps: readonly PlanStep[]): Plan {
  const count = (kind: BufferRole["kind"]): number => roles.filter((role) => role.kind === kind).length;
  const slots = roles.flatMap((role) => (role.kind === "temporary" ? [role.slot] : []));
  return {
    buffers: roles.map((role) => ({ dtype, length, role })),
    steps,
    slots: Array.from({ length: Math.max(-1, ...slots) + 1 }, () => 4 * length),
    inputs: count("input"),
    outputs: count("output"),
    aliases: Array.from({ length: count("output") }, () => null),
  };
}

/** output = input + 1, in one kernel. */
export function incrementPlan(length: number, dtype: DType = "f32"): Plan {
  const kernel = elementwise("increment", length, 1, add(load(0, dtype), literal(1, dtype)));
  const roles: BufferRole[] = [
    { kind: "input", index: 0 },
    { kind: "output", index: 0 },
  ];
  return plan(dtype, length, roles, [{ kernel, operands: [0], results: [1] }]);
}

/** output = 2 input + constant, through two temporaries in one slot after the other and an unrelated third one. */
export function chainPlan(length: number, constant: Float32Array): Plan {
  const double = elementwise("double", length, 1, add(load(0), load(0)));
  const sum = elementwise("sum", length, 2, add(load(0), load(1)));
  const roles: BufferRole[] = [
    { kind: "input", index: 0 },
    { kind: "output", index: 0 },
    { kind: "constant", data: constant },
    { kind: "temporary", slot: 0, offset: 0 },
    { kind: "temporary", slot: 1, offset: 0 },
  ];
  return plan("f32", length, roles, [
    { kernel: double, operands: [0], results: [3] },
    { kernel: sum, operands: [3, 2], results: [4] },
    { kernel: elementwise("copyBack", length, 1, load(0)), operands: [4], results: [1] },
  ]);
}
