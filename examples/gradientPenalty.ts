/**
 * How far is a point from a curve? A network learns it from points on the curve alone, as the gradient of a distance has length 1 everywhere:
 * the penalty that WGAN-GP made known (Gulrajani et al. 2017), used as in "Implicit geometric regularization" (Gropp et al. 2020). The
 * loss has derivatives in it, and training takes derivatives of these: `npx tsx examples/gradientPenalty.ts`.
 */
import * as ek from "evenkeel/engine";
import * as nn from "evenkeel/nn";

type Tensor = ek.Tensor;

/** The network: two hidden layers. */
export const distanceNetwork = {
  first: nn.describeLinear(2, 64),
  second: nn.describeLinear(64, 64),
  output: nn.describeLinear(64, 1),
};
export type DistanceNetwork = nn.Drawn<typeof distanceNetwork>;
type State = {
  readonly network: DistanceNetwork;
  readonly moments: nn.AdamMoments<DistanceNetwork>;
  readonly step: Tensor;
};

/** The distance of points [N, 2], less than 0 within the curve: [N]. tanh, for it has derivatives of all orders. */
function distance({ first, second, output }: DistanceNetwork, points: Tensor): Tensor {
  return nn.linear(ek.tanh(nn.linear(ek.tanh(nn.linear(points, first)), second)), output).reshape([-1]);
}

/** Its gradient at each point, [N, 2]: points don't see each other, so that of the sum has them all. */
function slopes(network: DistanceNetwork, points: Tensor): Tensor {
  return ek.grad((x: Tensor) => ek.reduceSum(distance(network, x)))(points);
}

/** The mean of (|gradient| - 1)^2 at points [N, 2]. */
export function gradientPenalty(network: DistanceNetwork, points: Tensor): Tensor {
  return ek.mean(ek.square(ek.norm(slopes(network, points), { axes: 1 }).subtract(1)));
}

/** 0 on the curve, rising straight outwards there, and with the same slope everywhere. `curve` is a circle, where outwards is x itself. */
export function distanceLoss(network: DistanceNetwork, curve: Tensor, anywhere: Tensor): Tensor {
  const onCurve = ek.mean(ek.absolute(distance(network, curve)));
  const outwards = ek.mean(ek.square(slopes(network, curve).subtract(curve)));
  return onCurve.add(outwards).add(gradientPenalty(network, anywhere));
}

const square = (key: Tensor, count: number): Tensor => ek.randomUniform(key, [count, 2], -2, 2);

function trainingStep({ network, moments, step }: State, rate: nn.Schedule): { state: State; result: Tensor } {
  const key = ek.foldIn(ek.randomKey(1), step);
  const angles = ek.randomUniform(ek.foldIn(key, 0), [64, 1], 0, 2 * Math.PI);
  const circle = ek.concat([ek.cos(angles), ek.sin(angles)], 1);
  const { value, gradient } = ek.valueAndGrad(distanceLoss)(network, circle, square(ek.foldIn(key, 1), 64));
  const moved = nn.adam(network, gradient, moments, rate(step), nn.adamCorrections(step.add(1)));
  return { state: { network: moved.parameters, moments: moved.moments, step: step.add(1) }, result: value };
}

/** Trains, and gives the loss of every step, and how wrong the distances of 1,000 points are in the mean. */
export async function train(
  device: ek.Device,
  steps: number,
): Promise<{ readonly losses: number[]; readonly error: number }> {
  const network = nn.initializeParameters(distanceNetwork, ek.randomKey(0));
  const start = { network, moments: nn.adamMoments(network), step: ek.scalar(0, "i32") };
  const state = await ek.createState<State>(start, device);
  const rate = nn.cosineSchedule({ peak: 0.01, steps });
  const step = ek.compileStep((before: State) => trainingStep(before, rate), { device });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await (await step(state)).item());

  const compare = ek.compile(
    (trained: State, points: Tensor) => {
      const truth = ek.norm(points, { axes: 1 }).subtract(1);
      return ek.mean(ek.absolute(distance(trained.network, points).subtract(truth)));
    },
    { device },
  );
  const error = await (await compare(state, square(ek.randomKey(2), 1000))).item();
  [step, compare, state].forEach((held) => held.dispose());
  return { losses, error };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const device = await ek.createDevice("wasm");
  const { losses, error } = await train(device, 1000);
  console.log(losses.filter((_, i) => i % 100 === 99).join(" "), `\ndistances are wrong by ${error} in the mean`);
  device.dispose();
}
