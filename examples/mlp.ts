/**
 * Fits y = sin(3 x) + x / 2 with a small network and Adam: `npx tsx examples/mlp.ts wasm cpu webgpu`.
 * The same code gives the same loss curve on every device, up to float32 rounding.
 */
import * as ek from "../engine/index.ts";

type Tensor = ek.Tensor;
/** Weights and biases of three layers. */
type Network = readonly { readonly weight: Tensor; readonly bias: Tensor }[];
type Training = { readonly net: Network; readonly first: Network; readonly second: Network; readonly step: Tensor };

const widths = [1, 32, 32, 1];
const rate = 0.01;

function initialize(): Network {
  return widths.slice(1).map((to, i) => {
    const from = widths[i] ?? 1;
    const normals = ek.randomNormal(ek.foldIn(ek.randomKey(7), i), [from, to]);
    return { weight: ek.divide(normals, Math.sqrt(from)), bias: ek.zeros([to]) };
  });
}

function loss(net: Network, x: Tensor, y: Tensor): Tensor {
  const prediction = net.reduce((h, { weight, bias }, i) => (i === 0 ? h : ek.tanh(h)).matmul(weight).add(bias), x);
  return ek.mean(ek.square(prediction.subtract(y)));
}

/** The same function on corresponding tensors of networks. */
function zip(networks: readonly Network[], f: (...tensors: Tensor[]) => Tensor): Network {
  const leaves = networks.map((net) => ek.treeLeaves(net).map(({ tensor }) => tensor));
  return ek.fillTree(
    networks[0] as Network,
    (leaves[0] ?? []).map((_, i) => f(...leaves.map((list) => list[i] as Tensor))),
  );
}

function adamStep({ net, first, second, step }: Training): { state: Training; result: Tensor } {
  const x = ek.randomUniform(ek.foldIn(ek.randomKey(11), step.cast("u32")), [128, 1], -1, 1);
  const y = ek.sin(x.multiply(3)).add(x.divide(2));
  const { value, gradient } = ek.valueAndGrad(loss)(net, x, y);
  const next = step.add(1);
  const m = zip([first, gradient], (a, g) => a.multiply(0.9).add(g.multiply(0.1)));
  const v = zip([second, gradient], (b, g) => b.multiply(0.99).add(g.square().multiply(0.01)));
  const unbiased = (x: Tensor, beta: number): Tensor => x.divide(ek.subtract(1, ek.power(beta, next)));
  const move = (w: Tensor, a: Tensor, b: Tensor): Tensor =>
    w.subtract(unbiased(a, 0.9).multiply(rate).divide(unbiased(b, 0.99).sqrt().add(1e-8)));
  return { state: { net: zip([net, m, v], move), first: m, second: v, step: next }, result: value };
}

/** Trains on one device and gives the loss of every step. */
export async function train(device: ek.Device, steps: number): Promise<number[]> {
  const zero = zip([initialize()], ek.zerosLike);
  const state = await ek.createState({ net: initialize(), first: zero, second: zero, step: ek.scalar(0) }, device);
  const step = ek.compileStep(adamStep, { device });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await (await step(state)).item());
  step.dispose();
  state.dispose();
  return losses;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  for (const name of process.argv.slice(2)) {
    const device = await ek.createDevice(name as ek.DeviceName);
    const losses = await train(device, 300);
    console.log(name, losses.filter((_, i) => i % 50 === 0 || i === 299).join(" "));
    device.dispose();
  }
}
