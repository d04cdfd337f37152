/** The ladder's configurations: what they are made of, what their switches do, and which don't go together. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  createDevice,
  EvenkeelError,
  evaluate,
  keyAt,
  multiply,
  randomKey,
  randomNormal,
  reduceSum,
  splitKey,
  square,
  stack,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../../engine/index.ts";
import {
  applyUNet,
  configA,
  configG,
  configurationNamed,
  configurationNames,
  configurations,
  configurationSwitches,
  describeUNet,
  flattenParameters,
  initializeParameters,
  type NamedParameters,
  nestParameters,
  type ParameterSpec,
  parseSwitches,
  switchNames,
  unetConfig,
  type UNetConfig,
  type UNetParameters,
  type UNetSwitches,
} from "../../nn/index.ts";
import { areSwitchesPossible, switchValues } from "../../nn/unet/switches.ts";
import { meanSquare, onOracle } from "./onOracle.ts";

/** The smallest network with every kind of layer: two levels, attention, labels, blocks that widen. */
const tiny: Omit<UNetConfig, keyof UNetSwitches> = {
  imageResolution: 4,
  imageChannels: 2,
  labelDim: 3,
  augmentDim: 0,
  modelChannels: 4,
  channelMult: [1, 2],
  channelMultNoise: null,
  channelMultEmb: null,
  numBlocks: 1,
  attnResolutions: [2],
  channelsPerHead: 4,
  labelBalance: 0.5,
  concatBalance: 0.5,
  resBalance: 0.3,
  attnBalance: 0.3,
  clipAct: null,
  activations: "float32",
  dropout: 0,
  resampleFilter: [1, 1],
};

const specsOf = (config: UNetConfig): Record<string, ParameterSpec> => flattenParameters(describeUNet(config));

function normals(seed: number, ...shapes: readonly (readonly number[])[]): Tensor[] {
  const keys = splitKey(randomKey(seed), shapes.length);
  return shapes.map((shape, i) => randomNormal(keyAt(keys, i), shape));
}

const [x, noise, G] = normals(1, [2, 2, 4, 4], [2], [2, 2, 4, 4]) as [Tensor, Tensor, Tensor];
const labels = tensor([
  [1, 0, 0],
  [0, 0, 1],
]);

/** Every array drawn at random, those too that begin as zeros: so no gradient is zero for the start alone. */
function drawn(config: UNetConfig): NamedParameters {
  const specs = specsOf(config);
  const random = Object.fromEntries(
    Object.entries(specs).map(([name, spec]): [string, ParameterSpec] => [
      name,
      { ...spec, init: spec.role === "buffer" ? spec.init : { kind: "normal", scale: 0.5 } },
    ]),
  );
  return initializeParameters(random, randomKey(2));
}

const run = (config: UNetConfig, arrays: NamedParameters): Tensor =>
  applyUNet(config, nestParameters<UNetParameters>(arrays), x, noise, labels);

const device = await createDevice("oracle");

/** The square of each array's gradient, of the output's sum against random numbers: NaN or infinite where the gradient is. */
async function gradients(config: UNetConfig): Promise<Map<string, number>> {
  const specs = specsOf(config);
  const { gradient } = valueAndGrad((all: NamedParameters) => reduceSum(multiply(run(config, all), G)))(drawn(config));
  const names = Object.keys(specs).filter((name) => specs[name]?.role !== "buffer");
  const squares = await evaluate(stack(names.map((name) => reduceSum(square(gradient[name] as Tensor)))), device);
  return new Map(names.map((name, i) => [name, squares[i] ?? NaN]));
}

/** Nothing is NaN, and nothing that is trained is without influence. */
async function requireTrainable(switches: UNetSwitches): Promise<void> {
  const found = await gradients(unetConfig({ ...tiny, ...switches }));
  const bad = [...found].filter(([, squares]) => !(squares > 0 && squares < Infinity)).map(([name]) => name);
  assert.deepEqual(bad, [], JSON.stringify(switches));
}

const flipped = (base: UNetSwitches): UNetSwitches[] =>
  switchNames.flatMap((name) =>
    (switchValues[name] as readonly UNetSwitches[typeof name][])
      .filter((value) => value !== base[name])
      .map((value): UNetSwitches => ({ ...base, [name]: value })),
  );

describe("the ladder", () => {
  it("goes from one configuration to the next by the differences that the paper lists", () => {
    const changes = configurationNames.map((name, i) => {
      const before = configurationSwitches[configurationNames[i - 1] ?? "A"];
      return switchNames.filter((each) => configurationSwitches[name][each] !== before[each]);
    });
    assert.deepEqual(changes, [
      [],
      [],
      [
        "bias",
        "onesChannel",
        "noiseFeatures",
        "labelScaling",
        "groupNorm",
        "conditioning",
        "attentionKind",
        "zeroInit",
      ],
      ["weightNorm"],
      ["forcedNorm"],
      ["groupNorm", "pixelNorm", "resampling", "encoderWidening", "outputActivation", "embeddingLayers"],
      ["mpFeatures", "mpSilu", "mpSum", "mpCat", "gains"],
    ]);
    assert.deepEqual(new Set(changes.flat()), new Set(switchNames), "every switch is turned somewhere");
  });

  it("ends at the defaults, and its presets take any size", () => {
    const data = { imageResolution: 64, imageChannels: 4, labelDim: 1000 };
    assert.deepEqual(configG(data), unetConfig(data));
    assert.deepEqual(configA(data).attnResolutions, [32, 16, 8]);
    for (const name of configurationNames) {
      const config = configurations[name]({ ...tiny, dropout: 0.25 });
      assert.deepEqual(
        Object.fromEntries(switchNames.map((each) => [each, config[each]])),
        configurationSwitches[name],
      );
      assert.deepEqual([config.dropout, config.modelChannels], [0.25, 4]);
      assert.equal(configurations[name](data).clipAct, name === "G" ? 256 : null);
    }
  });
});

describe("switches", () => {
  it("of every configuration make networks in which everything is trained", async () => {
    for (const name of configurationNames) await requireTrainable(configurationSwitches[name]);
  });

  it("turned alone in A or G do so, too, unless they are refused", async () => {
    for (const name of ["A", "G"] as const) {
      for (const switches of flipped(configurationSwitches[name]).filter(areSwitchesPossible)) {
        await requireTrainable(switches);
      }
    }
  });

  it("in any combination do so, or are refused with a reason", async () => {
    const any = fc.record(
      Object.fromEntries(switchNames.map((name) => [name, fc.constantFrom<unknown>(...switchValues[name])])),
    ) as unknown as fc.Arbitrary<UNetSwitches>;
    await fc.assert(
      fc.asyncProperty(any, async (switches) => {
        if (areSwitchesPossible(switches)) await requireTrainable(switches);
        else {
          assert.throws(
            () => unetConfig({ ...tiny, ...switches }),
            (error) => error instanceof EvenkeelError && error.code === "value" && /Norm|Init/.test(error.message),
          );
        }
      }),
      { numRuns: 32 },
    );
  });

  it("each change what is computed, or how it is drawn or trained", async () => {
    for (const name of ["C", "G"] as const) {
      const base = unetConfig({ ...tiny, ...configurationSwitches[name] });
      const before = await evaluate(run(base, drawn(base)), device);
      for (const switches of flipped(configurationSwitches[name]).filter(areSwitchesPossible)) {
        const config = unetConfig({ ...tiny, ...switches });
        const hasOther = JSON.stringify(specsOf(config)) !== JSON.stringify(specsOf(base));
        const isSame = hasOther || [...(await evaluate(run(config, drawn(config)), device))].join() === before.join();
        assert.ok(hasOther || !isSame, JSON.stringify(switches));
      }
    }
  });

  it("that can't work together are refused with the reason", () => {
    const refuse = (switches: Partial<UNetSwitches>, base: "A" | "C" | "G", pattern: RegExp): void => {
      assert.throws(
        () => unetConfig({ ...tiny, ...configurationSwitches[base], ...switches }),
        (error) => error instanceof EvenkeelError && error.code === "value" && pattern.test(error.message),
      );
    };
    refuse({ forcedNorm: true }, "C", /forcedNorm needs weightNorm: .*sqrt\(fan-in\)/);
    refuse({ zeroInit: true }, "G", /zeroInit and weightNorm exclude each other: .* no direction/);
    refuse({ gains: true }, "A", /zeroInit and gains exclude each other: .* neither would ever move/);
    refuse(
      { groupNorm: "batch" as "none" },
      "A",
      /switch groupNorm is "batch", expected "learned" or "simple" or "none"/,
    );
    assert.throws(
      () => unetConfig({ ...tiny, dropuot: 0.1 } as never),
      /there is no option "dropuot"; there are imageRes/,
    );
    assert.throws(
      () => configA({ ...tiny, modelChannels: 7, channelMult: [1, 1], channelsPerHead: 7 }),
      /noiseFeatures is "positional", expected "fourier": 7 channels/,
    );
    assert.throws(() => describeUNet(configA({ ...tiny, modelChannels: 2 })), /group norm: 2 channels don't divide/);
    assert.throws(() => configurationNamed("H"), /unknown configuration "H"; there are A, B, C, D, E, F, G/);
    assert.equal(configurationNamed("D"), "D");
  });

  it("can be written as text", () => {
    fc.assert(
      fc.property(
        fc.subarray(switchNames.flatMap((name) => switchValues[name].map((value) => [name, value] as const))),
        (some) => {
          const expected = Object.fromEntries(some);
          if (some.length === 0) return;
          const text = some.map(([name, value]) => `${name}=${value}`).join(", ");
          if (Object.keys(expected).length < some.length) assert.throws(() => parseSwitches(text), /is given twice/);
          else assert.deepEqual(parseSwitches(text), expected);
        },
      ),
    );
    assert.throws(() => parseSwitches("forced=true"), /unknown switch "forced"; there are bias, onesChannel/);
    assert.throws(() => parseSwitches("gains=yes"), /switch gains is "yes", expected false or true/);
    assert.throws(() => parseSwitches("gains=true=true"), /switch gains is "true=true"/);
    assert.throws(() => parseSwitches("gains"), /switch gains is ""/);
    assert.throws(() => parseSwitches("gains=true,gains=false"), /switch gains is given twice/);
    assert.deepEqual(parseSwitches(""), {});
    assert.throws(() => parseSwitches("gains=true,"), /unknown switch ""/);
  });
});

describe("the start of a configuration", () => {
  it("has zeros where A and B have them, and weights within 1 / sqrt(fan-in) in A to C", async () => {
    for (const name of ["A", "B", "C"] as const) {
      const config = configurations[name](tiny);
      const specs = specsOf(config);
      const start = initializeParameters(specs, randomKey(4));
      for (const [array, value] of Object.entries(start)) {
        const numbers = await onOracle(value);
        const isLast = /(conv_res1|attn_proj|out_conv)\.(weight|bias)$/.test(array);
        if (isLast && name !== "C")
          assert.ok(
            numbers.every((each) => each === 0),
            array,
          );
        else if (array === "emb_label.weight" && name !== "C") {
          // 24 standard normals: mean square within 6 sqrt(2 / 24).
          assert.ok(Math.abs(meanSquare(numbers) - 1) < 6 * Math.sqrt(2 / numbers.length), array);
        } else if (specs[array]?.role === "weight") {
          const fan = value.shape.slice(1).reduce((product, extent) => product * extent, 1);
          assert.ok(
            numbers.every((each) => Math.abs(each) <= 1 / Math.sqrt(fan)),
            array,
          );
          // Uniform numbers have mean square bound^2 / 3, whose square has variance 4/45 bound^4.
          const spread = 6 * Math.sqrt(4 / 45 / numbers.length);
          assert.ok(Math.abs(meanSquare(numbers) * fan - 1 / 3) < spread, array);
        }
      }
      if (name !== "C") assert.ok((await onOracle(run(config, start))).every((value) => value === 0));
    }
  });

  it("has no biases, norms or second layer where they were dropped", () => {
    const names = (name: (typeof configurationNames)[number]): string =>
      Object.keys(specsOf(configurations[name](tiny))).join();
    for (const name of configurationNames) {
      const all = names(name);
      assert.equal(/bias|norm\d|out_norm/.test(all), name < "C", name);
      assert.equal(all.includes("emb_second"), name < "F", name);
      assert.equal(/gain/.test(all), name === "G", name);
      assert.equal(/emb_fourier/.test(all), name >= "C", name);
      const forced = Object.values(specsOf(configurations[name](tiny))).filter(({ isForced }) => isForced === true);
      assert.equal(forced.length > 0, name >= "E", name);
    }
  });
});
