/** The `README.md` of an exported run. */
import { commandLine } from "../../train/commandLine.ts";

export type ToldRun = { readonly nimg: number; readonly duration: number; readonly batch: number };

export function readmeText({ nimg, duration, batch }: ToldRun): string {
  const goOn = commandLine("train", "--config", "FOLDER/settings.toml", "--outdir", "FOLDER");
  return `# A run of Evenkeel, for PyTorch

${nimg.toLocaleString("en")} of ${duration.toLocaleString("en")} images are done. It goes on with

    python train.py
    torchrun --nproc_per_node 2 train.py

and needs PyTorch (1.13 or later) and numpy, nothing else. Processes share each batch of ${batch} images, so their number divides ${batch};
\`--images\` cuts what each has of it into parts that fit its memory. None of that changes the run but for rounding: every image gets the same
noise, label dropout and mirroring in any number of processes, and as it would have had in Evenkeel. \`python train.py --help\` lists the rest.

Ctrl-C, or the end of a job's time (SIGTERM), finishes the step and writes a checkpoint. The same command goes on from the newest one.

| file | what it is |
|---|---|
| \`gradient.py\`, \`update.py\` | a step: the network with its loss and derivative, then the optimizer and all averages, generated from the graphs that Evenkeel runs |
| \`primitives.py\` | the operations they are made of |
| \`train.py\`, \`files.py\`, \`data.py\`, \`arrays.py\` | the loop, the run's files, the order of the images, safetensors files |
| \`run.json\`, \`schedule.safetensors\` | what the loop has to know; learning rates and the like, a row a step |
| \`data.safetensors\` | the images that are trained on, and their labels |
| \`training-state-*\`, \`network-snapshot-*\`, \`settings.toml\`, \`stats.jsonl\` | the run itself, as Evenkeel keeps it |

The folder is a run folder of Evenkeel's as well, at any time while nobody trains in it. There it goes on with

    ${goOn}

which also makes the average, the pictures and the report of a run that is finished, and \`npx evenkeel sample\`, \`phema\`, \`metrics\` and \`doctor\`
take it as any other. Where the data lie elsewhere there, \`--data\` says so.
`;
}
