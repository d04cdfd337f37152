import path from "node:path";
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { toyClasses, toyRecipes, type ToyTrainingOptions } from "../../diffusion/toy/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { writeFileAtomically } from "../../engine/io/node.ts";
import { deviceHelp, describeDevice } from "../deviceOption.ts";
import { plotToy } from "../toy/plot.ts";
import { describeReport, reportToy } from "../toy/report.ts";
import { type NamedScorer, openScorer } from "../toy/scorers.ts";
import { svgToPng } from "../toy/svgToPng.ts";
import { trainToy } from "../toy/train.ts";
import { wholeNumber, wholeNumberFrom } from "../wholeNumber.ts";
import { withDevice } from "../withDevice.ts";

/** `evenkeel toy`: data in the plane whose truth is known, to train, to see and to measure against. */
export function addToyCommand(program: Command): void {
  const toy = program
    .command("toy")
    .description("Train a small model of data in the plane whose density is known exactly; plot it; measure its error.")
    .addHelpText("after", examples);
  addTrain(toy);
  addPlot(toy);
  addReport(toy);
}

const examples = `
Examples:
  A model of class A, and what it is worth
  $ npx evenkeel toy train --outdir runs/toy --cls A
  $ npx evenkeel toy report --net runs/toy/toy-0004096.safetensors

  Autoguidance: a smaller, less trained guide
  $ npx evenkeel toy train --outdir runs/guide --cls A --dim 32 --iterations 512
  $ npx evenkeel toy plot --net runs/toy/toy-0004096.safetensors --gnet runs/guide/toy-0000512.safetensors --save toy.png

  Classifier-free guidance with exact scores: nothing is trained
  $ npx evenkeel toy plot --net exact:A --gnet exact:AB --guidance 4 --save cfg.svg`;

const netHelp = "snapshot of toy train, or exact:A, exact:B, exact:AB for the truth";

function addTrain(toy: Command): void {
  toy
    .command("train")
    .description("Train a model into a folder: toy-IIIIIII.safetensors with averaged weights, and stats.jsonl.")
    .requiredOption("--outdir <folder>", "folder of the run; made if missing")
    .addOption(new Option("--cls <class>", "which tree: one, or both").choices(toyClasses).default("A" as const))
    .addOption(
      new Option(
        "--recipe <name>",
        "published: the paper's small model and training; thorough: a wider one and a larger budget",
      )
        .choices(["published", "thorough"] as const)
        .default("published" as const),
    )
    .option("--dim <count>", "features of a layer (default: the recipe's)", wholeNumber)
    .option("--layers <count>", "layers after the first (default: the recipe's)", wholeNumberFrom(0))
    .option("--iterations <count>", "steps (default: the recipe's)", wholeNumber)
    .option("--batch <count>", "points a step (default: the recipe's)", wholeNumber)
    .option("--snapshot-every <count>", "iterations between snapshots", wholeNumber, 512)
    .option("--lr <rate>", "highest learning rate (default: the recipe's)", positive)
    .option("--ema <sigma_rel>", "width of the average of the weights (default: the recipe's)", positive)
    .option("--seed <number>", "of weights and data", wholeNumberFrom(0), 0)
    .option("--device <name>", deviceHelp)
    .action(async (options) => {
      const { training: recipe, iterations } = toyRecipes[options.recipe];
      const training: ToyTrainingOptions = {
        ...recipe,
        cls: options.cls,
        model: {
          ...recipe.model,
          dim: options.dim ?? recipe.model.dim,
          layers: options.layers ?? recipe.model.layers,
        },
        batch: options.batch ?? recipe.batch,
        learningRate: options.lr ?? recipe.learningRate,
        emaSigmaRel: options.ema ?? recipe.emaSigmaRel,
        seed: options.seed,
      };
      await withDevice(options.device, async (device) => {
        const where = await describeDevice(device, options.device);
        console.log(`class ${training.cls}, ${training.model.dim} wide, on ${device.name}: ${where}`);
        const { snapshotEvery, outdir } = options;
        const run = { training, iterations: options.iterations ?? iterations, snapshotEvery, outdir };
        console.log(await trainToy(run, device, (line) => console.log(line)));
      });
    });
}

function addPlot(toy: Command): void {
  toy
    .command("plot")
    .description("Draw density, samples, trajectories and, with a guide, what guidance does to them.")
    .requiredOption("--net <file>", netHelp)
    .option("--gnet <file>", "guiding model, of the same kinds")
    .option("--guidance <weight>", "weight of guidance; 1 is none", number, 3)
    .option("--sigma <level>", "noise level of the density fields", positive, 0.05)
    .option("--samples <count>", "points in each panel of samples", wholeNumber, 3000)
    .option("--trajectories <count>", "paths in each panel of trajectories", wholeNumber, 150)
    .option("--seed <number>", "of points and noise", wholeNumberFrom(0), 0)
    .requiredOption("--save <file>", "picture to write: .png or .svg")
    .option("--device <name>", deviceHelp)
    .action(async ({ net: place, gnet: guidePlace, save, device: wanted, ...options }) => {
      const type = path.extname(save).toLowerCase();
      if (type !== ".png" && type !== ".svg") {
        throw new EvenkeelError("value", `toy plot: --save ${save} is neither a .png nor a .svg file.`);
      }
      await withDevice(wanted, async (device) => {
        const opened: NamedScorer[] = [];
        try {
          const net = await openScorer(place, device);
          opened.push(net);
          const guide = guidePlace === undefined ? undefined : await openScorer(guidePlace, device);
          if (guide !== undefined) opened.push(guide);
          const svg = await plotToy(net, guide, options);
          const bytes = type === ".svg" ? new TextEncoder().encode(svg) : await svgToPng(svg);
          await writeFileAtomically(save, (sink) => sink.write(bytes));
          console.log(save);
        } finally {
          for (const scorer of opened) scorer.dispose();
        }
      });
    });
}

function addReport(toy: Command): void {
  toy
    .command("report")
    .description("Measure a model's excess loss over the ideal denoiser, and its samples beside true ones.")
    .requiredOption("--net <file>", netHelp)
    .option("--bins <count>", "bins of noise levels from 0.002 to 5", wholeNumber, 12)
    .option("--points <count>", "noisy points in each bin", wholeNumberFrom(16), 16384)
    .option("--samples <count>", "samples, and points of each true draw", wholeNumber, 4096)
    .option("--repeats <count>", "true draws", wholeNumberFrom(3), 16)
    .option("--steps <count>", "steps of the sampler", wholeNumber, 64)
    .option("--seed <number>", "of points and noise", wholeNumberFrom(0), 0)
    .option("--json", "print the result as JSON")
    .option("--device <name>", deviceHelp)
    .action(async ({ net: place, json, device: wanted, ...options }) => {
      await withDevice(wanted, async (device) => {
        const net = await openScorer(place, device);
        try {
          const report = await reportToy(net, options);
          console.log(json === true ? JSON.stringify(report, null, 2) : describeReport(report));
        } finally {
          net.dispose();
        }
      });
    });
}

function number(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError("wanted a number.");
  return value;
}

function positive(text: string): number {
  const value = number(text);
  if (value <= 0) throw new InvalidArgumentError("wanted a number above 0.");
  return value;
}
