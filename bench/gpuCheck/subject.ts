/** What is measured: a training step that can be run on a device and planned without one. */
import type { DeviceLimits } from "../../engine/devices/device.ts";
import {
  compileStep,
  conv2d,
  createState,
  type Device,
  mean,
  multiply,
  silu,
  square,
  subtract,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../../engine/index.ts";
import type { Plan } from "../../engine/kernel/plan.ts";
import { planFor } from "../../engine/program/planFor.ts";
import { planOfStep } from "../works/gpu.ts";
import { type Net, quantityOfStep } from "../works/networks.ts";
import { type ResidentTraining, residentTraining } from "../works/residentTraining.ts";

export type Subject = {
  readonly name: string;
  /** Arithmetic of its layers in a step, in billions. */
  readonly gflop: number;
  readonly training: (device: Device) => Promise<ResidentTraining>;
  readonly plan: (limits: DeviceLimits) => Promise<Plan>;
};

/** The training step of a net. */
export function subjectOf(net: Net): Subject {
  return {
    name: `(${net.name}), batch ${net.batch}`,
    gflop: quantityOfStep(net).amount,
    training: (device) => residentTraining(net, device),
    plan: (limits) => planOfStep(net, limits),
  };
}

const [batch, channels, resolution, layers] = [2, 8, 8, 2];

const numbers = (seed: number, ...shape: readonly number[]): Tensor => {
  const length = shape.reduce((size, axis) => size * axis, 1);
  return tensor(
    Float32Array.from({ length }, (_, i) => 0.3 * Math.sin(12.9898 * (i + 1) + seed)),
    { shape },
  );
};

type Filters = readonly Tensor[];

/** Gradient descent on two convolutions: a step of a handful of kernels. */
function descend(filters: Filters, images: Tensor): { readonly state: Filters; readonly result: Tensor } {
  const loss = (weights: Filters): Tensor =>
    mean(square(weights.reduce((h, weight) => silu(conv2d(h, weight, { padding: 1 })), images)));
  const { value, gradient } = valueAndGrad(loss)(filters);
  return { state: filters.map((filter, i) => subtract(filter, multiply(gradient[i] as Tensor, 0.1))), result: value };
}

/** So small that all of the check can be tried within seconds where the CPU acts for a GPU. */
export const smallSubject: Subject = {
  name: "small",
  gflop: (2 * 9 * batch * (channels * resolution) ** 2 * (3 * layers - 1)) / 1e9,
  training: async (device) => {
    const state = await createState<Filters>(startingFilters(), device);
    const step = compileStep(descend, { device });
    const images = startingImages();
    return {
      step: async () => [await (await step(state, images)).item()],
      advance: async (times) => {
        for (let i = 0; i < times; i++) await step.advance(state, images);
        await state.read();
      },
      dispose: () => {
        step.dispose();
        state.dispose();
      },
    };
  },
  plan: async (limits) => (await planFor(descend, [startingFilters(), startingImages()], limits, true)).plan,
};

function startingFilters(): Filters {
  return Array.from({ length: layers }, (_, i) => numbers(i, channels, channels, 3, 3));
}

function startingImages(): Tensor {
  return numbers(7, batch, channels, resolution, resolution);
}
