import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { FormulaDenoiser } from "../../../diffusion/network/index.ts";
import {
  activeGuides,
  type GenerateOptions,
  generateImages,
  type GuideWeight,
  isNoGuidance,
  parseGuideWeight,
  sigmaSteps,
  stepLevels,
  weightAt,
  type WeightTable,
} from "../../../diffusion/sample/index.ts";
import { compileSampler, emptyState } from "../../../diffusion/sample/samplerState.ts";
import { createState, getDevice, multiply, tanh, tensor, zeros } from "../../../engine/index.ts";

const device = await getDevice("wasm");
const main = new FormulaDenoiser((x) => tanh(multiply(x, 0.3)), device);
const guide = new FormulaDenoiser((x) => multiply(tanh(multiply(x, 0.2)), 0.5), device);
after(() => {
  main.dispose();
  guide.dispose();
});

const sigmas = fc.double({ min: 1e-3, max: 100, noNaN: true });
const weights = fc.double({ min: -3, max: 5, noNaN: true });
/** Tables of levels that differ. */
const tables = fc
  .uniqueArray(fc.tuple(sigmas, weights), { minLength: 1, maxLength: 6, selector: ([sigma]) => sigma })
  .map((rows): WeightTable => rows.toSorted(([a], [b]) => a - b));

async function pixels(weight: GuideWeight, interval?: readonly [number, number]): Promise<readonly number[]> {
  const options: GenerateOptions = {
    denoiser: main,
    imageShape: [1, 2, 2],
    steps: 5,
    seeds: [1, 2],
    networkBatch: 2,
    guides: [{ denoiser: guide, weight, labels: "same" }],
    ...(interval === undefined ? {} : { interval }),
  };
  const all: number[] = [];
  for await (const { images } of generateImages(options)) all.push(...images);
  return all;
}

describe("weights of guidance by noise level", () => {
  it("are the table's at its levels, in proportion to ln sigma between them, the ends' beyond", () => {
    fc.assert(
      fc.property(tables, fc.double({ min: 0, max: 1, noNaN: true }), (table, share) => {
        for (const [sigma, weight] of table) assert.equal(weightAt(table, sigma), weight);
        assert.equal(weightAt(table, (table[0]?.[0] ?? 0) / 2), table[0]?.[1]);
        assert.equal(weightAt(table, (table.at(-1)?.[0] ?? 0) * 2), table.at(-1)?.[1]);
        for (const [i, [right, second]] of table.entries()) {
          const [left, first] = table[i - 1] ?? [right, second];
          if (left === right) continue;
          const sigma = Math.min(right, Math.max(left, left * (right / left) ** share));
          // The power and both logarithms round by some ulps; a narrow interval makes them as much larger as it is narrow.
          const slack = 1e-14 / Math.log(right / left) + 1e-14;
          const expected = first + share * (second - first);
          assert.ok(Math.abs(weightAt(table, sigma) - expected) <= slack * (1 + Math.abs(second - first)) * 8);
        }
      }),
    );
  });

  it("make of a table of one weight that weight, to the bit", async () => {
    await fc.assert(
      fc.asyncProperty(weights, fc.uniqueArray(sigmas, { minLength: 1, maxLength: 4 }), async (weight, levels) => {
        const table: WeightTable = levels.toSorted((a, b) => a - b).map((sigma) => [sigma, weight]);
        assert.deepEqual(await pixels(table), await pixels(weight));
      }),
      { numRuns: 20 },
    );
  });

  it("have intervals as a special case, to the bit", async () => {
    const steps = sigmaSteps({ steps: 5 });
    // Levels of the steps themselves among them: an interval is (lo, hi].
    const ends = fc.oneof(fc.constantFrom(...steps.slice(0, -1)), sigmas);
    await fc.assert(
      fc.asyncProperty(ends, ends, async (one, other) => {
        fc.pre(one !== other);
        const [lo, hi] = [Math.min(one, other), Math.max(one, other)];
        const table: WeightTable = [
          [lo, 1],
          [lo, 2.5],
          [hi, 2.5],
          [hi, 1],
        ];
        assert.deepEqual(await pixels(table), await pixels(2.5, [lo, hi]));
      }),
      { numRuns: 20 },
    );
  });

  it("change something where they aren't 1, and leave out the guide where they are", async () => {
    const plain = await pixels(1);
    const table: WeightTable = [
      [1, 1],
      [10, 3],
    ];
    assert.notDeepEqual(await pixels(table), plain);
    assert.deepEqual(await pixels(table.map(([sigma]) => [sigma, 1])), plain);
    const at = activeGuides([{ denoiser: guide, weight: table, labels: "same" }]);
    const found = [0.5, 1, 10, 50].map((sigma) => at(sigma).map(({ weight }) => weight));
    assert.deepEqual(found, [[], [], [3], [3]]);
  });

  it("take one program for all steps", async () => {
    const levels = stepLevels([8, 4, 2, 1, 0], {});
    const shape = [1, 1, 1, 2];
    const once = (): boolean => false;
    const programs = compileSampler(levels, once, ({ t }) => [t / 4], shape, device);
    const state = await createState(emptyState(shape, 0, { isGuided: true, hasDropout: false }), device);
    const source = { normals: tensor(Float32Array.of(1, -1), { shape }) };
    await programs.start(state, { source, labels: null });
    for (const { t } of levels) {
      const before = await state.read((all) => all);
      const answer = tensor(Float32Array.of(-1, 2), { shape });
      const guidance = { main: zeros(shape), guided: zeros(shape) };
      await state.write({ ...before, guidance, evaluation: { ...before.evaluation, answer } });
      await programs.push(state, 0);
      const pushed = await state.read(({ guidance: held }) => held?.guided ?? zeros(shape));
      assert.deepEqual([...(await pushed.data())], [t / 4, -t / 2]);
      await programs.move(state, { isSecond: false, isLast: true, isGuided: true });
    }
    assert.equal(programs.push.programs, 1);
    state.dispose();
    programs.dispose();
  });
});

describe("parseGuideWeight", () => {
  it("reads what weights are written as", () => {
    fc.assert(
      fc.property(fc.oneof(weights, tables), (weight) => {
        const text = typeof weight === "number" ? String(weight) : weight.map((row) => row.join(":")).join(",");
        // -0 is written as 0.
        const plain = typeof weight === "number" ? weight + 0 : weight.map(([sigma, each]) => [sigma, each + 0]);
        assert.deepEqual(parseGuideWeight(text), plain);
      }),
    );
    assert.ok(isNoGuidance(parseGuideWeight("0.1:1,10:1")) && !isNoGuidance(parseGuideWeight("0.1:1,10:1.1")));
  });

  it("refuses others", () => {
    const refused: readonly (readonly [string, RegExp])[] = [
      ["", /"" is neither a weight nor/],
      ["strong", /"strong" is neither/],
      ["1:2:3", /is neither/],
      ["1:2,", /is neither/],
      ["2:1,1:1", /must rise, and 1 comes after 2/],
      ["1:1,1:2,1:3", /more than two weights/],
      ["0:1,1:2", /noise level 0 .*above 0/],
      ["-1:2", /noise level -1/],
      ["Infinity:2", /noise level Infinity/],
      ["1:Infinity", /weight Infinity/],
      ["Infinity", /weight Infinity/],
    ];
    for (const [text, message] of refused) assert.throws(() => parseGuideWeight(text), { code: "value", message });
  });
});
