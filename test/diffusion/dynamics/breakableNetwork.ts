/** A chain of residual blocks that can be broken on purpose, trained, and watched as a run is. */
import type { Dynamics } from "../../../diffusion/dynamics/index.ts";
import { dynamicsVersion } from "../../../diffusion/dynamics/format.ts";
import { type ReadingNames, readStep, splitReadings, type Tapped } from "../../../diffusion/dynamics/readings.ts";
import {
  compile,
  type Device,
  mean,
  multiply,
  randomKey,
  randomNormal,
  scalar,
  square,
  stack,
  subtract,
  type Tensor,
  valueAndGradWithAux,
} from "../../../engine/index.ts";
import {
  adam,
  adamCorrections,
  adamMoments,
  type AdamMoments,
  describeMpConv,
  forceNormalize,
  globalNorm,
  initializeParameters,
  mpConv,
  mpSilu,
  mpSum,
  type NamedParameters,
  type ParameterSpec,
} from "../../../nn/index.ts";
import { smallOptions } from "../training/smallRun.ts";

/** What is done wrong. */
export type Mistakes = {
  /** The factor 1 / sqrt(fan-in) of every layer is left out. */
  readonly withoutFanIn?: boolean;
  /** In the place of mp-sum. */
  readonly sum?: (main: Tensor, branch: Tensor) => Tensor;
  /** Stored weights are left as the optimizer makes them. */
  readonly withoutForcedNorm?: boolean;
  /** Instead of 0.02. */
  readonly rate?: number;
};

const [channels, size, batch, blocks] = [16, 8, 8, 10];

const specs: NamedParameters<ParameterSpec> = Object.fromEntries([
  ...Array.from({ length: blocks }, (_, i) => i).flatMap((i) =>
    ["conv_res0", "conv_res1"].map((name): [string, ParameterSpec] => [
      `unet.dec.8x8_block${i}.${name}.weight`,
      describeMpConv(channels, channels, [3, 3]).weight,
    ]),
  ),
  ["unet.out_conv.weight", describeMpConv(channels, channels, [3, 3]).weight],
  ["unet.out_gain", { shape: [], role: "gain", init: { kind: "constant", value: 0 } }],
]);

type Trained = { readonly weights: NamedParameters; readonly moments: AdamMoments };

/** Trains for some steps to soften its noisy input, and reads every second one. */
export async function watchBroken(device: Device, mistakes: Mistakes, steps = 24): Promise<Dynamics> {
  const { sum = (main: Tensor, branch: Tensor): Tensor => mpSum(main, branch, 0.3), rate = 0.02 } = mistakes;
  let names: ReadingNames | undefined;
  const step = compile(
    (trained: Trained, x: Tensor, corrections: { readonly first: Tensor; readonly second: Tensor }) => {
      const taps: Tapped[] = [];
      const weights = Object.fromEntries(
        Object.entries(trained.weights).map(([name, weight]) => [
          name,
          specs[name]?.role === "weight" && mistakes.withoutForcedNorm !== true ? forceNormalize(weight) : weight,
        ]),
      );
      const objective = (named: NamedParameters): { value: Tensor; aux: Tensor } => {
        const layer = (name: string, input: Tensor, gain: Tensor | number = 1): Tensor => {
          const factor = mistakes.withoutFanIn === true ? Math.sqrt(channels * 9) : 1;
          const value = mpConv(input, named[`unet.${name}.weight`] as Tensor, multiply(gain, factor));
          taps.push({ name, value });
          return value;
        };
        let h = x;
        for (let i = 0; i < blocks; i++) {
          const inner = layer(`dec.8x8_block${i}.conv_res0`, mpSilu(h));
          h = sum(h, layer(`dec.8x8_block${i}.conv_res1`, mpSilu(inner)));
        }
        const output = layer("out_conv", h, named["unet.out_gain"]);
        const error = mean(square(subtract(output, multiply(x, 0.5))));
        return { value: multiply(error, channels * size * size), aux: error };
      };
      const { gradient, aux: error } = valueAndGradWithAux(objective)(weights);
      const next = adam(weights, gradient, trained.moments, scalar(rate), corrections, { beta2: 0.99 });
      const read = readStep(specs, { taps, weights, next: next.parameters, gradient, byDirection: true });
      names = read.names;
      return {
        trained: { weights: next.parameters, moments: next.moments },
        values: read.values,
        rest: stack([error, globalNorm(gradient)]),
      };
    },
    { device },
  );
  const drawn = initializeParameters(specs, randomKey(5));
  let trained: Trained = { weights: drawn, moments: adamMoments(drawn) };
  const samples: Dynamics["samples"][number][] = [];
  try {
    for (let i = 1; i <= steps; i++) {
      const { first, second } = adamCorrections(i, { beta2: 0.99 });
      const x = randomNormal(randomKey(i), [batch, channels, size, size]);
      const result = await step(trained, x, { first: scalar(first), second: scalar(second) });
      ({ trained } = result);
      if (i !== 1 && i % 2 === 1) continue;
      if (names === undefined) throw new Error("a traced step has names");
      const [error = NaN, gradientNorm = NaN] = await result.rest.data();
      samples.push({
        nimg: i * batch,
        learningRate: rate,
        gradientNorm,
        nonFiniteGradients: 0,
        readings: splitReadings(names, await result.values.data()),
        bins: { count: [batch], loss: [error], error: [error] },
      });
    }
  } finally {
    step.dispose();
  }
  if (names === undefined) throw new Error("a run has steps");
  const training = { ...smallOptions, batch, batchDevice: batch };
  const header = {
    format: "evenkeel-dynamics",
    version: dynamicsVersion,
    every: 2,
    training,
    names,
    sigmaEdges: [],
  } as const;
  return { header, samples };
}
