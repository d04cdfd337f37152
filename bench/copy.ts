import { Worker } from "node:worker_threads";
import type { Lane } from "./interleave.ts";

const source = `
const { parentPort, workerData } = require("node:worker_threads");
const { signals, index, elements } = workerData;
// Not shared: V8 copies shared arrays by the word.
const [from, to] = [new Float32Array(elements).fill(index + 1), new Float32Array(elements)];
to.set(from);
parentPort.postMessage("ready");
for (let round = 1; ; round++) {
  Atomics.wait(signals, 0, round - 1);
  to.set(from);
  Atomics.add(signals, 1, 1);
  Atomics.notify(signals, 1);
}`;

export type CopyLane = Lane & { readonly bytes: number; readonly dispose: () => Promise<void> };

/**
 * What the memory can do: as many threads as everybody has, each copying its own part of `elements` float32 with `TypedArray.set`
 * (the C library's memmove). Counted as bytes read plus bytes written. Large copies bypass the cache when they write, which
 * compiled WebAssembly is not able to, so this is a high mark.
 */
export async function copyLane(elements: number, threads: number): Promise<CopyLane> {
  // [rounds begun, parts done]
  const signals = new Int32Array(new SharedArrayBuffer(8));
  const workers = Array.from({ length: threads }, (_, index) => {
    const workerData = { signals, index, elements: elements / threads };
    return new Worker(source, { eval: true, execArgv: [], workerData });
  });
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
  const round = (): void => {
    Atomics.store(signals, 1, 0);
    Atomics.add(signals, 0, 1);
    Atomics.notify(signals, 0);
    for (let done = 0; done < threads; done = Atomics.load(signals, 1)) Atomics.wait(signals, 1, done);
  };
  return {
    name: `copy by ${threads} threads`,
    bytes: 8 * elements,
    measure: async (times) => {
      const start = performance.now();
      for (let i = 0; i < times; i++) round();
      return (performance.now() - start) / 1e3;
    },
    dispose: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
