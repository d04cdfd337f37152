/** A training run of 40 steps in the folder of the first argument, to be killed at any time and started again. */
import { networkConfig } from "../../diffusion/network/index.ts";
import { runTraining } from "../../diffusion/run/trainingRun.ts";
import { createDevice } from "../../engine/index.ts";
import { smallBatch, smallOptions } from "../diffusion/training/smallRun.ts";
import { diskFolder } from "../../engine/io/node.ts";

const [, , outdir = ""] = process.argv;
const device = await createDevice("wasm", { wasm: { threads: 1 } });
const result = await runTraining(
  {
    folder: diskFolder(outdir),
    training: {
      ...smallOptions,
      // As little to compile as there can be: it starts 32 times.
      network: networkConfig({
        unet: { ...smallOptions.network.unet, channelMult: [1], labelDim: 0 },
        logvarChannels: 8,
      }),
    },
    duration: 40 * smallOptions.batch,
    intervals: { status: 80, snapshot: 160, checkpoint: 24, samples: 0, validation: 0 },
    snapshotDtype: "F16",
    classNames: null,
    device,
    fixed: { data: "waves" },
    nextBatch: (nimg, count) => ({ ...smallBatch(nimg, count), labels: null }),
  },
  { stepped: ({ nimg }) => console.log(nimg), warned: console.log },
);
console.log(JSON.stringify(result));
device.dispose();
