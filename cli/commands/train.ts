import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { presets } from "../../diffusion/presets/index.ts";
import { deviceNames, EvenkeelError } from "../../engine/index.ts";
import { noiseKinds, predictionTargets } from "../../diffusion/network/index.ts";
import {
  activationFormats,
  configurationNamed,
  type ConfigurationName,
  configurationNames,
  hyperballGranularities,
  optimizerNames,
  rateSchedules,
} from "../../nn/index.ts";
import { autotuneHelp } from "../autotune.ts";
import { deviceHelp } from "../deviceOption.ts";
import { parseImages } from "../../diffusion/settings/index.ts";
import { parseSigmaRelList } from "../sigmaRelList.ts";
import { givenSettings, mergeSettings, planSettings } from "../train/merge.ts";
import { rehearse, train } from "../train/train.ts";
import { orInvalid } from "../orInvalid.ts";
import { wholeNumberFrom } from "../wholeNumber.ts";

/** `evenkeel train`: trains a network on images. */
export function addTrainCommand(program: Command): void {
  program
    .command("train")
    .description("Train a diffusion model on images. Run again with the same folder, it goes on where it stopped.")
    .option(
      "--outdir <folder>",
      "run folder: settings, checkpoints, snapshots, samples, report; only --dry-run needs none",
    )
    .option(
      "--data <path>",
      "zip or folder of images, IDX file, .npy or .npz array, or emoji16 / emoji32: the emoji of the installed packages",
    )
    .option(
      "--config <letter or file>",
      "configuration of the ladder, A to G (default: G); or a TOML file of these settings, which flags override; or both, each by its own",
      (value: string, before: string[]) => [...before, value],
      [],
    )
    .option("--switches <list>", "switches of the network to turn, e.g. groupNorm=none,pixelNorm=true")
    .addOption(new Option("--preset <name>", "settings that work").choices(Object.keys(presets)))
    .option("--from <network>", "begin with the weights of a network's file, or of a finished run in this folder")
    .addOption(
      new Option(
        "--tune <what>",
        "tune a trained network (--from) to be consistent: one that samples in two steps",
      ).choices(["consistency"]),
    )
    .option(
      "--tune-stage <images>",
      "images of a stage of the tuning (default: an eighth of them)",
      orInvalid(parseImages),
    )
    .option("--tune-factor <q>", "by which the noise levels of the tuning come nearer in each stage (default: 2)", real)
    .option("--cond <bool>", "train on labels (default: if the data have any)", boolean)
    .option("--duration <images>", "images to train on, e.g. 88k or 8Mi", orInvalid(parseImages))
    .option("--batch <images>", "images a step", orInvalid(parseImages))
    .option(
      "--batch-device <images>",
      "images at once; a step takes several parts (default: the batch)",
      orInvalid(parseImages),
    )
    .option("--channels <count>", "base width of the network", wholeNumberFrom(0))
    .option("--channel-mult <list>", "widths of the levels as multiples of the base, e.g. 1,2,2", numbers)
    .option("--blocks <count>", "residual blocks at each resolution", wholeNumberFrom(0))
    .option("--attn-resolutions <list>", "resolutions with attention, e.g. 16,8, or none", resolutions)
    .option("--channels-per-head <count>", "channels of an attention head", wholeNumberFrom(0))
    .option("--dropout <p>", "probability of dropping an activation", real)
    .addOption(
      new Option("--activations <format>", "how activations and what flows back are kept (default: float32)").choices(
        activationFormats,
      ),
    )
    .option("--P_mean <mean>", "mean of ln(sigma) in training", real)
    .option("--P_std <deviation>", "standard deviation of ln(sigma) in training", real)
    .addOption(
      new Option(
        "--noise <kind>",
        "where noise levels come from: a log-normal distribution, or the losses (default: lognormal)",
      ).choices(noiseKinds),
    )
    .option("--noise-df <nu>", "degrees of freedom of Student-t noise, above 2 (default: inf, Gaussian noise)", freedom)
    .addOption(new Option("--target <name>", "what the raw network predicts (default: v)").choices(predictionTargets))
    .option("--sigma-data <deviation>", "standard deviation of the data (default: 0.5)", real)
    .option("--lr <rate>", "largest learning rate, alpha_ref", real)
    .option("--decay <batches>", "batches after which the rate falls, t_ref; 0 = never", real)
    .addOption(
      new Option(
        "--schedule <name>",
        "how the rate goes over the run (default: inverse-sqrt); those that end, the last three, end with --duration",
      ).choices(rateSchedules),
    )
    .option("--rampup <Mimg>", "millions of images over which the rate rises", real)
    .addOption(new Option("--optimizer <name>", "what moves the weights (default: adam)").choices(optimizerNames))
    .option("--momentum <share>", "share of the velocity that sgd (default: 0.9) and muon (0.95) keep", real)
    .addOption(
      new Option("--hyperball <what>", "fix the norm of each matrix, or of its rows, and of their steps").choices([
        "off",
        ...hyperballGranularities,
      ]),
    )
    .option(
      "--magnitude-rate <share>",
      "move magnitudes of rows apart from directions, at this share of the rate",
      real,
    )
    .option("--ls <factor>", "loss scaling (default: the configuration's: 100 in A to C, 1 from D on)", real)
    .option("--ema <list>", "sigma_rel of the averages to store (default: 0.05,0.1)", parseSigmaRelList)
    .option("--label-dropout <p>", "probability of hiding a label, for guidance by the network itself", real)
    .option("--xflip", "mirror half of the images")
    .option("--holdout <images>", "images to keep for validation (default: 0)", orInvalid(parseImages))
    .option("--holdout-seed <seed>", "chooses those images (default: the seed)", wholeNumberFrom(0))
    .option("--status <images>", "images between status lines", orInvalid(parseImages))
    .option("--snapshot <images>", "images between snapshots; 0 = only at the ends", orInvalid(parseImages))
    .option("--checkpoint <images>", "images between checkpoints", orInvalid(parseImages))
    .option("--samples <images>", "images between sample grids; 0 = no pictures at all", orInvalid(parseImages))
    .option("--validation <images>", "images between validations", orInvalid(parseImages))
    .option(
      "--dynamics [steps]",
      "look into every 50th step, or as often as said: magnitudes, updates, attention",
      wholeNumberFrom(0),
    )
    .addOption(new Option("--snapshot-dtype <type>", "how snapshots are stored").choices(["F16", "F32"]))
    .option("--sample-ema <sigma_rel>", "length of the post-hoc average to sample from at the end", real)
    .option("--guidance <weight>", "guidance of the last grid by the run's earlier self; 1 = none (default: 1.8)", real)
    .option("--seed <number>", "seed of everything random (default: 0)", wholeNumberFrom(0))
    .addOption(new Option("--device <name>", deviceHelp).choices(["auto", ...deviceNames]))
    .option("--threads <count>", "threads of the wasm device (default: all cores)", wholeNumberFrom(0))
    .option("--autotune <file>", autotuneHelp)
    .option("--deterministic", "no fused multiply-add, so that other machines give the same bits")
    .option(
      "-n, --dry-run",
      "look at the data and print the settings, with what looks wrong, and stop: `--outdir` isn't needed",
    )
    .addHelpText("after", examples)
    .action(async ({ config, dryRun, ...flags }, command) => {
      if (dryRun !== true && flags.outdir === undefined) {
        command.error("error: required option '--outdir <folder>' not specified; only --dry-run needs none");
      }
      const dynamics = flags.dynamics === true ? defaultDynamics : flags.dynamics;
      const { letter, file } = splitConfig(config);
      const all = { ...flags, dynamics, config: letter };
      const given = givenSettings(flags);
      if (dryRun === true) console.log(await rehearse(await planSettings(all, file), given));
      else await train(await mergeSettings(all, file), { given });
    });
}

/** Steps between samples of the dynamics: each costs about a step, so they take two steps in a hundred. */
const defaultDynamics = 50;

const examples = `
Examples:
  Emoji: eight to nine minutes on two cores
  $ npx evenkeel train --preset emoji16 --data emoji16 --outdir runs/emoji16

  The same with the network and the recipe that the ladder begins with
  $ npx evenkeel train --preset emoji16 --config A --data emoji16 --outdir runs/emoji16-A

  Your own images, made into a data set first; 75 minutes on two cores
  $ npx evenkeel dataset convert --source photos --dest photos.zip --resolution 32x32
  $ npx evenkeel train --preset emoji32 --data photos.zip --outdir runs/photos --duration 400k

  Settings from a file, one of them changed
  $ npx evenkeel train --config runs/photos/settings.toml --outdir runs/wider --channels 64

  A student of a finished run, which samples in two steps (sample --solver consistency)
  $ npx evenkeel train --preset emoji16 --data emoji16 --tune consistency --from runs/emoji16 --outdir runs/student

  What happens inside the network, and what it means
  $ npx evenkeel train --preset emoji16 --data emoji16 --outdir runs/emoji16 --dynamics
  $ npx evenkeel doctor runs/emoji16

Ctrl-C finishes the step, writes a checkpoint and says how to go on.`;

/**
 * What `--config` was given: a configuration's letter, a file of settings, or one of each.
 * @throws EvenkeelError `value` for two of a kind, or another letter.
 */
export function splitConfig(given: readonly string[]): {
  readonly letter: ConfigurationName | undefined;
  readonly file: string | undefined;
} {
  const letters = configurationNames.filter((name) => given.includes(name));
  const files = given.filter((each) => !configurationNames.some((name) => name === each));
  // A single letter was hardly meant as a file; ./H is one.
  for (const each of files) if (/^[A-Za-z]$/.test(each)) configurationNamed(each);
  if (given.length > 2 || letters.length > 1 || files.length > 1) {
    throw new EvenkeelError(
      "value",
      `train: --config is given as ${given.join(" and ")}; expected one of ${configurationNames.join(", ")}, one file, or one of each.`,
    );
  }
  return { letter: letters[0], file: files[0] };
}

function real(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("wanted a number.");
  return value;
}

/** Infinitely many degrees of freedom are kept as 0, as files of JSON have no infinity. */
function freedom(text: string): number {
  return /^inf(inity)?$/i.test(text.trim()) ? 0 : real(text);
}

function numbers(text: string): number[] {
  return text.split(",").map(real);
}

/** The coarsest level's first decoder block has attention in any case. */
function resolutions(text: string): number[] {
  return text === "none" ? [] : numbers(text);
}

function boolean(text: string): boolean {
  if (/^(true|1|yes)$/i.test(text)) return true;
  if (/^(false|0|no)$/i.test(text)) return false;
  throw new InvalidArgumentError("wanted true or false.");
}
