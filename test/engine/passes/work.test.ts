/** The work of compiling is linear in the instructions of a program: counted in looks at nodes and at scalar expressions. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeviceLimits } from "../../../engine/devices/device.ts";
import { type Graph, makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { NodeOf } from "../../../engine/graph/node.ts";
import type { Shape } from "../../../engine/graph/shape.ts";
import { Tensor } from "../../../engine/graph/tensor.ts";
import { add, exp, matmul, multiply, reduceSum, sqrt, square, subtract, tanh } from "../../../engine/index.ts";
import type { Kernel } from "../../../engine/kernel/kernel.ts";
import { rootsOf, rewriter, scalarsOf } from "../../../engine/kernel/scalar.ts";
import { withValues } from "../../../engine/kernel/normalize.ts";
import { joinSteps } from "../../../engine/passes/joinSteps.ts";
import { makePlan } from "../../../engine/passes/makePlan.ts";
import { optimize } from "../../../engine/passes/optimize.ts";

const limits: DeviceLimits = {
  operands: 64,
  results: 64,
  arrays: Infinity,
  joins: "rows",
  elements: 2 ** 20,
  temporaries: "arena",
  overlap: false,
  batches: false,
  chains: false,
  inPlace: true,
  concurrency: 1,
  writtenInFours: null,
  factors: "stored",
  arithmetic: "scarce",
  layouts: "inOrder",
  scalars: 200,
  memory: Infinity,
};
const smallKernels: DeviceLimits = { ...limits, operands: 8, results: 1, scalars: 40, temporaries: "slots" };

const overlapping: DeviceLimits = { ...smallKernels, overlap: true };

const input = (...shape: Shape): Tensor => new Tensor(makeNode("input", [], { dtype: "f32", shape, name: "x" }));
const inputs = (count: number, ...shape: Shape): Tensor[] => Array.from({ length: count }, () => input(...shape));

const links = (xs: readonly Tensor[]): Tensor => xs.reduce((y, x) => multiply(tanh(y), subtract(x, y)), input(8));

const programs: Readonly<Record<string, (size: number) => readonly Tensor[]>> = {
  "a chain whose links use the one before twice": (size) => [links(inputs(size, 8))],
  "short chains whose links do": (size) => inputs(Math.ceil(size / 8), 8).map(() => links(inputs(8, 8))),
  "a sum of the sums of arrays": (size) => [
    inputs(size, 8, 16)
      .map((x) => reduceSum(square(x)))
      .reduce((sum, each) => add(sum, each)),
  ],
  "layers with normalized weights": (size) => [
    inputs(size, 8, 8).reduce(
      (x, w) => {
        const norm = sqrt(reduceSum(square(w), { axes: 1, keepAxes: true }));
        return tanh(add(x, matmul(exp(x), multiply(w, norm))));
      },
      input(4, 8),
    ),
  ],
  "updates of many arrays, and their averages": (size) =>
    inputs(size, 8, 16).flatMap((w) => {
      const moment = multiply(add(multiply(input(8, 16), 0.9), w), 0.5);
      const updated = subtract(w, multiply(moment, sqrt(square(moment))));
      return [moment, updated, add(multiply(input(8, 16), 0.99), multiply(updated, 0.01))];
    }),
};

function graphOf(outputs: readonly Tensor[], given: DeviceLimits): Graph {
  const nodes = outputs.map(({ node }) => node);
  const used = topologicalOrder(nodes).filter((node): node is NodeOf<"input"> => node.kind === "input");
  return optimize({ inputs: used, outputs: nodes }, given);
}

/** Lets `kind` of each object be counted when it is asked for. */
function counting(objects: readonly object[]): () => number {
  let looks = 0;
  for (const object of objects) {
    const { kind } = object as { readonly kind: unknown };
    Object.defineProperty(object, "kind", {
      enumerable: true,
      get: () => {
        looks++;
        return kind;
      },
    });
  }
  return () => looks;
}

/** How often a node may be looked at: a little more than was counted. What doesn't fit into one kernel is tried link by link. */
const mostLooks = (name: string, size: string): number => {
  if (size !== "large") return 60;
  return name.startsWith("a chain") ? 150 : 42;
};

describe("work of compiling", () => {
  for (const [name, program] of Object.entries(programs)) {
    for (const [size, given] of Object.entries({ large: limits, small: smallKernels, overlapping })) {
      it(`${name}: making a plan of ${size} kernels looks at each node as often in a program twice as large`, () => {
        const looksPerNode = (instructions: number): number => {
          const graph = graphOf(program(instructions), given);
          const nodes = topologicalOrder(graph.outputs);
          const looks = counting(nodes);
          makePlan(graph, given);
          return looks() / nodes.length;
        };
        const [some, more] = [looksPerNode(100), looksPerNode(200)];
        assert.ok(some < mostLooks(name, size) && more < 1.1 * some, `${some}, then ${more} looks at a node`);
      });
    }
  }

  it("joining looks at as many expressions for a step of a program twice as large", () => {
    const looksPerStep = (instructions: number): number => {
      const outputs = Object.values(programs).flatMap((program) => program(instructions));
      const plan = makePlan(graphOf(outputs, limits), { ...limits, results: 1 });
      const kernels = new Map<Kernel, Kernel>();
      const copy = (kernel: Kernel): Kernel => {
        const known =
          kernels.get(kernel) ??
          withValues(
            kernel,
            rewriter((scalar) => ({ ...scalar })),
          );
        kernels.set(kernel, known);
        return known;
      };
      const steps = plan.steps.map((step) => ({ ...step, kernel: copy(step.kernel) }));
      const scalars = scalarsOf(...[...kernels.values()].flatMap(rootsOf));
      const looks = counting(scalars);
      joinSteps({ ...plan, steps }, limits);
      return looks() / steps.length;
    };
    const [some, more] = [looksPerStep(50), looksPerStep(100)];
    assert.ok(some < 20 && more < 1.1 * some, `${some}, then ${more} looks for a step`);
  });
});
