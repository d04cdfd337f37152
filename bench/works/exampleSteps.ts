/** Training steps of the networks in `examples/`, and of a small one, beside the same in PyTorch. */
import { classifierLogits, describeClassifier, type Classifier } from "../../examples/classifier.ts";
import { describeGpt, type Gpt, gptLogits } from "../../examples/gpt.ts";
import { distanceLoss, type DistanceNetwork, distanceNetwork } from "../../examples/gradientPenalty.ts";
import { follow, learned, type MotionNetwork, motionNetwork } from "../../examples/neuralOde.ts";
import {
  absolute,
  type CompiledStep,
  compile,
  compileStep,
  createState,
  type Device,
  foldIn,
  mean,
  randomKey,
  type State,
  scalar,
  subtract,
  tanh,
  type Tensor,
  tensor,
  treeLeaves,
  valueAndGrad,
} from "../../engine/index.ts";
import {
  adam,
  adamCorrections,
  type AdamMoments,
  adamMoments,
  adamW,
  clipByNorm,
  countParameters,
  crossEntropy,
  describeLinear,
  type Drawn,
  flattenParameters,
  initializeParameters,
  linear,
} from "../../nn/index.ts";
import { timed } from "../contender.ts";
import { interleave, type InterleaveOptions } from "../interleave.ts";
import { torchName } from "../peers/torch.ts";
import { requireSameResults, type Row } from "../row.ts";
import { giveArrays, type StepPeers } from "./training.ts";

/** What is stepped: the loss of a batch, and what is done with its gradient. Arrays have the names of `flattenParameters` in PyTorch, too. */
export type ExampleStep = {
  /** Who PyTorch's process is asked for. */
  readonly kind: "gpt" | "classifier" | "mlp" | "neuralOde" | "gradientPenalty";
  readonly name: string;
  readonly specs: object;
  /** As float32, numbers of classes and letters, too. */
  readonly batch: Readonly<Record<"inputs" | "labels", Tensor>>;
  /** @param key for dropout; null for none */
  readonly loss: (parameters: never, batch: ExampleStep["batch"], key: Tensor | null) => Tensor;
  readonly optimizer: "adam" | "adamW";
};

const gptSizes = { vocabulary: 93, length: 64, channels: 128, heads: 4, layers: 4 };
const gptBatch = 16;
const mlpLayers = [describeLinear(2, 64), describeLinear(64, 64), describeLinear(64, 3)];

/** Whole numbers below `end`, all over the place. */
const scattered = (shape: readonly number[], end: number, factor: number): Tensor => {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => (i * factor + (i >> 3)) % end),
    { shape },
  );
};

/** Points [count, 2] on a circle, one after the other. */
const circle = (count: number, radius: number): Tensor =>
  tensor(
    Float32Array.from({ length: 2 * count }, (_, i) => {
      const angle = (2 * Math.PI * (i >> 1)) / count;
      return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
    }),
    { shape: [count, 2] },
  );

export const exampleSteps: readonly ExampleStep[] = [
  {
    kind: "gpt",
    name: "GPT step, 825,437 parameters, 16 x 64 letters, AdamW",
    specs: describeGpt(gptSizes),
    batch: {
      inputs: scattered([gptBatch, gptSizes.length], gptSizes.vocabulary, 31),
      labels: scattered([gptBatch, gptSizes.length], gptSizes.vocabulary, 17),
    },
    loss: (gpt: Gpt, { inputs, labels }) =>
      crossEntropy(gptLogits(gpt, gptSizes.heads, inputs.cast("i32")), labels.cast("i32")),
    optimizer: "adamW",
  },
  {
    kind: "classifier",
    name: "classifier step, 64 images of 28x28, Adam",
    specs: describeClassifier(28, 10),
    batch: { inputs: scattered([64, 1, 28, 28], 256, 37), labels: scattered([64], 10, 7) },
    loss: (network: Classifier, { inputs, labels }, key) =>
      crossEntropy(classifierLogits(network, inputs, key), labels.cast("i32")),
    optimizer: "adam",
  },
  {
    kind: "mlp",
    name: "MLP step, 2-64-64-3, 600 points, Adam",
    specs: mlpLayers,
    batch: { inputs: scattered([600, 2], 7, 5), labels: scattered([600], 3, 2) },
    loss: (layers: Drawn<typeof mlpLayers>, { inputs, labels }) => {
      const logits = layers.reduce((h, layer, i) => linear(i > 0 ? tanh(h) : h, layer), inputs.divide(7));
      return crossEntropy(logits, labels.cast("i32"));
    },
    optimizer: "adam",
  },
  {
    kind: "neuralOde",
    name: "neural ODE step, 2-32-2 through 6 steps of Runge and Kutta, 64 points, Adam",
    specs: motionNetwork,
    batch: { inputs: circle(64, 1.5), labels: scattered([6, 64, 2], 3, 2) },
    loss: (network: MotionNetwork, { inputs, labels }) =>
      mean(absolute(subtract(follow(learned(network), inputs, 6, 0.05), labels))),
    optimizer: "adam",
  },
  {
    kind: "gradientPenalty",
    name: "gradient penalty step, 2-64-64-1, 64 points on a curve and 64 beside it, Adam",
    specs: distanceNetwork,
    batch: { inputs: circle(64, 1), labels: circle(64, 1.7) },
    loss: (network: DistanceNetwork, { inputs, labels }) => distanceLoss(network, inputs, labels),
    optimizer: "adam",
  },
];

type Training = { readonly parameters: never; readonly moments: AdamMoments<never>; readonly step: Tensor };

const rate = 1e-3;

function stepOf({ loss, optimizer }: ExampleStep, before: Training, batch: ExampleStep["batch"]) {
  const { parameters, moments, step } = before;
  const key = foldIn(randomKey(1), step);
  const { value, gradient } = valueAndGrad((trained: never) => loss(trained, batch, key))(parameters);
  const next = step.add(1);
  const corrections = adamCorrections(next);
  const moved =
    optimizer === "adam"
      ? adam(parameters, gradient, moments, rate, corrections)
      : adamW(parameters, clipByNorm(gradient, 1).gradient, moments, rate, corrections, {
          weightDecay: 0.1,
          decays: ({ rank }) => rank > 1,
        });
  return { state: { parameters: moved.parameters, moments: moved.moments, step: next }, result: value };
}

/** A row for the step of an example's network, the loss read back each time. Loss and gradients without dropout are compared first. */
export async function measureExampleStep(
  example: ExampleStep,
  { device, torch }: StepPeers,
  options: InterleaveOptions,
): Promise<Row> {
  const { specs, batch, kind, name, loss } = example;
  const parameters = (await drawn(specs, device)) as never;
  const state: State<Training> = await createState<Training>(
    { parameters, moments: adamMoments(parameters), step: scalar(0, "i32") },
    device,
  );
  const step: CompiledStep<Training, [ExampleStep["batch"]], Tensor> = compileStep(
    (before: Training, given: ExampleStep["batch"]) => stepOf(example, before, given),
    { device },
  );
  const ours = {
    name: "evenkeel wasm",
    measure: (times: number): Promise<number> =>
      timed(times, async () => {
        await (await step(state, batch)).item();
      }),
  };
  const row = { group: "examples", name, measure: "seconds" } as const;
  try {
    if ("missing" in torch) {
      return {
        ...row,
        measurements: await interleave([ours], options),
        absent: [{ contender: torchName, reason: torch.missing }],
      };
    }
    const arrays = await giveArrays(torch, { ...flattenParameters<Tensor>(parameters), ...batch });
    const theirs = await torch.prepare({
      work: { kind: "exampleStep", network: kind, heads: gptSizes.heads },
      ...arrays,
    });
    const { count } = await torch.ask({ do: "parameters", id: theirs.id });
    if (count !== countParameters(specs)) {
      throw new Error(`${torchName}'s ${kind} has ${String(count)} parameters, ours ${countParameters(specs)}`);
    }
    const gradients = compile(
      (given: never, numbers: ExampleStep["batch"]) =>
        valueAndGrad((trained: never) => loss(trained, numbers, null))(given),
      { device },
    );
    const own = treeLeaves(await gradients(parameters, batch)).map(({ tensor: leaf }) => leaf.data());
    const mine = joined((await Promise.all(own)) as Float32Array[]);
    requireSameResults(name, torchName, mine, joined(await theirs.results()));
    gradients.dispose();
    const lane = { name: torchName, measure: (times: number) => theirs.measure(times) };
    const measurements = await interleave([ours, lane], options);
    await theirs.dispose();
    return { ...row, measurements, absent: [] };
  } finally {
    step.dispose();
    state.dispose();
  }
}

/** The loss, and the gradient in one piece: parts of it are 0 but for rounding, such as that of the keys' bias. */
function joined([loss = new Float32Array(), ...gradient]: readonly Float32Array[]): Float32Array[] {
  return [loss, Float32Array.from(gradient.flatMap((part) => [...part]))];
}

/** The arrays on the host. */
async function drawn(specs: object, device: Device): Promise<unknown> {
  const state = await createState<object>(initializeParameters(specs, randomKey(7)), device);
  const read = await state.read();
  state.dispose();
  return read;
}
