/**
 * Fits y = sin(3 x) + x / 2 with a small network and Adam, on each device named on the command line:
 *   npx tsx examples/mlp.ts wasm cpu
 * The same code gives the same loss curve everywhere, up to float32 rounding.
 */
import {
  add, compileStep, createDevice, createState, type Device, type DeviceName, divide, foldIn, matmul, mean, multiply,
  power, randomKey, randomNormal, randomUniform, scalar, sin, sqrt, square, subtract, type Tensor, tanh, valueAndGrad, zeros,
} from "../engine/index.ts";

type Layer = { weight: Tensor; bias: Tensor };
type Network = { hidden: Layer; middle: Layer; output: Layer };

const dense = ({ weight, bias }: Layer, x: Tensor): Tensor => add(matmul(x, weight), bias);
const predict = (net: Network, x: Tensor): Tensor => dense(net.output, tanh(dense(net.middle, tanh(dense(net.hidden, x)))));
const loss = (net: Network, x: Tensor, y: Tensor): Tensor => mean(square(subtract(predict(net, x), y)));

function initialize(width: number): Network {
  const layer = (stream: number, from: number, to: number): Layer => ({
    weight: divide(randomNormal(foldIn(randomKey(7), stream), [from, to]), Math.sqrt(from)),
    bias: zeros([to]),
  });
  return { hidden: layer(0, 1, width), middle: layer(1, width, width), output: layer(2, width, 1) };
}

/** The same function on corresponding tensors of networks. */
function zip(networks: readonly Network[], f: (...tensors: Tensor[]) => Tensor): Network {
  const layer = (name: keyof Network): Layer => ({
    weight: f(...networks.map((net) => net[name].weight)),
    bias: f(...networks.map((net) => net[name].bias)),
  });
  return { hidden: layer("hidden"), middle: layer("middle"), output: layer("output") };
}

type Training = { net: Network; first: Network; second: Network; step: Tensor };

function adamStep({ net, first, second, step }: Training, learningRate: number): { state: Training; result: Tensor } {
  const x = randomUniform(foldIn(randomKey(11), step.cast("u32")), [128, 1], -1, 1);
  const { value, gradient } = valueAndGrad(loss)(net, x, add(sin(multiply(x, 3)), divide(x, 2)));
  const next = add(step, 1);
  const m = zip([first, gradient], (a, g) => a.multiply(0.9).add(g.multiply(0.1)));
  const v = zip([second, gradient], (a, g) => a.multiply(0.99).add(square(g).multiply(0.01)));
  const [unbias1, unbias2] = [0.9, 0.99].map((beta) => subtract(1, power(scalar(beta), next))) as [Tensor, Tensor];
  const moved = zip([net, m, v], (w, a, b) =>
    subtract(w, divide(multiply(divide(a, unbias1), learningRate), add(sqrt(divide(b, unbias2)), 1e-8))),
  );
  return { state: { net: moved, first: m, second: v, step: next }, result: value };
}

/** Trains on one device and gives the loss of every step. */
export async function train(device: Device, steps: number): Promise<number[]> {
  const net = initialize(32);
  const zero = zip([net], (w) => multiply(w, 0));
  const state = await createState({ net, first: zero, second: zero, step: scalar(0) }, device);
  const step = compileStep(adamStep, { device });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await (await step(state, 0.01)).item());
  step.dispose();
  state.dispose();
  return losses;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  for (const name of process.argv.slice(2)) {
    const device = await createDevice(name as DeviceName);
    const losses = await train(device, 300);
    console.log(device.name, losses.filter((_, i) => i % 50 === 0 || i === 299).map((value) => value.toFixed(6)).join(" "));
    device.dispose();
  }
}
