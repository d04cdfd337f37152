/** Steps in the graph are those of the sampler on the host, which is in float64, too. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { runSampler, samplerStep, type Solver } from "../../../diffusion/sample/index.ts";
import { compile, getDevice, reshape, scalar, type Tensor, tensor } from "../../../engine/index.ts";

describe("samplerStep", () => {
  it("goes from level to level as runSampler does, to 0 at the end", async () => {
    const oracle = await getDevice("oracle");
    // Levels that float32 holds, so that both begin with the same numbers.
    const levels = fc
      .uniqueArray(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 6 })
      .map((units) => [...units.sort((a, b) => b - a).map((unit) => unit / 64), 0]);
    const solvers = fc.constantFrom<Solver>("heun", "euler");
    await fc.assert(
      fc.asyncProperty(levels, solvers, fc.integer({ min: -64, max: 64 }), async (sigmas, solver, mean) => {
        // The best answer for normal data with deviation 1/2 around a mean.
        const share = (sigma: number): number => sigma ** 2 / (sigma ** 2 + 0.25);
        const level = mean / 64;
        const wanted = await runSampler(
          async (x, sigma) => x.map((value) => value + share(sigma) * (level - value)),
          Float64Array.of(0.5, -1.25),
          sigmas,
          { solver },
        );
        const denoise = (x: Tensor, sigma: Tensor): Tensor => {
          const noise = reshape(sigma.multiply(sigma), [-1, 1, 1, 1]);
          return x.add(noise.divide(noise.add(0.25)).multiply(x.multiply(-1).add(level)));
        };
        const all = compile(
          (x: Tensor, given: readonly Tensor[]) =>
            given.slice(0, -1).reduce((y, t, i) => samplerStep(denoise, y, t, given[i + 1] ?? t, solver), x),
          { device: oracle },
        );
        const start = tensor([0.5, -1.25].map((value) => value * (sigmas[0] ?? 0))).reshape([2, 1, 1, 1]);
        const got = await (
          await all(
            start,
            sigmas.map((sigma) => scalar(sigma)),
          )
        ).data("f32");
        all.dispose();
        // Both are in float64; the result alone is rounded, once.
        wanted.forEach((value, i) => {
          const error = Math.abs((got[i] ?? NaN) - value);
          assert.ok(error <= 2 ** -23 * Math.max(1, Math.abs(value)), `${got[i]} for ${value}`);
        });
      }),
      { numRuns: 60 },
    );
  });
});
