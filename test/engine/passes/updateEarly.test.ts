import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { makeNode } from "../../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../../engine/graph/node.ts";
import { at } from "../../../engine/graph/shape.ts";
import type { Donation } from "../../../engine/passes/aliasOutputs.ts";
import type { FusedKernel } from "../../../engine/passes/fuse.ts";
import { updateEarly } from "../../../engine/passes/updateEarly.ts";

/** Kernel i reads earlier kernels and inputs; some make the new value of an input. */
type Spec = {
  readonly kernels: readonly number[];
  readonly inputs: readonly number[];
  readonly sums: boolean;
  readonly replaces: number | null;
};

const inputCount = 4;
const array = { dtype: "f32", shape: [4] } as const;
const scalar = { kind: "literal", dtype: "f32", value: 0 } as const;

type Program = {
  readonly kernels: readonly FusedKernel[];
  readonly inputs: readonly NodeOf<"input">[];
  readonly outputs: readonly Node[];
  readonly donations: readonly Donation[];
};

function programOf(specs: readonly Spec[]): Program {
  const inputs = Array.from({ length: inputCount }, (_, index) =>
    makeNode("input", [], { ...array, name: `x${index}` }),
  );
  const kernels: FusedKernel[] = [];
  const outputs: Node[] = [];
  const donations: Donation[] = [];
  for (const spec of specs) {
    const reads = spec.kernels.flatMap((read) =>
      kernels.length === 0 ? [] : [at(kernels, read % kernels.length).root],
    );
    const sources = [...new Set([...reads, ...spec.inputs.map((input) => at(inputs, input))])];
    const root = makeNode("unary", [sources[0] ?? at(inputs, 0)], { op: "negate" });
    kernels.push({
      root,
      kernel: {
        parallel: [4],
        reduce: spec.sums ? [4] : [],
        sources,
        gates: [],
        operands: sources.map(() => ({ dtype: "f32", length: 4 })),
        reduction: spec.sums ? { op: "sum", body: scalar } : null,
        value: scalar,
        at: { offset: 0, coefficients: [1] },
      },
    });
    const { replaces } = spec;
    if (replaces !== null && !donations.some(({ input }) => input === replaces)) {
      // A state's leaf is often another view of what a kernel makes.
      const output = kernels.length % 2 === 0 ? root : makeNode("reshape", [root], { shape: [2, 2] });
      donations.push({ input: replaces, output: outputs.push(output) - 1 });
    }
  }
  return { kernels, inputs, outputs, donations };
}

const specs: fc.Arbitrary<readonly Spec[]> = fc.array(
  fc.record({
    kernels: fc.array(fc.nat(20), { maxLength: 2 }),
    inputs: fc.array(fc.nat(inputCount - 1), { maxLength: 2 }),
    sums: fc.nat(3).map((n) => n === 0),
    replaces: fc.option(fc.nat(inputCount - 1), { freq: 4 }),
  }),
  { minLength: 1, maxLength: 14, size: "max" },
);

const early = ({ kernels, inputs, outputs, donations }: Program): readonly FusedKernel[] =>
  updateEarly(kernels, { inputs, outputs }, donations);

/** What a kernel waits for: null if it doesn't move, as it sums, makes no new value, or some need what it replaces later. */
function awaitedBy({ kernels, inputs, outputs, donations }: Program, index: number): readonly number[] | null {
  const { root, kernel } = at(kernels, index);
  const donation = donations.find(({ output }) => {
    const made = at(outputs, output);
    return (made.kind === "reshape" ? made.inputs[0] : made) === root;
  });
  if (donation === undefined || kernel.reduction !== null) return null;
  const old = at(inputs, donation.input);
  const awaited = kernels.flatMap((other, position) =>
    position !== index && (kernel.sources.includes(other.root) || other.kernel.sources.includes(old)) ? [position] : [],
  );
  return awaited.length > 0 && awaited.every((position) => position < index) ? awaited : null;
}

describe("updateEarly", () => {
  it("moves each update right behind the last of what it waits for, and nothing else", () => {
    let moved = 0;
    fc.assert(
      fc.property(specs, (all) => {
        const program = programOf(all);
        const result = early(program);
        const order = result.map((kernel) => program.kernels.indexOf(kernel));
        assert.deepEqual(
          [...order].sort((a, b) => a - b),
          [...program.kernels.keys()],
        );
        const awaited = program.kernels.map((_, index) => awaitedBy(program, index));
        const stay = order.filter((index) => awaited[index] === null);
        assert.deepEqual(
          stay,
          [...stay].sort((a, b) => a - b),
        );
        for (const [place, index] of order.entries()) {
          // Inputs before users, whoever moves.
          for (const source of at(result, place).kernel.sources) {
            const maker = result.findIndex(({ root }) => root === source);
            assert.ok(maker < place, "reads what isn't made yet");
          }
          const waits = awaited[index] ?? null;
          if (waits === null) continue;
          const last = Math.max(...waits.map((other) => order.indexOf(other)));
          assert.ok(last < place, "doesn't wait");
          const between = order.slice(last + 1, place);
          assert.ok(
            between.every((other) => awaited[other] !== null),
            "is not where it could be",
          );
          if (program.kernels.indexOf(at(result, place)) !== place) moved++;
        }
        // Updates behind the same kernel keep their order.
        for (const [place, index] of order.entries()) {
          const before = order[place - 1];
          if (before === undefined || awaited[index] === null || awaited[before] === null) continue;
          assert.ok(before < index, "updates change places");
        }
      }),
      { numRuns: 300 },
    );
    assert.ok(moved > 20, `only ${moved} moved`);
  });

  const none: Spec = { kernels: [], inputs: [], sums: false, replaces: null };
  const orderOf = (...all: readonly Spec[]): readonly number[] => {
    const program = programOf(all);
    return early(program).map((kernel) => program.kernels.indexOf(kernel));
  };

  it("brings updates that read one gradient together, behind it", () => {
    const [gradient, other] = [
      { ...none, inputs: [0], sums: true },
      { ...none, inputs: [3], sums: true },
    ];
    assert.deepEqual(
      orderOf(gradient, other, other, { ...none, kernels: [0], inputs: [1], replaces: 1 }, other, {
        ...none,
        kernels: [0],
        inputs: [2],
        replaces: 2,
      }),
      [0, 3, 5, 1, 2, 4],
    );
  });

  it("waits for who reads the old value, and for updates that it reads", () => {
    const other = { ...none, inputs: [3], sums: true };
    const reader = { ...none, inputs: [1], sums: true };
    assert.deepEqual(orderOf(other, reader, other, { ...none, kernels: [0], inputs: [1], replaces: 1 }), [0, 1, 3, 2]);
    assert.deepEqual(
      orderOf(other, other, { ...none, kernels: [0], inputs: [1], replaces: 1 }, other, {
        ...none,
        kernels: [2],
        inputs: [2],
        replaces: 2,
      }),
      [0, 2, 4, 1, 3],
    );
  });

  it("leaves what reads nothing computed, what sums, and what is needed later, where they are", () => {
    const other = { ...none, inputs: [3], sums: true };
    const update = { ...none, kernels: [0], inputs: [1], replaces: 1 };
    assert.deepEqual(orderOf(other, other, { ...update, kernels: [] }), [0, 1, 2]);
    assert.deepEqual(orderOf(other, other, { ...update, sums: true }), [0, 1, 2]);
    assert.deepEqual(orderOf(other, other, { ...update, replaces: null }), [0, 1, 2]);
    assert.deepEqual(orderOf(other, other, update, { ...other, inputs: [1] }), [0, 1, 2, 3]);
    assert.deepEqual(orderOf(other, other, update), [0, 2, 1]);
  });
});
