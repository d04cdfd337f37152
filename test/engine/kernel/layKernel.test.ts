/** Kernels over arrays that lie in other orders: the same values at other places, whatever the program and the orders. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { atOnce } from "../../../engine/devices/eventLoop.ts";
import type { Graph } from "../../../engine/graph/graph.ts";
import type { Node } from "../../../engine/graph/node.ts";
import { at, rowMajorStrides, sizeOf } from "../../../engine/graph/shape.ts";
import { tensor } from "../../../engine/index.ts";
import { constantIndex } from "../../../engine/kernel/indexing.ts";
import { kernelOf, layKernel } from "../../../engine/kernel/layKernel.ts";
import { type ChannelsLast, type Layout, moved } from "../../../engine/kernel/layout.ts";
import { type FusedKernel, fusing } from "../../../engine/passes/fuse.ts";
import { optimize } from "../../../engine/passes/optimize.ts";
import { trace } from "../../../engine/program/trace.ts";
import { buildProgram, inputData, printProgram, loopFreePrograms } from "../../../testing/arbitraries/programs.ts";
import { accuracies } from "../../../testing/bounds/accuracies.ts";
import { type Bounded, boundedInput } from "../../../testing/bounds/bounded.ts";
import { interpretKernel } from "../../../testing/bounds/interpretKernel.ts";
import { limits } from "../passes/plannedFor.ts";

const seed = Number(process.env["EVENKEEL_SEED"] ?? 20261130);
const accuracy = accuracies.oracle;

/** What every kernel makes, by its root. */
function valuesOf(kernels: readonly FusedKernel[], inputs: ReadonlyMap<Node, Bounded>): ReadonlyMap<Node, Bounded> {
  const values = new Map(inputs);
  const valueOf = (node: Node): Bounded => {
    if (node.kind === "constant") return boundedInput(node.attributes.data, node.dtype, accuracy);
    const known = values.get(node);
    assert.ok(known !== undefined, `${node.kind} ${node.id} is read before it is made`);
    return known;
  };
  for (const { root, kernel } of kernels) {
    const written = kernel.at.coefficients.slice(0, kernel.parallel.length);
    const strides = rowMajorStrides(kernel.parallel);
    kernel.parallel.forEach((size, axis) => {
      if (size > 1) assert.equal(written[axis], strides[axis], "elements are written in the order of the points");
    });
    values.set(root, interpretKernel(kernelOf(kernel, root), kernel.sources.map(valueOf), accuracy));
  }
  return values;
}

const placeOf = (element: number, layout: Layout): number => {
  if (layout === null) return element;
  const place = moved(constantIndex(element), layout, new Map());
  assert.ok(place.kind === "at", `element ${element} has a place`);
  return place.at.offset;
};

/** Random layouts that fit what roots are; `choices` is used up in order. */
function randomLayouts(kernels: readonly FusedKernel[], choices: readonly number[]): Map<Node, ChannelsLast> {
  const layouts = new Map<Node, ChannelsLast>();
  kernels.forEach(({ root, kernel: { parallel } }, index) => {
    const choice = at(choices, index % choices.length);
    const axis = choice % (parallel.length + 1);
    const [channels, pixels] = [parallel[axis] ?? 1, sizeOf(parallel.slice(axis + 1))];
    if (channels > 1 && pixels > 1 && sizeOf(root.shape) > 0) layouts.set(root, { channels, pixels });
  });
  return layouts;
}

/** The kernels with as many of these layouts as can be, of which the others are taken out. */
function layAll(kernels: readonly FusedKernel[], layouts: Map<Node, ChannelsLast>): readonly FusedKernel[] {
  for (;;) {
    const laid = kernels.map(({ root, kernel }) => ({
      root,
      kernel: layKernel(kernel, root, (node) => layouts.get(node) ?? null),
    }));
    const refused = kernels.filter((_, index) => at(laid, index).kernel === null);
    if (refused.length === 0) return laid.flatMap(({ root, kernel }) => (kernel === null ? [] : [{ root, kernel }]));
    for (const { root, kernel } of refused) for (const node of [root, ...kernel.sources]) layouts.delete(node);
  }
}

describe("arrays that lie in other orders", () => {
  it("have the same elements in every program", () => {
    let [laid, kernelCount] = [0, 0];
    fc.assert(
      fc.property(loopFreePrograms, fc.array(fc.nat(11), { minLength: 5, maxLength: 5 }), (spec, choices) => {
        const data = spec.inputs.map(inputData);
        const given = spec.inputs.map(({ shape, dtype }, i) => tensor(at(data, i), { shape, dtype }));
        const { graph } = trace((...inputs: typeof given) => buildProgram(spec, inputs), given);
        const optimized: Graph = optimize(graph, limits);
        const kernels = atOnce(fusing(optimized, limits, new Set()));
        const inputs = new Map(
          optimized.inputs.map((node, i) => [node, boundedInput(at(data, i), node.dtype, accuracy)] as const),
        );
        const layouts = randomLayouts(kernels, choices);
        const expected = valuesOf(kernels, inputs);
        const found = valuesOf(layAll(kernels, layouts), inputs);
        laid += layouts.size;
        kernelCount += kernels.length;
        for (const { root } of kernels) {
          const [wanted, got] = [expected.get(root), found.get(root)];
          assert.ok(wanted !== undefined && got !== undefined, "each root is made in both orders");
          wanted.values.forEach((value, element) => {
            const place = placeOf(element, layouts.get(root) ?? null);
            const [error, other] = [wanted.errors[element] ?? NaN, got.values[place] ?? NaN];
            // Sums in another order may round otherwise.
            const isNear = Object.is(value, other) || error === Infinity || Math.abs(value - other) <= error;
            assert.ok(
              isNear,
              `${printProgram(spec)}\nelement ${element} of ${root.kind} ${root.id}: ${other}, was ${value}`,
            );
          });
        }
      }),
      { numRuns: 300, seed },
    );
    assert.ok(laid > kernelCount / 10, `${laid} of ${kernelCount} arrays lay in another order`);
  });
});
