import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { presets } from "../../diffusion/presets/index.ts";
import { metricNames, parseMetrics } from "../../diffusion/metrics/index.ts";
import { parseImages } from "../../diffusion/settings/index.ts";
import { deviceNames, EvenkeelError } from "../../engine/index.ts";
import { readChange } from "../compare/changes.ts";
import { compare } from "../compare/compare.ts";
import { metricLines } from "../compare/metricTable.ts";
import type { SamplesPlan } from "../compare/samples.ts";
import { sweepText } from "../compare/sweep.ts";
import { verdictText } from "../compare/words.ts";
import { deviceHelp } from "../deviceOption.ts";
import { orInvalid } from "../orInvalid.ts";
import { describeShard, shardOption } from "../shards/shardOption.ts";
import { stopping } from "../stopping.ts";
import { commandLine } from "../train/commandLine.ts";
import { wholeNumber, wholeNumberFrom } from "../wholeNumber.ts";

/** `evenkeel compare`: whether a change makes training better, decided. */
export function addCompareCommand(program: Command): void {
  program
    .command("compare")
    .description("Decide whether a change makes training better: pairs of runs that share every random number.")
    .requiredOption(
      "--outdir <folder>",
      "folder of the comparison; run again with the same, it goes on where it stopped",
    )
    .requiredOption(
      "--change <settings>",
      "what is changed, as lr=0.03 or a file of settings; may be repeated",
      collect,
    )
    .option("--data <path>", "zip or folder of images, IDX file, .npy or .npz array, or emoji16 / emoji32", "emoji16")
    .addOption(new Option("--preset <name>", "scale of the networks").choices(Object.keys(presets)).default("emoji16"))
    .option("--base <settings>", "what the base sets beside its preset, written as a change", "")
    .option("--duration <images>", "images that each run sees (default: the preset's)", orInvalid(parseImages))
    .option("--sweep <setting>", "look for the best value of a setting, as lr, on each side first")
    .option("--pairs <count>", "pairs at most; fewer if they decide", wholeNumber, 8)
    .option("--seed <number>", "seed of the first pair; the others' follow", wholeNumberFrom(0), 0)
    .option("--within <share>", "ratios of errors this near 1 are no difference, as 1% or 0.01", share, 0.01)
    .option("--level <share>", "probability with which all verdicts hold together, as 95%", share, 0.95)
    .option("--holdout <images>", "images kept from training, to measure the error on", wholeNumber, 256)
    .option("--holdout-seed <seed>", "chooses those images, for all runs", wholeNumberFrom(0), 0)
    .option("--length <sigmaRel>", "length of the average that is measured", length, 0.1)
    .option("--dynamics <steps>", "steps between looks into the network; 0: none", wholeNumberFrom(0), 50)
    .option(
      "--metrics <list>",
      `metrics of generated images beside the verdict, any of ${metricNames.join(",")}`,
      orInvalid(parseMetrics),
    )
    .option(
      "--images <count>",
      `images that each run makes for --metrics (default: ${samplesDefaults.images})`,
      orInvalid(parseImages),
    )
    .option("--steps <count>", `steps of the sampler for --metrics (default: ${samplesDefaults.steps})`, wholeNumber)
    .option(
      "--features <name>",
      `space of --metrics: classifier (trained on these data), or as in metrics (default: ${samplesDefaults.features})`,
    )
    .addOption(new Option("--device <name>", deviceHelp).choices(["auto", ...deviceNames]))
    .addOption(shardOption("the runs"))
    .option("--json", "print the results as JSON at the end")
    .addHelpText("after", examples)
    .action(async (given) => {
      const { outdir, change: texts, preset, duration, pairs, seed, within, level, device } = given;
      const changes = await Promise.all(texts.map((text) => readChange(text)));
      const base = given.base === "" ? { values: {} } : await readChange(given.base, "--base");
      if (pairs < 3) {
        throw new EvenkeelError("value", `compare: --pairs ${pairs}: fewer than three say nothing about chance.`);
      }
      const command = commandLine(...process.argv.slice(2));
      const isJson = given.json === true;
      const print = (line: string): void => (isJson ? console.error(line) : console.log(line));
      stopping.left = `What was trained and measured before is kept. Go on with: ${command}`;
      const plan = {
        data: given.data,
        base: { preset, ...(duration === undefined ? {} : { duration }), ...base.values },
        holdout: given.holdout,
        holdoutSeed: given.holdoutSeed,
        dynamics: given.dynamics,
        length: given.length,
        sweep: given.sweep ?? null,
      };
      const samples = samplesPlan(given, print);
      const shared = { outdir, plan, changes, pairs, firstSeed: seed, margin: within, level, device, command };
      if (given.shard !== undefined) print(describeShard(given.shard));
      const options = { ...shared, samples, shard: given.shard?.shard, toStderr: isJson };
      const results = await compare(options, print);
      if (results === "shared") {
        print("This share is done. When all are: the same command without --shard decides.");
        return;
      }
      if (results === "stopped") {
        print(`Go on with: ${command}`);
        return;
      }
      print("");
      for (const each of results.sweeps) print(sweepText(each));
      for (const each of results.changes) print(verdictText(each, results));
      for (const line of metricLines(results)) print(line);
      print(`Report             ${outdir}/comparison.html`);
      if (isJson) console.log(JSON.stringify(results));
    });
}

const samplesDefaults = { images: 512, steps: 32, features: "classifier" } as const;

/** What is asked of generated images; says which options change nothing as no metrics are asked for. */
function samplesPlan(
  given: { readonly [name in keyof SamplesPlan]?: SamplesPlan[name] | undefined },
  print: (line: string) => void,
): SamplesPlan | undefined {
  const { metrics, images, steps, features } = given;
  if (metrics !== undefined) {
    return {
      metrics,
      images: images ?? samplesDefaults.images,
      steps: steps ?? samplesDefaults.steps,
      features: features ?? samplesDefaults.features,
    };
  }
  for (const [name, value] of Object.entries({ images, steps, features })) {
    if (value !== undefined)
      print(`--${name} changes nothing: no metrics of generated images are measured (--metrics)`);
  }
  return undefined;
}

const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** A share of one: `1%`, `0.01`. */
function share(text: string): number {
  const value = text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() === "" || !(value > 0 && value < 1))
    throw new InvalidArgumentError("wanted a share of one, as 1% or 0.01.");
  return value;
}

function length(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 0.2886)) throw new InvalidArgumentError("wanted a sigma_rel between 0 and 0.288.");
  return value;
}

const examples = `
Both runs of a pair have one seed: the same first weights, images, order and noise; all runs hold the same images out. After each pair an
interval is said for the ratio of errors that holds however often one looks. It ends when each change is better, worse, or within
--within of the base, or after --pairs. Metrics of generated images (--metrics) decide nothing; others may be asked for later.

Examples:
  Is half the rate better?
  $ npx evenkeel compare --outdir runs/rate --duration 30k --change lr=0.005

  F and G, each at its own best rate
  $ npx evenkeel compare --outdir runs/steps --duration 30k --change config=F --sweep lr

  The runs of a comparison on eight machines that share a folder, then the decision
  $ npx evenkeel compare --outdir runs/rate --duration 30k --change lr=0.005 --shard 3/8   # and so on
  $ npx evenkeel compare --outdir runs/rate --duration 30k --change lr=0.005

  Also what the images are like: with intervals of their own, beside the verdict
  $ npx evenkeel compare --outdir runs/rate --duration 30k --change lr=0.005 --metrics frechet,kid,recall --images 1000

  F and G without pixel normalization, beside G
  $ npx evenkeel compare --outdir runs/parts --duration 30k --change config=F --change switches=pixelNorm=false`;
