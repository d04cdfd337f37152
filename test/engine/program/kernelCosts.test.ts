import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { gigaflopsPerSecond, intensity, kernelCosts } from "../../../engine/index.ts";

const measured = fc.record({
  flops: fc.nat(),
  bytes: fc.nat(),
  milliseconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
});

describe("the costs of kernels", () => {
  it("compares by time where all were measured, and shares add up to one", () => {
    fc.assert(
      fc.property(fc.array(measured, { minLength: 1, maxLength: 40 }), (kernels) => {
        const { measure, shares, milliseconds, flops } = kernelCosts(kernels);
        const total = kernels.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
        assert.equal(measure, "time");
        assert.equal(milliseconds, total);
        assert.equal(
          flops,
          kernels.reduce((sum, kernel) => sum + kernel.flops, 0),
        );
        const sum = shares.reduce((all, share) => all + share, 0);
        // Each share and each addition rounds once.
        assert.ok(total === 0 ? sum === 0 : Math.abs(sum - 1) <= 2 * kernels.length * 2 ** -52, `the sum is ${sum}`);
      }),
    );
  });

  it("compares by arithmetic as soon as one wasn't measured", () => {
    const costs = kernelCosts([
      { flops: 3, bytes: 4, milliseconds: 5 },
      { flops: 1, bytes: 4, milliseconds: undefined },
    ]);
    assert.deepEqual(costs, { measure: "flops", shares: [0.75, 0.25], milliseconds: null, flops: 4 });
    assert.deepEqual(kernelCosts([]), { measure: "flops", shares: [], milliseconds: null, flops: 0 });
  });

  it("tells nothing where it would divide by nothing", () => {
    const kernel = { flops: 6e6, bytes: 3e6, milliseconds: 2 };
    assert.equal(intensity(kernel), 2);
    assert.equal(gigaflopsPerSecond(kernel), 3);
    assert.equal(intensity({ ...kernel, bytes: 0 }), null);
    assert.equal(gigaflopsPerSecond({ ...kernel, milliseconds: 0 }), null);
    assert.equal(gigaflopsPerSecond({ ...kernel, milliseconds: undefined }), null);
  });
});
