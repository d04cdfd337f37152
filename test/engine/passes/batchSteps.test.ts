import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { promisedLimits, webgpuLimits } from "../../../engine/devices/gpujs/webgpuLimits.ts";
import { at } from "../../../engine/graph/shape.ts";
import { add, divide, exp, matmul, reduceSum, type Tensor } from "../../../engine/index.ts";
import { reusesLoads } from "../../../engine/kernel/contraction.ts";
import type { Kernel } from "../../../engine/kernel/kernel.ts";
import type { PlanStep } from "../../../engine/kernel/plan.ts";
import { batchSteps, type UnplacedBuffer } from "../../../engine/passes/batchSteps.ts";
import type { Overwrite } from "../../../engine/passes/places.ts";
import { overwriteLast } from "../../../engine/passes/overwriteLast.ts";
import { input, planOf } from "./plannedFor.ts";

const inputs = 6;

const kernels = new Map<string, Kernel>();

/** Element-wise kernels of so many operands that differ in numbers, or in what they compute; equal ones are one object. */
function kernelOf(operands: number, length: number, op: "add" | "multiply"): Kernel {
  const name = `${op}_${operands}_${length}`;
  const kernel = kernels.get(name) ?? newKernel(name, operands, length, op);
  kernels.set(name, kernel);
  return kernel;
}

function newKernel(name: string, operands: number, length: number, op: "add" | "multiply"): Kernel {
  const address = { offset: 0, coefficients: [1] };
  const loads = Array.from({ length: operands }, (_, operand) => {
    return { kind: "load", dtype: "f32", operand, at: address } as const;
  });
  const value = loads.reduce<Kernel["stores"][0]["value"]>((x, y) => ({ kind: "binary", dtype: "f32", op, x, y }), {
    kind: "literal",
    dtype: "f32",
    value: length,
  });
  return {
    name,
    axes: [{ role: "parallel", size: length }],
    operands: loads.map(() => ({ dtype: "f32", length })),
    reduction: null,
    stores: [{ value, dtype: "f32", length, at: address }],
    flops: length,
    bytes: 4 * length,
  };
}

type Program = {
  readonly steps: readonly PlanStep[];
  readonly buffers: readonly UnplacedBuffer[];
  readonly overwrites: readonly Overwrite[];
};

/** Steps that read inputs, in an arena or not, and what others made; some write over an input in its arena that no later step reads. */
const programs: fc.Arbitrary<Program> = fc
  .record({
    placed: fc.array(fc.boolean(), { minLength: inputs, maxLength: inputs }),
    specs: fc.array(
      fc.record({
        reads: fc.array(fc.nat(40), { minLength: 1, maxLength: 3 }),
        length: fc.constantFrom(8, 12, 1000),
        op: fc.constantFrom("add", "multiply"),
        replaces: fc.boolean(),
      }),
      { minLength: 1, maxLength: 16 },
    ),
  })
  .map(({ placed, specs }): Program => {
    const place = (index: number): { readonly place?: { readonly arena: number; readonly offset: number } } =>
      at(placed, index) ? { place: { arena: 0, offset: 4096 * (index + 1) } } : {};
    const buffers: UnplacedBuffer[] = Array.from({ length: inputs }, (_, index) => {
      return { dtype: "f32", length: 1000, role: { kind: "input", index, ...place(index) } };
    });
    const drafts = specs.map(({ reads, length, op }) => {
      const operands = [...new Set(reads.map((read) => read % buffers.length))];
      const result = buffers.push({ dtype: "f32", length, role: null }) - 1;
      return { kernel: kernelOf(operands.length, length, op), operands, results: [result] } as const;
    });
    const overwrites: Overwrite[] = [];
    specs.forEach(({ replaces }, step) => {
      const input = step % inputs;
      const isFree = drafts.slice(step + 1).every(({ operands }) => !operands.includes(input));
      if (!replaces || !isFree || overwrites.some((other) => other.input === input)) return;
      const output = at(drafts, step).results[0];
      buffers[output] = { ...at(buffers, output), role: { kind: "output", index: step, ...place(input) } };
      overwrites.push({ input, output });
    });
    return { steps: drafts, buffers, overwrites };
  });

const membersOf = (step: PlanStep): readonly PlanStep[] => step.members ?? [step];

/** Fails unless each step comes behind what makes what it reads, and behind all who read what it writes over. */
function checkOrder(steps: readonly (readonly PlanStep[])[], { overwrites }: Program, made: number): void {
  const turn = new Map<number, number>();
  steps.forEach((members, i) => members.forEach(({ results }) => results.forEach((result) => turn.set(result, i))));
  steps.forEach((members, i) => {
    for (const { operands } of members) {
      for (const operand of operands) {
        if (operand >= made) assert.ok((turn.get(operand) ?? Infinity) < i, "read before it is made");
        const overwrite = overwrites.find(({ input }) => input === operand);
        const writer = turn.get(overwrite?.output ?? -1) ?? Infinity;
        const isOwn =
          members.length > 0 &&
          writer === i &&
          members.some(({ results, operands: own }) => {
            return results.includes(overwrite?.output ?? -1) && own.includes(operand);
          });
        assert.ok(i < writer || isOwn, "read after it is written over");
      }
    }
  });
}

describe("batched steps", () => {
  it("are the steps, each once, in an order of computation, and none of a batch waits for another of it", () => {
    fc.assert(
      fc.property(programs, (program) => {
        const { steps } = batchSteps(program.steps, program.buffers, program.overwrites);
        assert.deepEqual(new Set(steps.flatMap(membersOf)), new Set(program.steps));
        assert.equal(steps.flatMap(membersOf).length, program.steps.length);
        checkOrder(steps.map(membersOf), program, inputs);
      }),
    );
  });

  it("differ in numbers alone, and what is at one place of them can lie in one memory, which none of them also writes", () => {
    fc.assert(
      fc.property(programs, ({ steps, buffers, overwrites }) => {
        const { steps: batched, bundles } = batchSteps(steps, buffers, overwrites);
        const bundleOf = new Map(bundles.flatMap((members, bundle) => members.map((member) => [member, bundle])));
        assert.equal(bundleOf.size, bundles.flat().length, "a temporary in two bundles");
        const memoryOf = (buffer: number): string => {
          const { role } = at(buffers, buffer);
          const bundle = bundleOf.get(buffer);
          if (bundle !== undefined) return `bundle ${bundle}`;
          return role !== null && "place" in role ? `arena ${role.place.arena}` : `buffer ${buffer}`;
        };
        for (const step of batched) {
          const members = membersOf(step);
          const [first] = members;
          assert.ok(first !== undefined);
          for (const member of members) {
            assert.equal(member.kernel.name.split("_")[0], first.kernel.name.split("_")[0]);
            assert.deepEqual(member.operands.map(memoryOf), first.operands.map(memoryOf));
            assert.deepEqual(member.results.map(memoryOf), first.results.map(memoryOf));
            const written = member.results.map(memoryOf).filter((memory) => memory.startsWith("bundle"));
            assert.ok(!member.operands.map(memoryOf).some((memory) => written.includes(memory)));
          }
          if (step.members === undefined) continue;
          assert.deepEqual(new Set(step.operands), new Set(members.flatMap(({ operands }) => operands)));
          assert.deepEqual(
            step.results,
            members.flatMap(({ results }) => results),
          );
          assert.equal(
            step.kernel.flops,
            members.reduce((sum, { kernel }) => sum + kernel.flops, 0),
          );
        }
        assert.equal(
          new Set(batched.map(({ kernel }) => kernel.name)).size,
          new Set(batched.map(({ kernel }) => kernel)).size,
        );
      }),
    );
  });

  it("are as many whatever the number of arrays: chains over arrays of their own, one after the other", () => {
    const chains = 20;
    const buffers: UnplacedBuffer[] = [];
    const steps: PlanStep[] = [];
    for (let chain = 0; chain < chains; chain++) {
      const place = { arena: 0, offset: 4096 * (chain + 1) };
      let last = buffers.push({ dtype: "f32", length: 100, role: { kind: "input", index: chain, place } }) - 1;
      for (const op of ["add", "multiply", "add"] as const) {
        const result = buffers.push({ dtype: "f32", length: 100, role: null }) - 1;
        steps.push({ kernel: kernelOf(1, 100 + chain, op), operands: [last], results: [result] });
        last = result;
      }
    }
    const batched = batchSteps(steps, buffers, []);
    assert.deepEqual(
      batched.steps.map((step) => step.members?.length),
      [chains, chains, chains],
    );
    assert.deepEqual(
      batched.bundles.map((bundle) => bundle.length),
      [chains, chains, chains],
    );
  });
});

describe("products on a device that runs batches", () => {
  const webgpu = webgpuLimits(promisedLimits, "own");
  const product = (rows: number, depth: number, columns: number): Tensor =>
    matmul(exp(input(rows, depth)), exp(input(depth, columns)));
  /** Of the steps that multiply or add how many each is made of. */
  const membersIn = (outputs: readonly Tensor[]): readonly number[] =>
    planOf(outputs, [], webgpu)
      .steps.filter(({ kernel }) => reusesLoads(kernel) || kernel.name.startsWith("add"))
      .map((step) => membersOf(step).length);

  it("are put together if they are small, and if they are large with those of their shape", () => {
    // What is read twice is stored; results of the program lie apart.
    const products = (sizes: readonly number[]): Tensor[] =>
      sizes.map((size) => product(size, 8, size)).map((x) => divide(x, reduceSum(x)));
    assert.deepEqual(membersIn(products([16, 24, 16, 40])), [4]);
    assert.deepEqual([...membersIn(products([1024, 1040, 1024, 1040, 1024]))].sort(), [2, 3]);
  });

  it("that are added up are one step but for those that the kernels make which read the others", () => {
    for (let count = 3; count <= 20; count++) {
      const products = Array.from({ length: count }, () => product(16, 24, 8));
      const members = membersIn([products.reduce((sum, x) => add(sum, x))]);
      // One of the arrays that a kernel may read is the sum so far, and two are the factors of its own product.
      const sums = Math.ceil(count / (webgpu.operands - 2));
      assert.ok(members.length <= 1 + sums && Math.max(...members) >= count - sums, `${count}: ${members.join()}`);
    }
  });
});

describe("what writes over an input", () => {
  it("comes behind all others that read it, unless one of them waits for it; the other steps keep their order", () => {
    fc.assert(
      fc.property(programs, fc.array(fc.tuple(fc.nat(inputs - 1), fc.nat(15))), (program, chosen) => {
        const wanted = chosen
          .filter(([input], i) => chosen.findIndex(([other]) => other === input) === i)
          .flatMap(([input, step]): Overwrite[] => {
            const output = program.steps[step]?.results[0];
            return output === undefined ? [] : [{ input, output }];
          });
        const ordered = overwriteLast(program.steps, wanted);
        assert.deepEqual(new Set(ordered), new Set(program.steps));
        checkOrder(
          ordered.map((step) => [step]),
          { ...program, overwrites: [] },
          inputs,
        );
        for (const { input, output } of wanted) {
          const writer = ordered.findIndex(({ results }) => results.includes(output));
          const later = ordered.slice(writer + 1).filter(({ operands }) => operands.includes(input));
          if (later.length === 0) continue;
          // One of them waits, perhaps because of what another input's writer waits for.
          const isFreeAlone = overwriteLast(program.steps, [{ input, output }]) !== program.steps;
          assert.ok(!isFreeAlone || wanted.length > 1);
        }
      }),
    );
  });
});
