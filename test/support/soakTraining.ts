/**
 * Trains a small denoiser for 2,500 steps and prints, as JSON, what memory it held in the last 1,000 of them. By then V8 has compiled
 * what runs often to faster code, which takes memory of its own: 0.3 MB at once at about the 1,200th step.
 */
import { Trainer } from "../../diffusion/training/index.ts";
import { createDevice } from "../../engine/index.ts";
import { smallBatch, smallOptions } from "../diffusion/training/smallRun.ts";

const [settling, steps] = [1500, 1000];
const device = await createDevice("wasm");
const options = { ...smallOptions, batch: 4, batchDevice: 4 };
const trainer = await Trainer.create(options, device);
const batches = Array.from({ length: 8 }, (_, i) => smallBatch(i * options.batch, options.batch));
const samples: { resident: number; heap: number; external: number; device: number; buffers: number }[] = [];
const errors: number[] = [];
for (let i = 0; i < settling + steps; i++) {
  const batch = batches[i % batches.length];
  if (batch === undefined) throw new RangeError("no batch");
  errors.push((await trainer.step(batch)).error);
  if (i < settling || i % 40 !== 0) continue;
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { bytes, buffers } = device.memory();
  samples.push({ resident: rss, heap: heapUsed, external, device: bytes, buffers });
}
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
console.log(JSON.stringify({ samples, first: mean(errors.slice(0, 50)), last: mean(errors.slice(-50)) }));
trainer.dispose();
device.dispose();
