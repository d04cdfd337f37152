/** What random kernels and plans must be: valid, varied, and small once shrunk. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { binaryOps, compareOps, unaryOps } from "../../engine/graph/node.ts";
import { binaryDtypes } from "../../engine/graph/shapeRules.ts";
import type { AxisRole, Kernel, Scalar } from "../../engine/kernel/kernel.ts";
import { rootsOf, scalarsOf } from "../../engine/kernel/scalar.ts";
import { scatterOf } from "../../engine/kernel/scatter.ts";
import { accuracies } from "../../testing/bounds/accuracies.ts";
import { interpretPlan } from "../../testing/bounds/interpretKernel.ts";
import { buildCase, kernelCases } from "../../testing/arbitraries/kernels.ts";
import { scalarInstructions } from "../../testing/arbitraries/kernelExpressions.ts";
import { buildPlan, planSpecs } from "../../testing/arbitraries/plans.ts";

const seed = 20240612;

describe("random kernels", () => {
  const kernels = fc.sample(kernelCases, { numRuns: 2000, seed }).map((kernelCase) => buildCase(kernelCase).kernel);
  const scalars = kernels.flatMap((kernel) => scalarsOf(...rootsOf(kernel)));
  const count = (holds: (scalar: Scalar) => boolean): number => scalars.filter(holds).length;

  it("compute with every operation and every dtype it has", () => {
    for (const op of unaryOps) {
      assert.ok(count((scalar) => scalar.kind === "unary" && scalar.op === op) >= 10, op);
    }
    for (const dtype of ["f32", "i32", "u32"] as const) {
      for (const op of binaryOps) {
        if (!binaryDtypes[op].includes(dtype)) continue;
        const found = count((scalar) => scalar.kind === "binary" && scalar.op === op && scalar.dtype === dtype);
        assert.ok(found >= 10, `${op} of ${dtype}: ${found}`);
      }
      for (const op of compareOps) {
        const found = count((scalar) => scalar.kind === "compare" && scalar.op === op && scalar.x.dtype === dtype);
        assert.ok(found >= 5, `${op} of ${dtype}: ${found}`);
      }
    }
    for (const kind of ["load", "gather", "literal", "index", "select", "region"] as const) {
      for (const dtype of ["f32", "i32", "u32", "bool"] as const) {
        const found = count((scalar) => scalar.kind === kind && scalar.dtype === dtype);
        assert.ok(found >= 5, `${kind} of ${dtype}: ${found}`);
      }
    }
    for (const kind of ["cast", "shift", "threefry", "accumulator"] as const) {
      assert.ok(count((scalar) => scalar.kind === kind) >= 50, kind);
    }
  });

  it("have every number of axes, empty ones, reductions, negative and zero strides, regions within regions", () => {
    const share = (holds: (kernel: (typeof kernels)[number]) => boolean): number => kernels.filter(holds).length;
    for (let rank = 0; rank <= 7; rank++) assert.ok(share(({ axes }) => axes.length === rank) >= 20, `rank ${rank}`);
    assert.ok(share(({ axes }) => axes.some(({ size }) => size === 0)) >= 50);
    assert.ok(share(({ axes }) => axes.some(({ size }) => size > 1000)) >= 10);
    assert.ok(share(({ reduction }) => reduction?.op === "sum") >= 200);
    assert.ok(share(({ reduction }) => reduction?.op === "max") >= 200);
    assert.ok(share(({ reduction, stores: [{ value }] }) => reduction !== null && value.kind !== "accumulator") >= 200);
    const isStride = (holds: (stride: number) => boolean): number =>
      count((scalar) => scalar.kind === "load" && scalar.at.coefficients.some(holds));
    assert.ok(isStride((stride) => stride < 0) >= 100 && isStride((stride) => stride === 0) >= 100);
    const isNested = (scalar: Scalar): boolean =>
      scalar.kind === "region" && scalarsOf(scalar.inside).some(({ kind }) => kind === "region");
    assert.ok(count(isNested) >= 20);
  });

  it("add rows by index, also where rows are on several axes, and so are what is added", () => {
    const scatters = kernels.filter((kernel) => scatterOf(kernel) !== null);
    assert.ok(scatters.length >= 100, `${scatters.length}`);
    const axesOf = (role: AxisRole, { axes }: Kernel): number =>
      axes.filter((axis) => axis.role === role && axis.size > 1).length;
    assert.ok(scatters.filter((kernel) => axesOf("reduce", kernel) > 1).length >= 30);
    const rowsOf = (kernel: Kernel): number =>
      scatterOf(kernel)?.row.coefficients.filter((coefficient) => coefficient !== 0).length ?? 0;
    for (const rows of [0, 1, 2]) assert.ok(scatters.filter((kernel) => rowsOf(kernel) === rows).length >= 15);
  });

  it("share expressions", () => {
    const uses = new Map<Scalar, number>();
    for (const scalar of scalars) {
      if (scalar.kind !== "binary") continue;
      for (const operand of [scalar.x, scalar.y]) uses.set(operand, (uses.get(operand) ?? 0) + 1);
    }
    assert.ok([...uses.values()].filter((times) => times > 1).length >= 50);
  });

  it("are made of known instructions only", () => {
    for (const spec of fc.sample(kernelCases, { numRuns: 200, seed })) {
      const lists = spec.spec.kind === "contraction" ? [spec.spec.epilogue] : [spec.spec.body, spec.spec.epilogue];
      for (const { name } of lists.flat()) assert.ok(scalarInstructions.includes(name), name);
    }
  });
});

describe("random plans", () => {
  for (const limits of [
    { temporaries: "arena", inPlace: true },
    { temporaries: "slots", inPlace: false },
  ] as const) {
    it(`are valid on a device with ${limits.temporaries}, and share memory`, () => {
      let [shared, aliased, outputsRead] = [0, 0, 0];
      fc.assert(
        fc.property(planSpecs, (spec) => {
          const { plan, inputs } = buildPlan(spec, limits);
          // Throws where a step reads out of bounds, or what no step has written: it has another length.
          interpretPlan(plan, inputs, accuracies.wasm);
          const written = new Set<number>();
          for (const { kernel, operands, results } of plan.steps) {
            for (const [i, operand] of operands.entries()) {
              const role = plan.buffers[operand]?.role.kind;
              assert.ok(role === "input" || role === "constant" || written.has(operand));
              assert.equal(plan.buffers[operand]?.dtype, kernel.operands[i]?.dtype);
              outputsRead += Number(role === "output");
            }
            for (const result of results) {
              assert.ok(!written.has(result) && !operands.includes(result));
              written.add(result);
            }
          }
          aliased += plan.aliases.filter((input) => input !== null).length;
          const places = plan.buffers.flatMap(({ role }) =>
            role.kind === "temporary" ? [`${role.slot} ${role.offset}`] : [],
          );
          shared += Number(new Set(places).size < places.length);
        }),
        { numRuns: 400, seed },
      );
      assert.ok(shared >= 20, `${shared} plans share memory`);
      assert.ok(aliased >= 20 && outputsRead >= 20, `${aliased} aliases, ${outputsRead} outputs read`);
    });
  }
});
