/**
 * A GPT of 0.8 million parameters that learns the letters of a text file and then writes on:
 * `npx tsx examples/gpt.ts README.md 500` (two minutes on two cores).
 */
import { readFileSync } from "node:fs";
import * as ek from "evenkeel/engine";
import * as nn from "evenkeel/nn";

type Tensor = ek.Tensor;

/** Letters that there are, letters that are seen at once, and sizes of the network. */
export type GptConfig = {
  readonly vocabulary: number;
  readonly length: number;
  readonly channels: number;
  readonly heads: number;
  readonly layers: number;
};

/** Every array of the network (Radford et al. 2019, with norms in front of the layers). */
export function describeGpt({ vocabulary, length, channels, layers }: GptConfig) {
  const small = { kind: "normal", scale: 0.02 } as const;
  const plain = { weightInit: small, biasInit: { kind: "constant", value: 0 } } as const;
  return {
    letters: nn.describeEmbedding(vocabulary, channels, small),
    places: nn.describeEmbedding(length, channels, small),
    blocks: Array.from({ length: layers }, () => ({
      attentionNorm: nn.describeLayerNorm(channels),
      attention: nn.describeMultiHeadAttention(channels),
      wideNorm: nn.describeLayerNorm(channels),
      widen: nn.describeLinear(channels, 4 * channels, plain),
      narrow: nn.describeLinear(4 * channels, channels, plain),
    })),
    norm: nn.describeLayerNorm(channels),
    output: nn.describeLinear(channels, vocabulary, plain),
  };
}
export type Gpt = nn.Drawn<ReturnType<typeof describeGpt>>;

/** Logits of the letter behind each: letters i32 [N, T] to [N, T, vocabulary]. */
export function gptLogits(gpt: Gpt, heads: number, letters: Tensor): Tensor {
  const places = ek.arange(letters.shape[1] ?? 0);
  let x = nn.embedding(letters, gpt.letters).add(nn.embedding(places, gpt.places));
  for (const { attentionNorm, attention, wideNorm, widen, narrow } of gpt.blocks) {
    x = x.add(nn.multiHeadAttention(nn.layerNorm(x, attentionNorm), attention, heads, { isCausal: true }));
    x = x.add(nn.linear(ek.gelu(nn.linear(nn.layerNorm(x, wideNorm), widen), { approximate: "tanh" }), narrow));
  }
  return nn.linear(nn.layerNorm(x, gpt.norm), gpt.output);
}

export type GptState = { readonly gpt: Gpt; readonly moments: nn.AdamMoments<Gpt>; readonly step: Tensor };

/** One step of AdamW on sequences [N, T + 1]: the gradient clipped, the rate that of the step; gives the mean loss in nats. */
export function gptStep({ gpt, moments, step }: GptState, heads: number, sequences: Tensor, rate: nn.Schedule) {
  const [letters, following] = [sequences.slice([null, [0, -1]]), sequences.slice([null, [1]])];
  const { value, gradient } = ek.valueAndGrad((g: Gpt) => nn.crossEntropy(gptLogits(g, heads, letters), following))(
    gpt,
  );
  const options = { beta2: 0.99, weightDecay: 0.1, decays: ({ rank }: Tensor) => rank > 1 };
  const corrections = nn.adamCorrections(step.add(1), options);
  const moved = nn.adamW(gpt, nn.clipByNorm(gradient, 1).gradient, moments, rate(step), corrections, options);
  return { state: { gpt: moved.parameters, moments: moved.moments, step: step.add(1) }, result: value };
}

/** Trains on a text, and gives the losses and what the network writes behind `start`. */
export async function learn(
  device: ek.Device,
  text: string,
  sizes: Omit<GptConfig, "vocabulary">,
  steps: number,
  batch: number,
) {
  const alphabet = [...new Set(text)].sort();
  const config = { ...sizes, vocabulary: alphabet.length };
  const codes = (of: string): number[] => Array.from(of, (letter) => alphabet.indexOf(letter));
  const letters = ek.tensor(codes(text), { dtype: "i32" });
  const rate = nn.cosineSchedule({ peak: 2e-3, steps, warmUp: steps / 10, start: 1e-4, final: 1e-4 });
  const random = ek.randomKey(1);

  const gpt = nn.initializeParameters(describeGpt(config), ek.randomKey(0));
  const state = await ek.createState<GptState>(
    { gpt, moments: nn.adamMoments(gpt), step: ek.scalar(0, "i32") },
    device,
  );
  const step = ek.compileStep(
    (before: GptState) => {
      // Where the sequences begin.
      const begin = ek.randomUniform(ek.foldIn(random, before.step), [batch, 1], 0, letters.size - config.length);
      const sequences = ek.gather(letters, ek.cast(begin, "i32").add(ek.arange(config.length + 1)));
      return gptStep(before, config.heads, sequences, rate);
    },
    { device },
  );
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await (await step(state)).item());

  /** The letter behind the `count` first of a window, drawn from softmax(logits / temperature). */
  const next = ek.compile(
    ({ gpt: trained }: GptState, window: Tensor, count: Tensor, key: Tensor, temperature: Tensor) => {
      const logits = ek.gather(gptLogits(trained, config.heads, window), count.subtract(1), 1).reshape([-1]);
      return ek.randomCategorical(key, logits.divide(temperature));
    },
    { device },
  );
  const write = async (start: string, count: number, temperature = 0.8): Promise<string> => {
    const written = codes(start);
    for (let i = 0; i < count; i++) {
      const seen = written.slice(-config.length);
      // Filled up behind: what comes later isn't seen.
      const window = ek.tensor([...seen, ...Array<number>(config.length - seen.length).fill(0)], {
        shape: [1, config.length],
        dtype: "i32",
      });
      const key = ek.foldIn(ek.randomKey(2), i);
      written.push(
        await (await next(state, window, ek.scalar(seen.length, "i32"), key, ek.scalar(temperature))).item(),
      );
    }
    return written.map((code) => alphabet[code]).join("");
  };
  return { losses, write, dispose: () => [step, next, state].forEach((held) => held.dispose()) };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const [file = "README.md", steps = "500"] = process.argv.slice(2);
  const text = readFileSync(file, "utf8");
  const device = await ek.createDevice("wasm");
  const { losses, write, dispose } = await learn(
    device,
    text,
    { length: 64, channels: 128, heads: 4, layers: 4 },
    Number(steps),
    16,
  );
  console.log(losses.filter((_, i) => i % 50 === 49).join(" "));
  console.log(await write(text.slice(0, 20), 400));
  dispose();
  device.dispose();
}
