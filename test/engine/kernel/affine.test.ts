import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { affineKey, sameAffine, spanOf } from "../../../engine/kernel/affine.ts";
import { placeOf } from "../../../testing/bounds/kernelPoints.ts";

const affines = (axes: number) =>
  fc.record({
    offset: fc.integer({ min: -3, max: 3 }),
    coefficients: fc.array(fc.integer({ min: -2, max: 2 }), { minLength: axes, maxLength: axes }),
  });
const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 });

/** All positions on axes of these sizes. */
const positionsOf = (of: readonly number[]): number[][] =>
  of.reduce<number[][]>(
    (all, size) => all.flatMap((position) => Array.from({ length: size }, (_, place) => [...position, place])),
    [[]],
  );

test("an address spans what it reaches over all points", () => {
  fc.assert(
    fc.property(
      sizes.chain((of) => fc.tuple(fc.constant(of), affines(of.length))),
      ([of, affine]) => {
        const places = positionsOf(of).map((position) => placeOf(affine, position));
        const span = spanOf(
          affine,
          of.map((size) => ({ size })),
        );
        assert.deepEqual(span, [Math.min(...places), Math.max(...places)]);
      },
    ),
  );
});

const fewAffines = fc.nat(2).chain((axes) =>
  fc.record({
    offset: fc.integer({ min: -1, max: 1 }),
    coefficients: fc.array(fc.integer({ min: -1, max: 1 }), { minLength: axes, maxLength: axes }),
  }),
);

test("equal addresses have equal keys, and only they", () => {
  let same = 0;
  fc.assert(
    fc.property(fewAffines, fewAffines, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other);
      same += Number(isSame);
      assert.equal(sameAffine(one, other), isSame);
      assert.equal(affineKey(one) === affineKey(other), isSame);
      assert.ok(sameAffine(one, structuredClone(one)));
    }),
    { numRuns: 500 },
  );
  assert.ok(same > 10, `${same}`);
});
