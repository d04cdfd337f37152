/**
 * A neural ordinary differential equation (Chen et al. 2018): a network that says how fast a point moves is fitted to a spiral, through the
 * steps of a Runge-Kutta method: `npx tsx examples/neuralOde.ts`.
 */
import * as ek from "evenkeel/engine";
import * as nn from "evenkeel/nn";

type Tensor = ek.Tensor;

/** dx/dt at x [N, 2]. */
type Motion = (x: Tensor) => Tensor;

/** The method of Runge and Kutta of order 4: one step of length h. */
export function rungeKutta(motion: Motion, x: Tensor, h: number): Tensor {
  const k1 = motion(x);
  const k2 = motion(x.add(k1.multiply(h / 2)));
  const k3 = motion(x.add(k2.multiply(h / 2)));
  const k4 = motion(x.add(k3.multiply(h)));
  return x.add(
    k1
      .add(k2.add(k3).multiply(2))
      .add(k4)
      .multiply(h / 6),
  );
}

/** Where points [N, 2] are after 1, 2, ... steps: [steps, N, 2]. */
export function follow(motion: Motion, start: Tensor, steps: number, h: number): Tensor {
  const places: Tensor[] = [];
  for (let i = 0, x = start; i < steps; i++) places.push((x = rungeKutta(motion, x, h)));
  return ek.stack(places);
}

/** The truth: a spiral inwards, x^3 times a matrix that turns and shrinks. */
export const spiral: Motion = (x) =>
  x.power(3).matmul(
    ek.tensor([
      [-0.1, 2],
      [-2, -0.1],
    ]),
  );

/** The network: a hidden layer. */
export const motionNetwork = { hidden: nn.describeLinear(2, 32), output: nn.describeLinear(32, 2) };
export type MotionNetwork = nn.Drawn<typeof motionNetwork>;
type State = {
  readonly network: MotionNetwork;
  readonly moments: nn.AdamMoments<MotionNetwork>;
  readonly step: Tensor;
};

/** The network gets the cubes, as the truth has them. */
export const learned =
  (network: MotionNetwork): Motion =>
  (x) =>
    nn.linear(ek.tanh(nn.linear(x.power(3), network.hidden)), network.output);

/** Trains, and gives the loss of each step, and how far apart truth and network are on the whole spiral from (2, 0). */
export async function fit(
  device: ek.Device,
  steps: number,
): Promise<{ readonly losses: number[]; readonly distance: number }> {
  const [h, unrolled] = [0.05, 6];
  const network = nn.initializeParameters(motionNetwork, ek.randomKey(0));
  const state = await ek.createState<State>(
    { network, moments: nn.adamMoments(network), step: ek.scalar(0, "i32") },
    device,
  );
  const rate = nn.cosineSchedule({ peak: 0.02, steps });
  const step = ek.compileStep(
    ({ network: before, moments, step: done }: State) => {
      const angles = ek.randomUniform(ek.foldIn(ek.randomKey(1), done), [64, 1], 0, 2 * Math.PI);
      const radii = ek.randomUniform(ek.foldIn(ek.randomKey(2), done), [64, 1], 0.5, 2);
      const start = ek.concat([ek.cos(angles), ek.sin(angles)], 1).multiply(radii);
      const wanted = follow(spiral, start, unrolled, h);
      const { value, gradient } = ek.valueAndGrad((trained: MotionNetwork) =>
        ek.mean(ek.absolute(follow(learned(trained), start, unrolled, h).subtract(wanted))),
      )(before);
      const moved = nn.adam(before, gradient, moments, rate(done), nn.adamCorrections(done.add(1)));
      return { state: { network: moved.parameters, moments: moved.moments, step: done.add(1) }, result: value };
    },
    { device },
  );
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await (await step(state)).item());
  const compare = ek.compile(
    ({ network: trained }: State, start: Tensor) =>
      ek.mean(ek.norm(follow(learned(trained), start, 40, h).subtract(follow(spiral, start, 40, h)), { axes: -1 })),
    { device },
  );
  const distance = await (await compare(state, ek.tensor([[2, 0]]))).item();
  [step, compare, state].forEach((held) => held.dispose());
  return { losses, distance };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const device = await ek.createDevice("wasm");
  const { losses, distance } = await fit(device, 1000);
  console.log(losses.filter((_, i) => i % 100 === 99).join(" "), `\n${distance} apart on a spiral of radius 2`);
  device.dispose();
}
