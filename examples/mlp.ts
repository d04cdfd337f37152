/** Fits sin(3 x) + x / 2 by Adam, with one loss curve on every device: `npx tsx examples/mlp.ts wasm cpu webgpu`. */
import * as ek from "evenkeel/engine";

type Tensor = ek.Tensor;
/** A weight or bias with Adam's moments of its gradient. */
type Parameter = { readonly value: Tensor; readonly first: Tensor; readonly second: Tensor };
type Training = { readonly parameters: readonly Parameter[]; readonly step: Tensor };

const widths = [1, 32, 32, 1];
const rate = 0.01;

/** Weight and bias of each layer in turn. */
function initialize(): Training {
  const values = widths.slice(1).flatMap((to, i) => {
    const from = widths[i] ?? 1;
    return [ek.randomNormal(ek.foldIn(ek.randomKey(7), i), [from, to]).divide(Math.sqrt(from)), ek.zeros([to])];
  });
  const parameters = values.map((value) => ({ value, first: ek.zerosLike(value), second: ek.zerosLike(value) }));
  return { parameters, step: ek.scalar(0) };
}

/** The mean square error of the network at 128 random points. */
function loss(values: readonly Tensor[], step: Tensor): Tensor {
  const x = ek.randomUniform(ek.foldIn(ek.randomKey(11), step.cast("u32")), [128, 1], -1, 1);
  const prediction = values.reduce((h, p, i) => (i % 2 === 1 ? h.add(p) : (i > 0 ? ek.tanh(h) : h).matmul(p)), x);
  return ek.mean(ek.square(prediction.subtract(ek.sin(x.multiply(3)).add(x.divide(2)))));
}

function adamStep({ parameters, step }: Training): { state: Training; result: Tensor } {
  const values = parameters.map(({ value }) => value);
  const { value: result, gradient } = ek.valueAndGrad(loss)(values, step);
  const next = step.add(1);
  const unbiased = (moment: Tensor, beta: number): Tensor => moment.divide(ek.subtract(1, ek.power(beta, next)));
  const moved = gradient.map((g, i) => {
    const old = parameters[i] as Parameter;
    const first = old.first.multiply(0.9).add(g.multiply(0.1));
    const second = old.second.multiply(0.99).add(g.square().multiply(0.01));
    const change = unbiased(first, 0.9).divide(unbiased(second, 0.99).sqrt().add(1e-8));
    return { value: old.value.subtract(change.multiply(rate)), first, second };
  });
  return { state: { parameters: moved, step: next }, result };
}

/** Trains on one device and gives the loss of every step. */
export async function train(device: ek.Device, steps: number): Promise<number[]> {
  const state = await ek.createState(initialize(), device);
  const step = ek.compileStep(adamStep, { device });
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
