/** What random programs must reach, or the laws that use them prove less than they seem to. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Graph, countUses, topologicalOrder } from "../../engine/graph/graph.ts";
import { binaryOps, compareOps, unaryOps } from "../../engine/graph/node.ts";
import { operationName } from "../../engine/graph/print.ts";
import { shapeRules } from "../../engine/graph/shapeRules.ts";
import { tensor } from "../../engine/index.ts";
import { trace } from "../../engine/program/trace.ts";
import {
  buildProgram,
  inputData,
  printProgram,
  type ProgramSpec,
  programSpecs,
} from "../../testing/arbitraries/programs.ts";

const graphOf = (spec: ProgramSpec): Graph => {
  const given = spec.inputs.map((input) => tensor(inputData(input), { shape: input.shape, dtype: input.dtype }));
  return trace((...inputs: typeof given) => buildProgram(spec, inputs), given).graph;
};

const count = 1000;
const specs = fc.sample(programSpecs, { numRuns: count, seed: 5 });
const graphs = specs.map(graphOf);
const share = (test: (graph: Graph) => boolean): number => graphs.filter(test).length / count;

describe("random programs", () => {
  it("compute with every primitive, op and role in at least 1 of 60", () => {
    const wanted = [
      ...Object.keys(shapeRules).filter(
        (kind) => !["unary", "binary", "compare", "reduce", "scatter", "conv"].includes(kind),
      ),
      ...[
        ...unaryOps,
        ...binaryOps,
        ...compareOps,
        "sum",
        "max",
        "scatterAdd",
        "scatterMax",
        "conv",
        "inputGradient",
        "filterGradient",
      ],
    ].filter((name) => name !== "constant");
    const met = graphs.map((graph) => new Set(topologicalOrder(graph.outputs).map(operationName)));
    const rare = wanted.filter((name) => met.filter((names) => names.has(name)).length < count / 60);
    assert.deepEqual(rare, []);
  });

  it("have several results, shared values, empty and scalar ones, every dtype", () => {
    const some = (graph: Graph, test: (node: Graph["outputs"][number]) => boolean): boolean =>
      topologicalOrder(graph.outputs).some(test);
    assert.ok(share((graph) => graph.outputs.length > 1) > 0.3);
    assert.ok(share((graph) => [...countUses(graph).values()].some((uses) => uses > 1)) > 0.3);
    assert.ok(share((graph) => some(graph, ({ shape }) => shape.includes(0))) > 0.05);
    assert.ok(share((graph) => some(graph, ({ kind, shape }) => kind !== "literal" && shape.length === 0)) > 0.05);
    for (const dtype of ["f32", "i32", "u32", "bool"]) {
      assert.ok(share(({ outputs }) => outputs.some((output) => output.dtype === dtype)) > 0.05, dtype);
    }
  });

  it("meet special values", () => {
    const elements = specs.map((spec) => spec.inputs.flatMap((input) => (input.dtype === "f32" ? input.elements : [])));
    const specials: readonly ((value: number) => boolean)[] = [
      Number.isNaN,
      (value) => value === Infinity,
      (value) => value === -Infinity,
      (value) => Object.is(value, -0),
      (value) => value !== 0 && Math.abs(value) < 2 ** -126,
      (value) => Math.abs(value) > 1e30 && Number.isFinite(value),
    ];
    for (const isSpecial of specials) {
      assert.ok(elements.filter((list) => list.some(isSpecial)).length > count / 50, String(isSpecial));
    }
    assert.ok(elements.filter((list) => list.every(Number.isFinite)).length > count / 3);
  });

  it("stay programs when instructions are left out, and print one instruction a line", () => {
    for (const spec of specs.slice(0, 200)) {
      const half: ProgramSpec = { ...spec, instructions: spec.instructions.filter((_, i) => i % 2 === 0) };
      assert.ok(graphOf(half).outputs.length > 0);
      assert.equal(printProgram(half).split("\n").length, half.inputs.length + half.instructions.length + 1);
    }
  });
});
