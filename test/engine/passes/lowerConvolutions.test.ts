import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { ConvGeometry, ConvRole } from "../../../engine/graph/node.ts";
import { lowerConvolutions } from "../../../engine/passes/lowerConvolutions.ts";

const pair = (least: number, most: number): fc.Arbitrary<readonly [number, number]> =>
  fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }));

const geometries: fc.Arbitrary<ConvGeometry> = fc
  .record({
    kernelSize: pair(1, 3),
    outputSize: pair(1, 5),
    stride: pair(1, 3),
    padding: pair(-2, 3),
    dilation: pair(1, 2),
    after: pair(-2, 4),
    groups: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ after, ...geometry }): ConvGeometry => {
    const { outputSize, stride, kernelSize, dilation, padding } = geometry;
    const size = (d: 0 | 1): number =>
      Math.max(1, (outputSize[d] - 1) * stride[d] + (kernelSize[d] - 1) * dilation[d] + 1 - padding[d] - after[d]);
    return { ...geometry, inputSize: [size(0), size(1)] };
  });

describe("lowerConvolutions", () => {
  for (const role of ["forward", "inputGradient", "filterGradient"] as const satisfies readonly ConvRole[]) {
    it(`${role}: one sum over an image that the windows cover exactly, of the same shape`, () => {
      fc.assert(
        fc.property(geometries, (geometry) => {
          const { groups, kernelSize, inputSize, outputSize } = geometry;
          const input = (name: string, shape: readonly number[]) =>
            makeNode("input", [], { dtype: "f32", shape, name });
          const x = input("x", [2, groups * 3, ...inputSize]);
          const w = input("w", [groups * 2, 3, ...kernelSize]);
          const y = input("y", [2, groups * 2, ...outputSize]);
          const [a, b] = role === "forward" ? [x, w] : role === "inputGradient" ? [y, w] : [x, y];
          const node = makeNode("conv", [a, b], { role, geometry });
          const [lowered] = lowerConvolutions({ inputs: [a, b], outputs: [node] }).outputs;
          assert.ok(lowered !== undefined);
          assert.deepEqual(lowered.shape, node.shape);
          const sums = topologicalOrder([lowered]).filter((each) => each.kind === "conv");
          assert.equal(sums.length, 1);
          for (const { attributes } of sums) {
            const plain = attributes.geometry;
            assert.equal(attributes.role, role === "filterGradient" ? "filterGradient" : "forward");
            assert.deepEqual([plain.padding, plain.groups], [[0, 0], groups]);
            for (const d of [0, 1] as const) {
              const covered =
                (plain.outputSize[d] - 1) * plain.stride[d] + (plain.kernelSize[d] - 1) * plain.dilation[d] + 1;
              assert.equal(plain.inputSize[d], covered);
            }
          }
        }),
        { numRuns: 100 },
      );
    });
  }
});
