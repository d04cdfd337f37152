/** Steps that are joined as what they touch lies in few memories, and what they are where it doesn't. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DeviceLimits, KernelDevice } from "../../../engine/devices/device.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  compileStep,
  createState,
  exp,
  maximum,
  multiply,
  reduceSum,
  subtract,
  type Tensor,
  tanh,
  tensor,
} from "../../../engine/index.ts";
import { type Plan, separated } from "../../../engine/kernel/plan.ts";
import { memoriesFit, memoriesOf } from "../../../engine/passes/memories.ts";
import { treeLeaves } from "../../../engine/tree.ts";
import { ReferenceDevice } from "../../../testing/devices/referenceDevice.ts";

/** Arrays of a state, and how new ones are made of them and of each other. */
type Update = {
  readonly leaves: number;
  readonly rows: number;
  readonly makes: readonly { readonly operation: number; readonly of: readonly [number, number] }[];
  /** Which value takes the place of each array, if another does. */
  readonly replaces: readonly number[];
};

const updates: fc.Arbitrary<Update> = fc
  .record({ leaves: fc.integer({ min: 2, max: 14 }), rows: fc.constantFrom(3, 8) })
  .chain(({ leaves, rows }) =>
    fc.record({
      leaves: fc.constant(leaves),
      rows: fc.constant(rows),
      makes: fc.array(fc.record({ operation: fc.nat(6), of: fc.tuple(fc.nat(99), fc.nat(99)) }), {
        minLength: leaves,
        maxLength: 3 * leaves,
      }),
      replaces: fc.array(fc.nat(99), { minLength: leaves, maxLength: leaves }),
    }),
  );

const columns = 5;

function stepOf({ makes, replaces }: Update, leaves: readonly Tensor[]): { state: Tensor[]; result: null } {
  const values = [...leaves];
  for (const { operation, of } of makes) {
    const [x, y] = of.map((index) => at(values, index % values.length));
    if (x === undefined || y === undefined) throw new Error("two operands");
    const operations: readonly (() => Tensor)[] = [
      () => add(multiply(x, 0.5), y),
      () => subtract(x, y),
      () => maximum(x, multiply(y, 0.25)),
      () => tanh(x),
      () => exp(subtract(x, maximum(x, y))),
      () => add(x, reduceSum(y, { axes: 1, keepAxes: true })),
      () => multiply(tanh(x), tanh(y)),
    ];
    values.push(at(operations, operation)());
  }
  const made = values.length - leaves.length;
  return {
    state: replaces.map((index, i) => at(values, made === 0 ? i : leaves.length + (index % made))),
    result: null,
  };
}

const promised: DeviceLimits = {
  ...new ReferenceDevice("slots").limits,
  operands: 7,
  results: 4,
  arrays: 8,
  batches: true,
  inPlace: true,
};

/** A device that runs what it makes of a plan. */
function deviceFor(limits: DeviceLimits, plan: (plan: Plan) => Plan): KernelDevice {
  class Limited extends ReferenceDevice {
    override readonly limits = limits;
  }
  return new Limited("slots", { plan });
}

const oneByOne = (plan: Plan): Plan => ({ ...plan, steps: plan.steps.flatMap((step) => step.members ?? [step]) });

async function bitsOf(update: Update, device: KernelDevice): Promise<readonly number[]> {
  const leaves = Array.from({ length: update.leaves }, (_, leaf) =>
    tensor(
      Float32Array.from({ length: update.rows * columns }, (_, i) => Math.sin(2.3 * i + leaf)),
      { shape: [update.rows, columns] },
    ),
  );
  const state = await createState<Tensor[]>(leaves, device);
  const step = compileStep((old: Tensor[]) => stepOf(update, old), { device });
  for (let run = 0; run < 2; run++) await step(state);
  const values = await Promise.all(treeLeaves(await state.read()).map((leaf) => leaf.tensor.data()));
  state.dispose();
  step.dispose();
  return values.flatMap((each) => [...new Uint32Array(Float32Array.from(each).buffer)]);
}

describe("steps joined over arenas", () => {
  it("give the bits of steps that aren't, also where buffers lie elsewhere, in 150 random updates", async () => {
    let relying = 0;
    await fc.assert(
      fc.asyncProperty(updates, async (update) => {
        const wanted = await bitsOf(update, deviceFor({ ...promised, results: 1 }, oneByOne));
        const joined = deviceFor(promised, (plan) => {
          const steps = oneByOne(plan).steps;
          if (steps.some(({ parts }) => parts !== undefined)) relying++;
          return { ...plan, steps };
        });
        assert.deepEqual(await bitsOf(update, joined), wanted);
        const elsewhere = deviceFor(promised, (plan) => {
          const apart = separated(plan);
          for (const { kernel, operands, results } of apart.steps) {
            assert.ok(operands.length <= promised.operands, `${kernel.name} reads ${operands.length} arrays`);
            assert.ok(operands.length + results.length <= promised.arrays, `${kernel.name} has too many arrays`);
          }
          return apart;
        });
        assert.deepEqual(await bitsOf(update, elsewhere), wanted);
      }),
      { numRuns: 150, seed: Number(process.env["EVENKEEL_SEED"] ?? 20_261_129) },
    );
    assert.ok(relying > 20, `only ${relying} plans rely on arenas`);
  });
});

describe("memories of a kernel", () => {
  const buffers = [
    ...[0, 256, 512].map((offset, index) => ({ role: { kind: "input", index, place: { arena: 0, offset } } as const })),
    { role: null },
    { role: null },
    { role: { kind: "input", index: 3 } as const },
  ];
  const limits = { operands: 2, results: 1, arrays: 3 };

  it("are as many as arenas, temporaries and others", () => {
    const memories = memoriesOf(buffers, new Set());
    assert.ok(memoriesFit([0, 1, 3, 5], [0, 1, 2], limits, memories));
    assert.ok(!memoriesFit([0, 3, 4, 5], [1], limits, memories), "four memories");
    assert.ok(!memoriesFit([0], [1, 3], limits, memories), "two written");
  });

  it("have no number where one takes turns with another", () => {
    const memories = memoriesOf(buffers, new Set([5]));
    assert.ok(memoriesFit([0, 1, 3], [2], limits, memories));
    assert.ok(!memoriesFit([0, 1, 5], [2], limits, memories));
  });
});
