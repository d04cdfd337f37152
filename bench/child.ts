/**
 * What must be measured in a process that has done nothing else: `compile NET` the start of training twice over, `memory NET STEPS` the
 * largest resident set. Prints one line of JSON.
 */
import { readFileSync } from "node:fs";
import { Trainer } from "../diffusion/training/index.ts";
import { createDevice, type Device } from "../engine/index.ts";
import { batchOf, type Net, namedNets, trainingOptions } from "./works/networks.ts";

const threads = 2;

const seconds = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1e3;
};

async function train(net: Net, device: Device, steps: number): Promise<readonly number[]> {
  const trainer = await Trainer.create(trainingOptions(net), device);
  const batch = batchOf(net);
  const times: number[] = [];
  for (let i = 0; i < steps; i++) times.push(await seconds(() => trainer.step(batch)));
  trainer.dispose();
  return times;
}

/** Seconds from a trainer's first step that are not the step's own. */
function compileTime([first = NaN, ...later]: readonly number[]): number {
  return first - Math.min(...later);
}

function peakMemory(): number {
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error("/proc/self/status has no VmHWM");
  return Number(kibibytes) * 1024;
}

const [, , what, name = "", steps = "10"] = process.argv;
const net = namedNets[name]?.();
if (net === undefined) throw new Error(`no net ${name}`);
const device = await createDevice("wasm", { wasm: { threads, relaxed: true } });
if (what === "compile") {
  const cold = compileTime(await train(net, device, 4));
  const again = compileTime(await train(net, device, 4));
  console.log(JSON.stringify({ cold, again }));
} else {
  await train(net, device, Number(steps));
  console.log(JSON.stringify({ bytes: peakMemory() }));
}
device.dispose();
