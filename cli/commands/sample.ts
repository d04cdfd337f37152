import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { type GuidanceInterval, parseGuideWeight, parseSeeds } from "../../diffusion/sample/index.ts";
import { autotuneHelp } from "../autotune.ts";
import { deviceHelp, describeDevice } from "../deviceOption.ts";
import { findNetwork } from "../findNetwork.ts";
import { parseGuide } from "../sampleGuides.ts";
import type { GuideChoice } from "../sampleSettings.ts";
import { sampleImages } from "../sampleImages.ts";
import { orInvalid } from "../orInvalid.ts";
import { describeShard, shardOption } from "../shards/shardOption.ts";
import { wholeNumber } from "../wholeNumber.ts";
import { withTunedDevice } from "../withDevice.ts";

/** `evenkeel sample`: images of a stored network. */
export function addSampleCommand(program: Command): void {
  program
    .command("sample")
    .description("Sample images of a network into PNG files, one for each seed.")
    .requiredOption("--net <file>", "network: snapshot of ours (.safetensors) or of the authors' (.pkl)")
    .option(
      "--gnet <file>",
      'guiding network; "self" is the network itself without labels (after label dropout), "dropout" the same with dropout on',
    )
    .option("--outdir <folder>", "folder for SSSSSS.png of each seed; made if missing")
    .option("--subdirs", "a folder within it for every 1000 seeds")
    .option("--grid <file>", "all images in one PNG file")
    .option(
      "--latents <file>",
      "of a network of latents (edm2-img512-...): all latents in one file, .npy or .safetensors, as the VAE's decoder takes them",
    )
    .option("--grid-columns <count>", "images in a row of the grid (default: about square)", wholeNumber)
    .option("--grid-scale <factor>", "enlarges the pixels of the grid", wholeNumber, 1)
    .addOption(
      new Option("--seeds <list>", "seeds, such as 1,2,5-10")
        .argParser(orInvalid(parseSeeds))
        .default(parseSeeds("16-19"), "16-19"),
    )
    .addOption(shardOption("the seeds"))
    .option(
      "--class <list>",
      "names or numbers of classes that the seeds take in turn, e.g. cats,dogs or 0,0,3-5 (default: drawn by the seed)",
    )
    .option("--labels <file>", "label vectors that the seeds take in turn: .npy [N, numbers] or .json [[...], ...]")
    .option("--batch <count>", "images at a time", wholeNumber, 32)
    .option(
      "--batch-device <count>",
      "images at a time in the network; other counts differ by rounding",
      wholeNumber,
      4,
    )
    .addOption(
      new Option("--solver <name>", "rule of the steps; consistency for networks tuned to it, in two steps")
        .choices(["heun", "euler", "consistency"])
        .default("heun" as const),
    )
    .option(
      "--renoise <sigmas>",
      "of the solver consistency: noise levels to which images are noised again, each for a step more; none for a single step (default: 0.8)",
      levels,
    )
    .option("--steps <count>", "steps; heun asks the network twice in each but the last", wholeNumber, 32)
    .option("--sigma_min <sigma>", "lowest noise level above the final 0", number, 0.002)
    .option("--sigma_max <sigma>", "highest noise level", number, 80)
    .option("--rho <exponent>", "exponent of the time steps", number, 7)
    .addOption(
      new Option(
        "--guidance <weight>",
        "strength of guidance; 1 is none. By noise level: 0.1:1,0.3:2,3:2,10:1, between them in proportion to ln sigma",
      )
        .argParser(orInvalid(parseGuideWeight))
        .default(1, "1"),
    )
    .option(
      "--guide <guide=push>",
      "a guide more, as --gnet names them, and how far to push from it: file=1.5, self=0.5, dropout=0.4, by noise level dropout=0.3:0,3:0.4; 0 is none",
      (value: string, before: readonly GuideChoice[]) => [...before, orInvalid(parseGuide)(value)],
      [],
    )
    .option(
      "--dropout <p>",
      "probability of dropping an activation in the guide dropout (default: the one the network was trained with)",
      probability,
    )
    .option("--interval <lo,hi>", "guide only steps that start at a noise level above lo and up to hi", interval)
    .option("--S_churn <strength>", "stochasticity of the sampler", number, 0)
    .option("--S_min <sigma>", "lowest noise level of stochasticity", number, 0)
    .addOption(
      new Option("--S_max <sigma>", "highest noise level of stochasticity").argParser(number).default(Infinity, "inf"),
    )
    .option("--S_noise <factor>", "inflation of its noise", number, 1)
    .option("--device <name>", deviceHelp)
    .option("--autotune <file>", autotuneHelp)
    .addHelpText("after", examples)
    .action(async (options) => {
      const { device: wanted, autotune, class: classes, renoise, shard, ...rest } = options;
      if (shard !== undefined) console.log(describeShard(shard));
      const settings = {
        ...rest,
        subdirs: options.subdirs === true,
        classes,
        shard: shard?.shard,
        guides: options.guide,
        ...(renoise === undefined ? {} : { renoise }),
        networkBatch: options.batchDevice,
        sigmaMin: options.sigma_min,
        sigmaMax: options.sigma_max,
        sChurn: options.S_churn,
        sMin: options.S_min,
        sMax: options.S_max,
        sNoise: options.S_noise,
      };
      await withTunedDevice(wanted, autotune, async (device) => {
        console.log(await describeDevice(device, wanted));
        await sampleImages(settings, device, findNetwork, (line) => console.log(line));
      });
    });
}

const examples = `
Examples:
  Four images
  $ npx evenkeel sample --net phema-0000088-0.100.safetensors --outdir out

  A grid of 64, whose columns are 8 classes, with pixels enlarged
  $ npx evenkeel sample --net net.safetensors --seeds 0-63 --class 0-7 --grid grid.png --grid-columns 8 --grid-scale 4

  Classifier-free guidance by an unconditional network, within noise levels 0.28 to 2.9
  $ npx evenkeel sample --net net.safetensors --gnet uncond.safetensors --guidance 2.1 --interval 0.28,2.9 --outdir out

  Autoguidance: the guide is a smaller or less trained network that knows the same classes
  $ npx evenkeel sample --net net.safetensors --gnet early.safetensors --guidance 2 --outdir out

  In-situ autoguidance: the guide is the network itself with dropout on
  $ npx evenkeel sample --net net.safetensors --gnet dropout --dropout 0.1 --guidance 1.5 --outdir out

  Two guides at once: away from an earlier network and from the same without labels, the second at middle noise levels only
  $ npx evenkeel sample --net net.safetensors --guide early.safetensors=0.8 --guide self=0.3:0,0.3:1,3:1,3:0 --outdir out

  Two steps of a network that was tuned for it (train --tune consistency)
  $ npx evenkeel sample --net student.safetensors --solver consistency --outdir out

  Latents of an ImageNet-512 network, for the decoder of stabilityai/sd-vae-ft-mse
  $ npx evenkeel sample --net edm2-img512-xs-2147483-0.135.pkl --seeds 0-7 --batch-device 1 --latents latents.npy

  A thousand images by four processes; this is the second. Each seed gives the image that it gives in a single process. When all are
  done, the same without --shard makes what is missing, and the grid
  $ npx evenkeel sample --net net.safetensors --seeds 0-999 --shard 2/4 --outdir out --grid grid.png`;

function number(text: string): number {
  const value = /^\+?inf(inity)?$/i.test(text) ? Infinity : text.trim() === "" ? NaN : Number(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError("wanted a number.");
  return value;
}

function probability(text: string): number {
  const value = number(text);
  if (!(value >= 0 && value < 1)) throw new InvalidArgumentError("wanted a probability from 0 to below 1.");
  return value;
}

function levels(text: string): readonly number[] {
  return text === "none" ? [] : text.split(",").map(number);
}

function interval(text: string): GuidanceInterval {
  const [lo, hi, ...more] = text.split(",");
  if (lo === undefined || hi === undefined || more.length > 0) {
    throw new InvalidArgumentError("wanted two noise levels, such as 0.28,2.9.");
  }
  return [number(lo), number(hi)];
}
