/**
 * A convolutional classifier of Fashion-MNIST (or MNIST), from the folder of the files as they are distributed:
 * `npx tsx examples/classifier.ts FOLDER 3` (epochs; half a minute each on two cores).
 */
import path from "node:path";
import { openDataset } from "evenkeel/diffusion/data/node";
import type { ImageDataset } from "evenkeel/diffusion/data";
import * as ek from "evenkeel/engine";
import * as nn from "evenkeel/nn";
import { saveTree } from "evenkeel/nn/node";

type Tensor = ek.Tensor;

/** Two convolutions, each with relu and pooling, and a linear layer: for images of one channel. */
export function describeClassifier(resolution: number, classes: number) {
  return {
    first: nn.describeConvolution(1, 16, 3),
    second: nn.describeConvolution(16, 32, 3),
    output: nn.describeLinear(32 * Math.floor(resolution / 4) ** 2, classes),
  };
}
export type Classifier = nn.Drawn<ReturnType<typeof describeClassifier>>;

/** Logits [N, classes] of pixels [N, 1, H, H] from 0 to 255. A key makes dropout: training has one. */
export function classifierLogits(network: Classifier, pixels: Tensor, key: Tensor | null): Tensor {
  const layer = (x: Tensor, parameters: nn.LinearParameters): Tensor =>
    ek.maxPool(ek.relu(nn.convolution(x, parameters, { padding: 1 })), { size: 2 });
  const features = layer(layer(pixels.divide(255), network.first), network.second).reshape([pixels.shape[0] ?? 0, -1]);
  return nn.linear(key === null ? features : nn.dropout(features, key, 0.25), network.output);
}

export type ClassifierState = {
  readonly network: Classifier;
  readonly moments: nn.AdamMoments<Classifier>;
  readonly step: Tensor;
};
/** Pixels, labels i32 [N], and 0 for what only fills a batch up. */
export type ClassifierBatch = { readonly pixels: Tensor; readonly labels: Tensor; readonly weights: Tensor };

/** One step of Adam; gives the mean loss in nats. */
export function classifierStep(
  { network, moments, step }: ClassifierState,
  { pixels, labels, weights }: ClassifierBatch,
) {
  const key = ek.foldIn(ek.randomKey(1), step);
  const { value, gradient } = ek.valueAndGrad((trained: Classifier) =>
    nn.crossEntropy(classifierLogits(trained, pixels, key), labels, { weights }),
  )(network);
  const moved = nn.adam(network, gradient, moments, 1e-3, nn.adamCorrections(step.add(1)));
  return { state: { network: moved.parameters, moments: moved.moments, step: step.add(1) }, result: value };
}

function batchOf({ pixels, labels, resolution }: ImageDataset, { index, weights }: nn.RowBatch): ClassifierBatch {
  if (labels?.kind !== "classes") throw new Error("the data set has no classes");
  return {
    pixels: nn.takeRows(pixels, [1, resolution, resolution], index),
    labels: nn.takeRows(labels.values, [], index, "i32"),
    weights: ek.tensor(weights),
  };
}

/** Trains, and gives the loss of each step, the network, and the share of `held` that it knows, by epochs. */
export async function train(device: ek.Device, training: ImageDataset, held: ImageDataset, epochs: number, batch = 64) {
  const specs = describeClassifier(training.resolution, training.labels?.labelDim ?? 0);
  const network = nn.initializeParameters(specs, ek.randomKey(0));
  const state = await ek.createState<ClassifierState>(
    { network, moments: nn.adamMoments(network), step: ek.scalar(0, "i32") },
    device,
  );
  const step = ek.compileStep(classifierStep, { device });
  const countRight = ek.compile(
    (trained: ClassifierState, { pixels, labels, weights }: ClassifierBatch) =>
      ek
        .cast(ek.equal(ek.argmax(classifierLogits(trained.network, pixels, null)), labels), "f32")
        .multiply(weights)
        .sum(),
    { device },
  );
  const [losses, accuracies]: [number[], number[]] = [[], []];
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const rows of nn.shuffledBatches(training.count, batch, { seed: 0, epoch })) {
      losses.push(await (await step(state, batchOf(training, rows))).item());
    }
    let right = 0;
    for (const rows of nn.orderedBatches(held.count, batch))
      right += await (await countRight(state, batchOf(held, rows))).item();
    accuracies.push(right / held.count);
  }
  const programs = step.programs;
  const trained = (await state.read()).network;
  [step, countRight, state].forEach((made) => made.dispose());
  return { losses, accuracies, programs, network: trained };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const [folder = ".", epochs = "3"] = process.argv.slice(2);
  const read = (name: string): Promise<ImageDataset> => openDataset(path.join(folder, `${name}-images-idx3-ubyte.gz`));
  const device = await ek.createDevice("wasm");
  const { accuracies, network } = await train(device, await read("train"), await read("t10k"), Number(epochs));
  console.log(accuracies.map((share) => `${(100 * share).toFixed(1)} % right`).join("\n"));
  await saveTree("classifier.safetensors", network);
  device.dispose();
}
