import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Denoiser,
  guidedDenoiser,
  type Guide,
  runSampler,
  sigmaSteps,
  stateDenoiser,
} from "../../../diffusion/sample/index.ts";

const shape = [2, 3];
const x = Float32Array.of(1, 2, 3, -1, -2, -3);
const labels = Float32Array.of(1, 0, 0, 1);

type Call = { readonly sigma: readonly number[]; readonly labels: Float32Array | null };

/** A denoiser with one answer, which notes its calls. */
function constant(answer: readonly number[]): { readonly denoise: Denoiser; readonly calls: Call[] } {
  const calls: Call[] = [];
  const denoise: Denoiser = async (_, sigma, given) => {
    calls.push({ sigma, labels: given });
    return Float32Array.from(answer);
  };
  return { denoise, calls };
}

const answers = fc.array(fc.integer({ min: -64, max: 64 }), { minLength: 6, maxLength: 6 });
const weights = fc.integer({ min: -12, max: 20 }).map((quarters) => quarters / 4);

describe("guidedDenoiser", () => {
  it("is w D_main + (1 - w) D_guide for one guide", async () => {
    // Small integers and quarters: exact in float64.
    await fc.assert(
      fc.asyncProperty(answers, answers, weights, async (main, guide, weight) => {
        const guides: Guide[] = [{ denoise: constant(guide).denoise, weight, labels: "same" }];
        const answer = await guidedDenoiser(constant(main).denoise, guides)(x, [1, 1], labels, shape, 1);
        assert.deepEqual(
          [...answer],
          main.map((value, i) => weight * value + (1 - weight) * (guide[i] ?? 0)),
        );
      }),
    );
  });

  it("adds (w_i - 1) (D_main - D_i) for several guides, in any order", async () => {
    const one = fc.record({ answer: answers, weight: weights });
    await fc.assert(
      fc.asyncProperty(answers, fc.array(one, { maxLength: 4 }), async (main, several) => {
        const guides = several.map(({ answer, weight }): Guide => {
          return { denoise: constant(answer).denoise, weight, labels: "none" };
        });
        const run = (order: readonly Guide[]) =>
          guidedDenoiser(constant(main).denoise, order)(x, [1, 1], labels, shape, 1);
        const expected = main.map((value, i) =>
          several.reduce((sum, { answer, weight }) => sum + (weight - 1) * (value - (answer[i] ?? 0)), value),
        );
        assert.deepEqual([...(await run(guides))], expected);
        assert.deepEqual([...(await run(guides.toReversed()))], expected);
      }),
    );
  });

  it("doesn't ask a guide of weight 1, nor change the main answer", async () => {
    const [main, silent, asked] = [
      constant([1, 2, 3, 4, 5, 6]),
      constant([9, 9, 9, 9, 9, 9]),
      constant([0, 0, 0, 0, 0, 0]),
    ];
    const off = guidedDenoiser(main.denoise, [{ denoise: silent.denoise, weight: 1, labels: "same" }]);
    assert.deepEqual(await off(x, [1, 1], labels, shape, 1), Float32Array.of(1, 2, 3, 4, 5, 6));
    const mixed = guidedDenoiser(main.denoise, [
      { denoise: silent.denoise, weight: 1, labels: "same" },
      { denoise: asked.denoise, weight: 2, labels: "same" },
    ]);
    assert.deepEqual([...(await mixed(x, [1, 1], labels, shape, 1))], [2, 4, 6, 8, 10, 12]);
    assert.deepEqual([main.calls.length, silent.calls.length, asked.calls.length], [2, 0, 1]);
  });

  it("gives a guide the labels, or none", async () => {
    const [main, same, none] = [
      constant([1, 2, 3, 4, 5, 6]),
      constant([0, 0, 0, 0, 0, 0]),
      constant([0, 0, 0, 0, 0, 0]),
    ];
    const guided = guidedDenoiser(main.denoise, [
      { denoise: same.denoise, weight: 2, labels: "same" },
      { denoise: none.denoise, weight: 2, labels: "none" },
    ]);
    await guided(x, [3, 4], labels, shape, 5);
    assert.deepEqual(main.calls, [{ sigma: [3, 4], labels }]);
    assert.deepEqual(same.calls, [{ sigma: [3, 4], labels }]);
    assert.deepEqual(none.calls, [{ sigma: [3, 4], labels: null }]);
  });

  it("acts in steps that start within (lo, hi], in both of their evaluations", async () => {
    const [main, guide] = [constant([1, 2, 3, 4, 5, 6]), constant([0, 0, 0, 0, 0, 0])];
    const sigmas = sigmaSteps({ steps: 6, sigmaMin: 1, sigmaMax: 6, rho: 1 });
    const levels = async (interval: readonly [number, number]): Promise<number[]> => {
      guide.calls.length = 0;
      main.calls.length = 0;
      const guides: Guide[] = [{ denoise: guide.denoise, weight: 3, labels: "same" }];
      const guided = guidedDenoiser(main.denoise, guides, interval);
      await runSampler(stateDenoiser(guided, labels, shape), new Float32Array(6), sigmas);
      assert.equal(main.calls.length, 11);
      return guide.calls.map(({ sigma }) => sigma[0] ?? NaN);
    };
    // Steps start at 6, 5, 4, 3, 2, 1; each but the last asks at its end, too.
    assert.deepEqual(await levels([2, 4]), [4, 3, 3, 2]);
    assert.deepEqual(await levels([1.5, 3.5]), [3, 2, 2, 1]);
    assert.deepEqual(await levels([0, 1]), [1]);
    assert.deepEqual(await levels([5, 6]), [6, 5]);
    assert.deepEqual(await levels([6, 80]), []);
    assert.equal((await levels([0, Infinity])).length, 11);
  });

  it("decides by the level before churn", async () => {
    const [main, guide] = [constant([1, 2, 3, 4, 5, 6]), constant([0, 0, 0, 0, 0, 0])];
    const guided = guidedDenoiser(main.denoise, [{ denoise: guide.denoise, weight: 3, labels: "same" }], [0, 2]);
    const churnNoise = () => new Float64Array(6);
    await runSampler(stateDenoiser(guided, labels, shape), new Float32Array(6), [2, 1, 0], { sChurn: 1, churnNoise });
    const levels = guide.calls.map(({ sigma }) => sigma[0] ?? NaN);
    assert.equal(levels.length, 3);
    assert.ok((levels[0] ?? 0) > 2.8 && levels[1] === 1);
  });

  it("refuses weights, intervals and guides that make no sense", async () => {
    const { denoise } = constant([1, 2, 3, 4, 5, 6]);
    const guided = (weight: number, interval?: readonly [number, number]) => () =>
      guidedDenoiser(denoise, [{ denoise, weight, labels: "same" }], interval);
    for (const weight of [NaN, Infinity]) assert.throws(guided(weight), { code: "value", message: /weight/ });
    for (const interval of [
      [-1, 2],
      [2, 2],
      [3, 2],
      [NaN, 1],
      [0, NaN],
    ] as const) {
      assert.throws(guided(2, interval), { code: "value", message: /expected 0 <= lo < hi/ });
    }
    const small: Guide = { denoise: constant([1]).denoise, weight: 2, labels: "same" };
    const attempt = guidedDenoiser(denoise, [small])(x, [1, 1], labels, shape, 1);
    await assert.rejects(attempt, { code: "shape", message: /answered 1 elements where .* 6/ });
  });
});
