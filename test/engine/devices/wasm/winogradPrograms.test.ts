import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import {
  add,
  compile,
  conv2d,
  createDevice,
  type Device,
  divide,
  explain,
  mean,
  multiply,
  reduceSum,
  silu,
  sqrt,
  square,
  type Tensor,
  tensor,
  treeLeaves,
  valueAndGradWithAux,
} from "../../../../engine/index.ts";
import { randomNumbers } from "../../../../testing/laws/derivatives.ts";

/** Chains of 3x3 convolutions with what networks have between them: that is fused into a kernel's loads, or into its epilogue. */
type Layer = {
  readonly outputs: number;
  readonly before: "nothing" | "silu" | "pixelNorm" | "doubled";
  readonly after: "nothing" | "bias" | "scale" | "residual" | "silu";
};

const channels = fc.integer({ min: 8, max: 12 });
const layers: fc.Arbitrary<Layer> = fc.record({
  outputs: channels,
  before: fc.constantFrom("nothing", "silu", "pixelNorm", "doubled"),
  after: fc.constantFrom("nothing", "bias", "scale", "residual", "silu"),
});

const programs = fc.record({
  images: fc.integer({ min: 1, max: 5 }),
  inputs: channels,
  size: fc.constantFrom<readonly [number, number]>([8, 8], [4, 4], [7, 7], [5, 9], [12, 14]),
  layers: fc.array(layers, { minLength: 1, maxLength: 3 }),
  seed: fc.nat(1000),
});

function applyLayer({ before, after }: Layer, x: Tensor, filter: Tensor, vector: Tensor): Tensor {
  const prepared = {
    nothing: () => x,
    silu: () => silu(x),
    pixelNorm: () => divide(x, add(1e-4, sqrt(mean(square(x), { axes: 1, keepAxes: true })))),
    doubled: () => add(x, x),
  }[before]();
  const y = conv2d(prepared, filter, { padding: 1 });
  return {
    nothing: () => y,
    bias: () => add(y, vector),
    scale: () => multiply(y, add(1, vector)),
    residual: () => (x.shape[1] === y.shape[1] ? add(multiply(x, 0.7), multiply(y, 0.3)) : y),
    silu: () => silu(y),
  }[after]();
}

const devices = { oracle: await createDevice("oracle"), wasm: await createDevice("wasm") };
after(() => Object.values(devices).forEach((device) => device.dispose()));

test("chains of convolutions by Winograd's algorithm, and their gradients, are those of the oracle", async () => {
  const used = { forward: 0, filterGradient: 0 };
  await fc.assert(
    fc.asyncProperty(programs, async ({ images, inputs, size: [height, width], layers: chain, seed }) => {
      const uniform = randomNumbers(seed);
      const draw = (shape: readonly number[], magnitude: number): Tensor => {
        const length = shape.reduce((product, extent) => product * extent, 1);
        const values = Float32Array.from({ length }, () => magnitude * (2 * uniform() - 1));
        return tensor(values, { shape });
      };
      const x = draw([images, inputs, height, width], 2);
      const widths = [inputs, ...chain.map(({ outputs }) => outputs)];
      // Magnitudes stay about 1 through the chain.
      const filters = chain.map(({ outputs }, i) =>
        draw([outputs, widths[i] ?? 0, 3, 3], Math.sqrt(3 / (9 * (widths[i] ?? 1)))),
      );
      const vectors = chain.map(({ outputs }) => draw([1, outputs, 1, 1], 1));
      const cotangent = draw([images, widths.at(-1) ?? 0, height, width], 1);
      const objective = (given: {
        x: Tensor;
        filters: Tensor[];
        vectors: Tensor[];
      }): { value: Tensor; aux: Tensor } => {
        const y = chain.reduce(
          (value, layer, i) => applyLayer(layer, value, given.filters[i] as Tensor, given.vectors[i] as Tensor),
          given.x,
        );
        return { value: reduceSum(multiply(y, cotangent)), aux: y };
      };
      const given = { x, filters, vectors };
      const run = async (device: Device): Promise<Map<string, Float32Array>> => {
        const compiled = compile((arrays: typeof given) => valueAndGradWithAux(objective)(arrays), { device });
        // Not the objective: its sum cancels.
        const { aux, gradient } = await compiled(given);
        const results = new Map<string, Float32Array>();
        for (const { path, tensor: value } of treeLeaves({ y: aux, gradient }))
          results.set(path, (await value.data()) as Float32Array);
        if (device === devices.wasm) {
          const { kernels } = await explain(compiled, [given]);
          const texts = kernels.flatMap(({ sources }) => sources.map(({ text }) => text));
          used.forward += texts.filter((text) => text.startsWith(";; schedule: winograd forward")).length;
          used.filterGradient += texts.filter((text) => text.startsWith(";; schedule: winograd filterGradient")).length;
        }
        compiled.dispose();
        return results;
      };
      const [expected, found] = [await run(devices.oracle), await run(devices.wasm)];
      // Each of up to six convolutions one behind the other rounds by about 1e-6 of its result's magnitude, and the largest element is at
      // least that magnitude: 6e-6, and the rest for what is around them. 600 chains were off by 3e-6 at most.
      for (const [name, truth] of expected) {
        const values = found.get(name) ?? [];
        const largest = truth.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const off = truth.reduce((most, value, i) => Math.max(most, Math.abs(value - (values[i] ?? NaN))), 0);
        assert.ok(off <= 1e-5 * largest, `${name} is off by ${off / largest} of its largest element`);
      }
    }),
    { numRuns: 40 },
  );
  // About four steps a chain, and two.
  assert.ok(used.forward >= 80 && used.filterGradient >= 40, JSON.stringify(used));
});
