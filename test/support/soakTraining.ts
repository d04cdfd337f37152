/** Trains a small denoiser for 1,000 steps and prints what memory it took on the way, as JSON. */
import { Trainer } from "../../diffusion/index.ts";
import { createDevice } from "../../engine/index.ts";
import { smallBatch, smallOptions } from "../diffusion/training/smallRun.ts";

const device = await createDevice("wasm");
const trainer = await Trainer.create(smallOptions, device);
const batches = Array.from({ length: 8 }, (_, i) => smallBatch(i * smallOptions.batch, smallOptions.batch));
const resident: number[] = [];
const errors: number[] = [];
for (let i = 0; i < 1000; i++) {
  const batch = batches[i % batches.length];
  if (batch === undefined) throw new RangeError("no batch");
  errors.push((await trainer.step(batch)).error);
  // By then V8 has compiled what runs often to faster code, which takes memory of its own.
  if (i >= 500 && i % 20 === 0) {
    globalThis.gc?.();
    resident.push(process.memoryUsage().rss);
  }
}
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
console.log(JSON.stringify({ resident, first: mean(errors.slice(0, 50)), last: mean(errors.slice(-50)) }));
trainer.dispose();
device.dispose();
