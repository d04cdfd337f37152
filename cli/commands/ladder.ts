import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { parseSeeds } from "../../diffusion/sample/index.ts";
import { presetOf, presets } from "../../diffusion/presets/index.ts";
import { deviceNames, EvenkeelError } from "../../engine/index.ts";
import { type ConfigurationName, configurationNamed } from "../../nn/index.ts";
import { deviceHelp } from "../deviceOption.ts";
import { parseImages } from "../../diffusion/settings/index.ts";
import type { LadderBudget } from "../ladder/budget.ts";
import { climb } from "../ladder/ladder.ts";
import { parseRates, parseRungs } from "../ladder/rungs.ts";
import { ladderTable } from "../ladder/table.ts";
import { orInvalid } from "../orInvalid.ts";
import { describeShard, shardOption } from "../shards/shardOption.ts";
import { parseSigmaRelList } from "../sigmaRelList.ts";
import { commandLine } from "../train/commandLine.ts";
import { wholeNumber, wholeNumberFrom } from "../wholeNumber.ts";
import { stopping } from "../stopping.ts";

/** `evenkeel ladder`: configurations side by side. */
export function addLadderCommand(program: Command): void {
  program
    .command("ladder")
    .description("Train configurations A to G, or any others, on the same data and seeds, and compare what happens.")
    .requiredOption("--outdir <folder>", "folder of the ladder; run again with the same, it goes on where it stopped")
    .option("--data <path>", "zip or folder of images, IDX file, .npy or .npz array, or emoji16 / emoji32", "emoji16")
    .addOption(new Option("--preset <name>", "scale of the networks").choices(Object.keys(presets)).default("emoji16"))
    .option(
      "--rungs <list>",
      "configurations, each with switches if wanted: A,G,G:pixelNorm=false",
      orInvalid(parseRungs),
    )
    .option("--seeds <list>", "seeds of each, e.g. 0,1 or 0-2", orInvalid(parseSeeds), [0])
    .option("--duration <images>", "images that each run sees (default: the preset's)", orInvalid(parseImages))
    .option("--channels <count>", "base width of the networks (default: the preset's)", wholeNumber)
    .option("--channels-per-head <count>", "channels of an attention head (default: the preset's)", wholeNumber)
    .option("--lr <list>", "learning rates, e.g. A=0.0003,G=0.02 (default: the preset's)", orInvalid(parseRates))
    .option("--holdout <images>", "images kept from training, to measure the error on", wholeNumber, 256)
    .option("--holdout-seed <seed>", "chooses those images, for all runs", wholeNumberFrom(0), 0)
    .option("--dynamics <steps>", "steps between looks into the network", wholeNumber, 20)
    .option("--lengths <list>", "sigma_rel of the averages that are compared", parseSigmaRelList, defaultLengths)
    .option("--times <list>", "shares of the run after which they are; its end is always one", shares, [0.5, 1])
    .option("--distance-lengths <count>", "lengths, around the best, that get a Fréchet distance", wholeNumber, 1)
    .option(
      "--groups <list>",
      "configurations whose groups of weights get lengths of their own, or none (default: B,G)",
      letters,
    )
    .option("--samples <count>", "images behind a Fréchet distance", wholeNumber, 512)
    .option("--steps <count>", "steps of the sampler", wholeNumber, 16)
    .option(
      "--features <name>",
      "space of the distance: classifier (trained on these data), or as in metrics",
      "classifier",
    )
    .addOption(new Option("--device <name>", deviceHelp).choices(["auto", ...deviceNames]))
    .option("--threads <count>", "threads of the wasm device (default: all cores)", wholeNumber)
    .addOption(shardOption("the runs"))
    .addHelpText("after", examples)
    .action(async ({ outdir, rungs = parseRungs("all"), seeds, lr, device, threads, shard, ...rest }) => {
      const budget: LadderBudget = {
        preset: rest.preset,
        data: rest.data,
        duration: rest.duration ?? presetOf(rest.preset).duration,
        channels: rest.channels ?? null,
        channelsPerHead: rest.channelsPerHead ?? null,
        rates: lr ?? {},
        holdout: rest.holdout,
        holdoutSeed: rest.holdoutSeed,
        dynamics: rest.dynamics,
        // The same lengths are the same budget however they are listed.
        lengths: rest.lengths.toSorted((a, b) => a - b),
        times: rest.times,
        distanceLengths: rest.distanceLengths,
        groups: rest.groups ?? ["B", "G"],
        samples: rest.samples,
        steps: rest.steps,
        features: rest.features,
      };
      if (new Set(seeds).size !== seeds.length)
        throw new EvenkeelError("value", "ladder: --seeds lists a seed twice; each is one run of a rung.");
      if (budget.samples < 2)
        throw new EvenkeelError("value", "ladder: --samples 1: a distance needs at least two images.");
      const idle = rest.groups?.filter((letter) => !rungs.some(({ config }) => config === letter)) ?? [];
      if (idle.length > 0)
        console.error(`--groups ${idle.join(",")} changes nothing: no rung is of that configuration`);
      const command = commandLine(...process.argv.slice(2));
      const print = (line: string): void => console.log(line);
      stopping.left = `What was trained and measured before is kept. Go on with: ${command}`;
      if (shard !== undefined) print(describeShard(shard));
      const options = { outdir, rungs, seeds, budget, device, threads, shard: shard?.shard, command };
      const results = await climb(options, print);
      if (results === "stopped") print(`Go on with: ${command}`);
      else if (results === "shared") {
        print("This share is done. When all are: the same command without --shard writes the results.");
      } else print(ladderTable(results));
    });
}

const defaultLengths = [0.03, 0.05, 0.075, 0.1, 0.13, 0.16, 0.2, 0.25];

const examples = `
What depends on a preset's duration (decay, ramp) keeps its share of a shorter one. All runs of a folder have one budget; more rungs
and seeds may be added.

Examples:
  All seven, small, twice
  $ npx evenkeel ladder --outdir runs/ladder --channels 16 --channels-per-head 32 --duration 30k --seeds 0,1

  What pixel normalization does in G
  $ npx evenkeel ladder --outdir runs/pixelNorm --rungs G,G:pixelNorm=false --duration 30k`;

/** Shares of a run, rising; the end is always one of them. */
function shares(text: string): number[] {
  const values = text.split(",").map(Number);
  if (values.some((value) => !(value > 0 && value <= 1)))
    throw new InvalidArgumentError("wanted numbers up to 1, as 0.5,1.");
  if (new Set(values).size !== values.length) throw new InvalidArgumentError("a share is listed twice.");
  return [...new Set([...values, 1])].sort((a, b) => a - b);
}

function letters(text: string): ConfigurationName[] {
  return text === "none" ? [] : text.split(",").map((letter) => orInvalid(configurationNamed)(letter.trim()));
}
