/** Fits sin(3 x) + x / 2 by Adam, with one loss curve on every device: `npx tsx examples/mlp.ts wasm cpu webgpu`. */
import * as ek from "evenkeel/engine";
import * as nn from "evenkeel/nn";

const widths = [1, 32, 32, 1];
const rate = 0.01;
const adamOptions = { beta2: 0.99 };

const layers = widths
  .slice(1)
  .map((width, i) => nn.describeLinear(widths[i] ?? 1, width, { weightInit: { kind: "kaimingNormal", gain: 1 } }));
type Layers = nn.Drawn<typeof layers>;
type Training = { readonly layers: Layers; readonly moments: nn.AdamMoments<Layers>; readonly step: ek.Tensor };

function initialize(): Training {
  const drawn = nn.initializeParameters(layers, ek.randomKey(7));
  return { layers: drawn, moments: nn.adamMoments(drawn), step: ek.scalar(0, "i32") };
}

/** The mean square error of the network at 128 random points. */
function loss(network: Layers, step: ek.Tensor): ek.Tensor {
  const x = ek.randomUniform(ek.foldIn(ek.randomKey(11), step), [128, 1], -1, 1);
  const prediction = network.reduce((h, layer, i) => nn.linear(i > 0 ? ek.tanh(h) : h, layer), x);
  return ek.mean(ek.square(prediction.subtract(ek.sin(x.multiply(3)).add(x.divide(2)))));
}

function trainingStep({ layers: network, moments, step }: Training): { state: Training; result: ek.Tensor } {
  const { value, gradient } = ek.valueAndGrad(loss)(network, step);
  const next = step.add(1);
  const corrections = nn.adamCorrections(next, adamOptions);
  const moved = nn.adam(network, gradient, moments, rate, corrections, adamOptions);
  return { state: { layers: moved.parameters, moments: moved.moments, step: next }, result: value };
}

/** Trains on one device and gives the loss of every step. */
export async function train(device: ek.Device, steps: number): Promise<number[]> {
  const state = await ek.createState(initialize(), device);
  const step = ek.compileStep(trainingStep, { device });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await (await step(state)).item());
  [step, state].forEach((held) => held.dispose());
  return losses;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  for (const name of process.argv.slice(2)) {
    const device = await ek.createDevice(name as ek.DeviceName);
    console.log(name, (await train(device, 300)).filter((_, i) => i % 50 === 49).join(" "));
    device.dispose();
  }
}
