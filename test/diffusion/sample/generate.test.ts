import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type DenoisingFormula, FormulaDenoiser } from "../../../diffusion/network/index.ts";
import {
  type GeneratedBatch,
  generateImages,
  type ImageLabel,
  type GenerateOptions,
} from "../../../diffusion/sample/index.ts";
import {
  add,
  divide,
  full,
  getDevice,
  multiply,
  reduceSum,
  reshape,
  square,
  subtract,
  tanh,
  type Tensor,
  tensor,
} from "../../../engine/index.ts";

const imageShape = [1, 3, 3];
const size = 9;

const device = await getDevice("wasm");

/** Pulls each image to a level that its label gives, with a pattern of its own pixels; without a label to -0.1. */
const formula: DenoisingFormula = (x, sigma, labels) => {
  const [count = 0] = x.shape;
  const each = (values: Tensor): Tensor => reshape(values, [count, 1, 1, 1]);
  const classes = tensor([0, 1, 2, 3]);
  const level =
    labels === null
      ? full([count, 1, 1, 1], -0.1)
      : each(subtract(reduceSum(multiply(labels, add(classes, 1)), { axes: 1 }), 1).multiply(0.1));
  const noise = each(square(sigma));
  return divide(add(multiply(tanh(add(x, level)), 0.25), multiply(level, noise)), add(noise, 0.25));
};
const perImage = new FormulaDenoiser(formula, device);
after(() => perImage.dispose());

const common: Omit<GenerateOptions, "seeds"> = { denoiser: perImage, imageShape, labelDim: 4, steps: 5 };

async function collect(options: GenerateOptions): Promise<GeneratedBatch[]> {
  const batches: GeneratedBatch[] = [];
  for await (const batch of generateImages(options)) batches.push(batch);
  return batches;
}

type Image = { readonly pixels: Float32Array; readonly noise: Float32Array; readonly chosen: ImageLabel };

/** Images by seed. */
async function images(options: GenerateOptions): Promise<Map<number, Image>> {
  const found = new Map<number, Image>();
  for (const { images: all, noise, seeds, chosen } of await collect(options)) {
    for (const [i, seed] of seeds.entries()) {
      const part = [size * i, size * (i + 1)] as const;
      found.set(seed, { pixels: all.slice(...part), noise: noise.slice(...part), chosen: chosen[i] ?? null });
    }
  }
  return found;
}

describe("generateImages", () => {
  for (const [name, options] of Object.entries({
    deterministic: {},
    churned: { sChurn: 2, sNoise: 1.01 },
    guided: { guides: [{ denoiser: perImage, weight: 2, labels: "none" as const }], interval: [0.1, 20] as const },
  })) {
    it(`gives a seed the same bits in any batch, order and shard: ${name}`, async () => {
      const seeds = Array.from({ length: 11 }, (_, i) => i * i);
      const whole = await images({ ...common, ...options, seeds, batch: 11 });
      assert.deepEqual([...whole.keys()], seeds);
      const others = [
        { seeds, batch: 1 },
        { seeds, batch: 4 },
        { seeds, batch: 3, networkBatch: 5 },
        { seeds, batch: 100, networkBatch: 1 },
        { seeds: seeds.toReversed(), batch: 5 },
      ];
      for (const other of others) {
        const again = await images({ ...common, ...options, ...other });
        for (const [seed, image] of whole) assert.deepEqual(again.get(seed), image, `seed ${seed}`);
      }
      for (const shard of [0, 1, 2]) {
        const own = seeds.filter((_, i) => i % 3 === shard);
        for (const [seed, image] of await images({ ...common, ...options, seeds: own, batch: 2 })) {
          assert.deepEqual(image, whole.get(seed), `seed ${seed}`);
        }
      }
    });
  }

  it("hands out batches with shapes, labels and places in the list", async () => {
    const batches = await collect({ ...common, seeds: [4, 9, 2, 7, 1], batch: 2 });
    assert.deepEqual(
      batches.map(({ seeds }) => seeds),
      [[4, 9], [2, 7], [1]],
    );
    assert.deepEqual(
      batches.map(({ indices }) => indices),
      [[0, 1], [2, 3], [4]],
    );
    assert.deepEqual(
      batches.map(({ shape }) => shape),
      [
        [2, 1, 3, 3],
        [2, 1, 3, 3],
        [1, 1, 3, 3],
      ],
    );
    for (const { shape, images: pixels, noise, labels, chosen: classes, seeds } of batches) {
      assert.equal(pixels.length, seeds.length * size);
      assert.equal(noise.length, pixels.length);
      assert.deepEqual(shape[0], classes.length);
      const expected = classes.flatMap((own) => [0, 1, 2, 3].map((label) => +(label === own)));
      assert.deepEqual([...(labels ?? [])], expected);
    }
    assert.deepEqual(await collect({ ...common, seeds: [] }), []);
  });

  it("takes a class for all, by the seed, none, or draws it by the seed", async () => {
    const seeds = Array.from({ length: 40 }, (_, i) => i);
    const classes = async (labelOf?: GenerateOptions["labelOf"]): Promise<ImageLabel[]> => {
      const found = await images({ ...common, seeds, ...(labelOf === undefined ? {} : { labelOf }), steps: 1 });
      return [...found.values()].map(({ chosen }) => chosen);
    };
    assert.deepEqual(
      await classes(2),
      seeds.map(() => 2),
    );
    assert.deepEqual(
      await classes(null),
      seeds.map(() => null),
    );
    assert.deepEqual(
      await classes((seed) => (seed === 3 ? null : seed % 4)),
      seeds.map((seed) => (seed === 3 ? null : seed % 4)),
    );
    assert.deepEqual(new Set(await classes()), new Set([0, 1, 2, 3]));
    const [batch] = await collect({ ...common, seeds: [1], labelOf: null });
    assert.deepEqual(batch?.labels, new Float32Array(4));
    const [unlabelled] = await collect({ ...common, labelDim: 0, seeds: [1] });
    assert.deepEqual([unlabelled?.labels, unlabelled?.chosen], [null, [null]]);
  });

  it("takes label vectors as they are, and draws from those or the classes that it is told of", async () => {
    const vectors = [
      [0.5, 180, -1, 0],
      [1, 0, 0.25, 3],
    ];
    const seeds = Array.from({ length: 40 }, (_, i) => i);
    const placed = await collect({
      ...common,
      seeds: [5, 5, 5],
      steps: 1,
      labelOf: (_, place) => vectors[place % 2] ?? null,
    });
    assert.deepEqual(
      placed.flatMap(({ labels }) => [...(labels ?? [])]),
      [...(vectors[0] ?? []), ...(vectors[1] ?? []), ...(vectors[0] ?? [])],
    );
    const drawn = await images({ ...common, seeds, steps: 1, drawFrom: { kind: "vectors", values: vectors } });
    assert.deepEqual(new Set([...drawn.values()].map(({ chosen }) => chosen)), new Set(vectors));
    const some = await images({ ...common, seeds, steps: 1, drawFrom: { kind: "classes", values: [1, 3] } });
    assert.deepEqual(new Set([...some.values()].map(({ chosen }) => chosen)), new Set([1, 3]));
    const refused = async (label: readonly number[], message: RegExp): Promise<void> =>
      assert.rejects(collect({ ...common, seeds: [1], labelOf: label }), { code: "value", message });
    await refused([1, 2], /a label of 2 numbers: labels are vectors of 4/);
    await refused([1, 2, NaN, 4], /the number NaN: finite numbers/);
    await refused([1, 2, 1e39, 4], /finite numbers/);
  });

  it("reports each step of each batch", async () => {
    const told: (readonly [number, number])[] = [];
    const onStep: GenerateOptions["onStep"] = ({ index }, batch) => void told.push([batch, index]);
    await collect({ ...common, seeds: [1, 2, 3], batch: 2, steps: 2, onStep });
    assert.deepEqual(told, [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
  });

  it("refuses options out of range at once", async () => {
    const options = { ...common, seeds: [1, 2] };
    assert.throws(() => generateImages({ ...options, batch: 0 }), { code: "value", message: /batch is 0/ });
    assert.throws(() => generateImages({ ...options, networkBatch: 1.5 }), {
      code: "value",
      message: /networkBatch is 1.5/,
    });
    assert.throws(() => generateImages({ ...options, labelDim: -1 }), { code: "value", message: /labelDim is -1/ });
    assert.throws(() => generateImages({ ...options, steps: 0 }), { code: "value", message: /steps is 0/ });
    assert.throws(() => generateImages({ ...options, interval: [2, 1] }), { code: "value" });
    for (const labelOf of [-1, 4, 0.5, NaN]) {
      await assert.rejects(collect({ ...options, labelOf }), {
        code: "value",
        message: /there are classes from 0 to 3/,
      });
    }
    await assert.rejects(collect({ ...options, labelDim: 0, labelOf: 0 }), {
      code: "value",
      message: /takes no labels/,
    });
  });
});
