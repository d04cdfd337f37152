import { Slicer } from "../../engine/devices/wasm/program/slices.ts";
import { createDevice } from "../../engine/index.ts";
import { interleave, type Measurement } from "../interleave.ts";
import type { Row } from "../row.ts";
import { type Net, quantityOfStep } from "./networks.ts";
import { ownTraining, type OwnTraining } from "./training.ts";

const countedSteps = 20;

/** Slices and turns of the event loop a step, counted in steps that nobody times. */
async function countSlices({ lane }: OwnTraining): Promise<{ readonly slices: number; readonly turns: number }> {
  let [slices, turns] = [0, 0];
  const [measured, immediate] = [Reflect.get(Slicer.prototype, "measured"), globalThis.setImmediate];
  Slicer.prototype.measured = function (...args) {
    slices++;
    measured.apply(this, args);
  };
  globalThis.setImmediate = new Proxy(immediate, {
    apply: (target, self, args: Parameters<typeof immediate>) => {
      turns++;
      return Reflect.apply(target, self, args);
    },
  });
  await lane.measure(countedSteps);
  Slicer.prototype.measured = measured;
  globalThis.setImmediate = immediate;
  return { slices: slices / countedSteps, turns: turns / countedSteps };
}

/** What turns of the event loop cost a training step: with them as everybody has them, and without any. */
export async function measureTurns(group: string, net: Net, threads: number, quick: boolean): Promise<Row> {
  const lanes = [
    { name: "evenkeel wasm", turnMilliseconds: undefined },
    { name: "without turns", turnMilliseconds: Infinity },
  ];
  const made = [];
  for (const { name, turnMilliseconds } of lanes) {
    const device = await createDevice("wasm", {
      wasm: { threads, relaxed: true, ...(turnMilliseconds === undefined ? {} : { turnMilliseconds }) },
    });
    made.push({ device, training: await ownTraining(net, device, name) });
  }
  // A part of a per cent is asked for: many samples, and long ones.
  const options = quick ? { repeats: 3 } : { repeats: 40, sampleSeconds: 0.25 };
  const measurements = await interleave(
    made.map(({ training }) => training.lane),
    options,
  );
  const counts = [];
  for (const { device, training } of made) {
    counts.push(await countSlices(training));
    training.dispose();
    device.dispose();
  }
  const [withTurns, without] = measurements;
  const cost = (of: (one: Measurement) => number): string =>
    withTurns === undefined || without === undefined ? "" : `${(100 * (of(withTurns) / of(without) - 1)).toFixed(2)}%`;
  const note =
    `turns cost ${cost(({ median }) => median)} by medians, ${cost(({ min }) => min)} by minima; ` +
    counts.map(({ slices, turns }) => `${slices.toFixed(1)} slices and ${turns.toFixed(1)} turns a step`).join(", ") +
    " without";
  const name = `training step (${net.name}), event loop, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
  return { group, name, measure: "seconds", quantity: quantityOfStep(net), measurements, absent: [], note };
}
