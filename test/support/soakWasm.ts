/** Run by the soak test in a process of its own: trains for 30,000 steps and prints what memory did, as JSON. */
import { createDevice, scalar } from "../../engine/index.ts";
import { makeStep, startState } from "./trainingStep.ts";

const device = await createDevice("wasm");
const [step, state] = [makeStep(device), await startState(device)];
const rate = scalar(0.01);
const losses: number[] = [];
const resident: number[] = [];
const live: unknown[] = [];
for (let i = 0; i < 30_000; i++) {
  losses.push(await (await step(state, rate)).item());
  if (i < 10_000 || i % 500 !== 0) continue;
  globalThis.gc?.();
  resident.push(process.memoryUsage.rss());
  live.push(device.memory());
}
console.log(
  JSON.stringify({
    losses: [losses[0], losses.at(-1)],
    resident,
    live: [live[0], live.at(-1)],
    programs: step.programs,
  }),
);
step.dispose();
state.dispose();
device.dispose();
