import { diskFile } from "../../engine/io/node.ts";
import { readDynamicsFile } from "./dynamicsFile.ts";
import type { Dynamics } from "./format.ts";

/**
 * What the dynamics file at a path holds, as `readDynamicsFile` reads it; null if there is none. @throws EvenkeelError `file`.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 * import { diskFolder } from "evenkeel/engine/io/node";
 * import { createDataset, runTraining } from "evenkeel/diffusion";
 * import { completePlan, runOptions, trainingOptions } from "evenkeel/diffusion/settings";
 *
 * const dataset = createDataset({ name: "black", channels: 1, resolution: 4, pixels: new Uint8Array(16) });
 * const settings = completePlan([{ from: "here", values: { preset: "smoke", data: "black", duration: 32, dynamics: 1, "channel-mult": [1] } }]);
 * const place = { folder: diskFolder("run"), device: await getDevice("wasm") };
 * await runTraining(runOptions(settings, { dataset, images: dataset }, trainingOptions(settings, dataset), place));
 * console.log((await readDynamics("run/dynamics.jsonl"))?.samples.map(({ nimg }) => nimg)); // [ 16, 32 ]
 * ```
 */
export function readDynamics(path: string): Promise<Dynamics | null> {
  return readDynamicsFile(diskFile(path));
}
