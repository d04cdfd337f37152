import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ToyTrainer, type ToyTrainingOptions } from "../../diffusion/toy/index.ts";
import { writeToySnapshot } from "../../diffusion/toy/node.ts";
import { type Device, EvenkeelError } from "../../engine/index.ts";
import { makeFolder } from "../../engine/io/node.ts";
import { writeText } from "../train/writeText.ts";

export type ToyRun = {
  readonly training: ToyTrainingOptions;
  readonly iterations: number;
  /** Iterations between snapshots; there is one at the end in any case. */
  readonly snapshotEvery: number;
  readonly outdir: string;
};

/** Iterations whose mean loss makes a line. */
const linesEvery = 128;

/** Trains a model of the toy data into a folder: snapshots and `stats.jsonl`. Gives the path of the last snapshot. */
export async function trainToy(run: ToyRun, device: Device, print: (line: string) => void): Promise<string> {
  const { training, iterations, snapshotEvery, outdir } = run;
  await makeFolder(outdir);
  const [old] = (await readdir(outdir)).filter((name) => snapshotName.test(name));
  if (old !== undefined) {
    throw new EvenkeelError("file", `toy train: ${outdir} has ${old} of an earlier run. Choose another --outdir.`);
  }
  const trainer = await ToyTrainer.create(training, device);
  try {
    const stats: string[] = [];
    let [sum, count, last, started] = [0, 0, "", performance.now()];
    for (let i = 1; i <= iterations; i++) {
      const { loss, learningRate } = await trainer.step();
      sum += loss;
      count++;
      if (i % linesEvery === 0 || i === iterations) {
        const seconds = (performance.now() - started) / 1000;
        stats.push(`${JSON.stringify({ iteration: i, loss: sum / count, learningRate, seconds })}\n`);
        print(
          `iteration ${String(i).padStart(6)}  loss ${(sum / count).toExponential(3)}  ` +
            `rate ${learningRate.toExponential(2)}  ${((1000 * seconds) / count).toFixed(1)} ms each`,
        );
        [sum, count, started] = [0, 0, performance.now()];
      }
      if (i % snapshotEvery === 0 || i === iterations) {
        last = join(outdir, `toy-${String(i).padStart(7, "0")}.safetensors`);
        await writeToySnapshot(last, { training, iteration: i, weights: await trainer.average() });
        await writeText(join(outdir, "stats.jsonl"), stats.join(""));
      }
    }
    return last;
  } finally {
    trainer.dispose();
  }
}

const snapshotName = /^toy-\d{7}\.safetensors$/;
