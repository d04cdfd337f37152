/** What it costs in time to compute a network's blocks again for derivatives instead of keeping what they hold. */
import { describeDenoiser } from "../../diffusion/network/index.ts";
import { trainingStep, type TrainingState } from "../../diffusion/training/index.ts";
import { compileStep, createState, type Device, scalar, tensor } from "../../engine/index.ts";
import { adamMoments, flattenParameters, type NamedParameters, type ParameterSpec } from "../../nn/index.ts";
import { timed } from "../contender.ts";
import { interleave, type InterleaveOptions } from "../interleave.ts";
import type { Row } from "../row.ts";
import { batchOf, type Net, quantityOfStep, trainingOptions } from "./networks.ts";
import { drawArrays } from "./training.ts";

/** A row for steps of a net, in turns with steps that keep nothing of its blocks. (What that saves of memory is counted in a test.) */
export async function measureRecomputing(
  name: string,
  net: Net,
  device: Device,
  options: InterleaveOptions,
): Promise<Row> {
  const [kept, recomputed] = [await stepOf(net, device, false), await stepOf(net, device, true)];
  const lanes = [
    { name: "evenkeel wasm", measure: kept.measure },
    { name: "evenkeel wasm, blocks recomputed", measure: recomputed.measure },
  ];
  const measurements = await interleave(lanes, options);
  kept.dispose();
  recomputed.dispose();
  return { group: "network", name, measure: "seconds", quantity: quantityOfStep(net), measurements, absent: [] };
}

async function stepOf(net: Net, device: Device, recomputesBlocks: boolean) {
  const options = trainingOptions(net);
  const specs = flattenParameters<ParameterSpec>(describeDenoiser(net.network));
  const arrays = Object.entries(await drawArrays(net, device));
  const of = (isBuffer: boolean): NamedParameters =>
    Object.fromEntries(arrays.filter(([name]) => (specs[name]?.role === "buffer") === isBuffer));
  const weights = of(false);
  const start = { weights, buffers: of(true), moments: adamMoments(weights), averages: [weights, weights] };
  const state = await createState<TrainingState>(start, device);
  const host = batchOf(net);
  const { imageChannels, imageResolution, labelDim } = net.network.unet;
  const shape = [net.batch, imageChannels, imageResolution, imageResolution];
  const batch = {
    images: tensor(host.images, { shape }),
    labels: tensor(host.labels, { shape: [net.batch, labelDim] }),
    sigma: tensor(Float32Array.from({ length: net.batch }, (_, i) => Math.exp(Math.sin(3 * i) - 0.8))),
    noise: tensor(
      host.images.map((_, i) => Math.SQRT2 * Math.sin(1.7 * i)),
      { shape },
    ),
  };
  const schedule = {
    rate: scalar(options.learningRate.reference),
    corrections: { first: scalar(1), second: scalar(1) },
    updateRates: tensor([0.1, 0.1]),
  };
  const step = compileStep(
    (training: TrainingState, given: { readonly batch: typeof batch; readonly schedule: typeof schedule }) => {
      const { state: next, result } = trainingStep(options, specs, training, given.batch, given.schedule, {
        recomputesBlocks,
      });
      return { state: next, result: result.gradientNorm };
    },
    { device },
  );
  const measure = (times: number): Promise<number> =>
    timed(times, async () => {
      await (await step(state, { batch, schedule })).item();
    });
  const dispose = (): void => {
    step.dispose();
    state.dispose();
  };
  return { measure, dispose };
}
