import { type Command, InvalidArgumentError } from "@commander-js/extra-typings";
import {
  chooseIndices,
  defaultClassifierTraining,
  type FeatureExtractor,
  metricNames,
  parseMetrics,
} from "../../diffusion/metrics/index.ts";
import {
  featureExtractor,
  isStatisticsFile,
  listFeatures,
  type PictureSize,
  writeStatistics,
} from "../../diffusion/metrics/node.ts";
import { fingerprint } from "../../diffusion/data/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { deviceHelp } from "../deviceOption.ts";
import { parseImages } from "../../diffusion/settings/index.ts";
import { findNetwork } from "../findNetwork.ts";
import { tellSamplingMemory } from "../memoryReport.ts";
import { featuresOf, imageParts } from "../metrics/featureSets.ts";
import {
  defaultKidSubsets,
  defaultPrecisionCount,
  imageProgress,
  measureSets,
  partsOf,
} from "../metrics/measureSets.ts";
import { imageSource, networkSource } from "../metrics/pictureSource.ts";
import { trainClassifier } from "../metrics/trainClassifier.ts";
import { orInvalid } from "../orInvalid.ts";
import { readData } from "../readData.ts";
import { shardOption } from "../shards/shardOption.ts";
import { wholeNumber, wholeNumberFrom } from "../wholeNumber.ts";
import { untrainedNotes } from "../trainedFor.ts";
import { withDevice } from "../withDevice.ts";

/** `evenkeel metrics`: how far pictures are from a data set. */
export function addMetricsCommand(program: Command): void {
  const metrics = program
    .command("metrics")
    .description("Measure how far pictures are from those of a data set, in a space of features.")
    .addHelpText("after", `\nFeatures:\n${featureLines()}`);
  addCalc(metrics);
  addGen(metrics);
  addRef(metrics);
  addClassifier(metrics);
}

const refHelp = "what to compare with: statistics of npx evenkeel metrics ref (.safetensors), or a data set";
const featuresHelp = "space of features (see npx evenkeel metrics --help)";
const partsHelp = "keep features in a folder, in which several processes (--shard) make them";
const metricsHelp = `any of ${metricNames.join(",")}`;

function featureLines(): string {
  return listFeatures()
    .map((line) => `  ${line}`)
    .join("\n");
}

function addCalc(parent: Command): void {
  parent
    .command("calc")
    .description("Measure pictures in files.")
    .requiredOption("--images <path>", "folder or zip of PNGs of one size, IDX file, .npy or .npz array")
    .requiredOption("--ref <path>", refHelp)
    .requiredOption("--features <name>", featuresHelp)
    .option("--metrics <list>", metricsHelp, orInvalid(parseMetrics), ["frechet"])
    .option("--num <count>", "pictures in each measurement, drawn at random (default: all)", orInvalid(parseImages))
    .option("--seed <seed>", "which are drawn", seedNumber, 0)
    .option("--repeats <count>", "measurements, of other pictures each", wholeNumber, 1)
    .option("--batch <count>", "pictures at a time", wholeNumber, 64)
    .option("--kid-subsets <count>", "subsets that kid averages", wholeNumber, defaultKidSubsets)
    .option("--kid-size <count>", "pictures in each (default: 500, or as many as there are)", wholeNumber)
    .option(
      "--precision-count <count>",
      "pictures of each set for precision and recall, at most",
      wholeNumber,
      defaultPrecisionCount,
    )
    .option("--parts <folder>", partsHelp)
    .addOption(shardOption("the features"))
    .option("--device <name>", deviceHelp)
    .option("--json", "print the result as JSON")
    .addHelpText("after", calcExamples)
    .action(async ({ images: path, num, seed, device: name, ...flags }) => {
      const dataset = await readData(path);
      const parts = imageParts(dataset, num, flags.repeats, seed);
      await withFeatures(flags.features, dataset, name, async (extractor) =>
        measureSets(extractor, flags, {
          sourceOf: (repeat) => imageSource(dataset, parts[repeat] ?? new Uint32Array(0)),
          plan: async () => ({ images: fingerprint(dataset), num: num ?? null, seed }),
        }),
      );
    });
}

const calcExamples = `
The name of the distance says what its features are; numbers of different features, or of different numbers of pictures, can't be
compared. Even pictures of the reference's own distribution get a distance above 0, the more so the fewer they are: "equal Gaussian
distributions would give" says about how much.
Precision and recall (3 nearest neighbours), density and coverage are shares; kid is unbiased.

Examples:
  $ npx evenkeel metrics ref --data emoji16.zip --dest emoji16.stats.safetensors --features nsfwjs-mobilenet
  $ npx evenkeel metrics calc --images out --ref emoji16.stats.safetensors --features nsfwjs-mobilenet
  $ npx evenkeel metrics calc --images out.zip --ref emoji16.zip --features classifier:emoji.safetensors --num 1000 --repeats 3 --json
  $ npx evenkeel metrics calc --images out --ref fashion.zip --features nsfwjs-mobilenet --metrics frechet,kid,precision,recall
  Features by four processes, of which this is the second; then, without --shard, the number
  $ npx evenkeel metrics calc --images out --ref fashion.zip --features nsfwjs-mobilenet --parts features --shard 2/4`;

function addGen(parent: Command): void {
  parent
    .command("gen")
    .description("Measure pictures of a network, made on the fly: the default sampler, random classes, no guidance.")
    .requiredOption("--net <file>", "network: snapshot of ours (.safetensors) or of the authors' (.pkl)")
    .requiredOption("--ref <path>", refHelp)
    .requiredOption("--features <name>", featuresHelp)
    .option("--metrics <list>", metricsHelp, orInvalid(parseMetrics), ["frechet"])
    .option(
      "--num <count>",
      "pictures in each measurement (default: as many as the reference has)",
      orInvalid(parseImages),
    )
    .option("--seed <seed>", "seed of the first picture; the others follow", seedNumber, 0)
    .option("--repeats <count>", "measurements, of other seeds each", wholeNumber, 1)
    .option("--steps <count>", "steps of the sampler", wholeNumber, 32)
    .option("--batch <count>", "pictures at a time", wholeNumber, 32)
    .option("--batch-device <count>", "images at a time in the network", wholeNumber, 4)
    .option("--kid-subsets <count>", "subsets that kid averages", wholeNumber, defaultKidSubsets)
    .option("--kid-size <count>", "pictures in each (default: 500, or as many as there are)", wholeNumber)
    .option(
      "--precision-count <count>",
      "pictures of each set for precision and recall, at most",
      wholeNumber,
      defaultPrecisionCount,
    )
    .option("--parts <folder>", partsHelp)
    .addOption(shardOption("the features"))
    .option("--device <name>", deviceHelp)
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
Examples:
  $ npx evenkeel metrics gen --net net.safetensors --ref emoji16.stats.safetensors --features nsfwjs-mobilenet --num 1000 --repeats 3
  With guidance: npx evenkeel sample --guidance ... --outdir out, then npx evenkeel metrics calc --images out`,
    )
    .action(async ({ net, num, seed, steps, batchDevice, device: name, ...flags }) => {
      await withDevice(name, async (device) => {
        const found = await findNetwork(net);
        const { imageChannels: channels, imageResolution: resolution } = found.config.unet;
        if (channels !== 1 && channels !== 3) {
          throw new EvenkeelError(
            "value",
            `metrics gen: ${net} makes images of ${channels} channels; pictures have 1 or 3. Decode latents first.`,
          );
        }
        // Its sampler is the usual one, without guidance.
        const asked = { net, trained: found.trained, guidesItself: false, solver: "heun" } as const;
        for (const line of untrainedNotes(asked)) console.error(line);
        await tellSamplingMemory([found.config], batchDevice, device, (line) => console.error(line));
        const network = { ...found, ...(await found.load(device)) };
        try {
          const settings = { net, steps, networkBatch: batchDevice };
          await withFeatures(flags.features, { channels, resolution }, name, async (extractor) =>
            measureSets(extractor, flags, {
              sourceOf: (repeat, references) => {
                const count = num ?? references;
                return networkSource(network, settings, seed + repeat * count, count);
              },
              plan: async () => ({ net: await found.digest(), steps, batchDevice, num: num ?? null, seed }),
            }),
          );
        } finally {
          network.dispose();
        }
      });
    });
}

function addRef(parent: Command): void {
  parent
    .command("ref")
    .description("Write a data set's statistics into a file, so that they needn't be computed again.")
    .requiredOption("--data <path>", "folder or zip of PNGs of one size, IDX file, .npy or .npz array")
    .requiredOption("--dest <file>", "the .safetensors to write")
    .requiredOption("--features <name>", featuresHelp)
    .option("--num <count>", "pictures, drawn at random (default: all)", orInvalid(parseImages))
    .option("--seed <seed>", "which are drawn", seedNumber, 0)
    .option("--keep <count>", "vectors kept in the file, which all metrics but frechet need", wholeNumberFrom(0), 10000)
    .option("--batch <count>", "pictures at a time", wholeNumber, 64)
    .option("--parts <folder>", partsHelp)
    .addOption(shardOption("the features"))
    .option("--device <name>", deviceHelp)
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  $ npx evenkeel metrics ref --data emoji16.zip --dest emoji16.stats.safetensors --features nsfwjs-mobilenet",
    )
    .action(async ({ data, dest, features, num, seed, keep, device, json, ...flags }) => {
      if (!isStatisticsFile(dest)) {
        throw new EvenkeelError("value", `metrics ref: --dest ${dest}: the name of statistics ends with .safetensors.`);
      }
      const dataset = await readData(data);
      const [indices = chooseIndices(dataset.count, dataset.count, seed)] = imageParts(dataset, num, 1, seed);
      await withFeatures(features, dataset, device, async (extractor) => {
        const onImages = imageProgress();
        const plan = async () => ({ images: fingerprint(dataset), num: num ?? null, seed });
        const parts = await partsOf(extractor, flags, plan, onImages);
        const source = imageSource(dataset, indices);
        if (parts !== undefined && flags.shard !== undefined) return parts.makeShare([source], flags.shard.shard);
        const options = { kept: keep, batch: flags.batch, onImages };
        const set = await featuresOf(extractor, source, options, parts && { of: parts, set: 0 });
        await writeStatistics(dest, set);
        const kept = set.features.length / set.space.dimension;
        const pictures = set.statistics.count;
        if (json === true) console.log(JSON.stringify({ file: dest, ...set.space, count: pictures, kept }, null, 2));
        else
          console.log(
            `${dest}: ${extractor.name} of ${pictures} pictures, ${kept} vectors kept; ${extractor.describe()}`,
          );
      });
    });
}

function addClassifier(parent: Command): void {
  parent
    .command("classifier")
    .description("Train a small classifier on a labelled data set, for features that know its kind of pictures.")
    .requiredOption("--data <path>", "labelled data set: zip or folder of PNGs, IDX file, .npy or .npz array")
    .requiredOption("--out <file>", "the .safetensors to write")
    .option("--steps <count>", "steps of training", wholeNumber, defaultClassifierTraining.steps)
    .option("--batch <count>", "pictures a step", wholeNumber, defaultClassifierTraining.batch)
    .option("--lr <rate>", "learning rate at the start; it falls to 0", rate, defaultClassifierTraining.learningRate)
    .option("--xflip", "mirror half of the pictures")
    .option("--holdout <count>", "pictures kept from training, to measure by (default: a tenth)", wholeNumberFrom(0))
    .option("--seed <seed>", "of weights, order and division", seedNumber, 0)
    .option("--device <name>", deviceHelp)
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  $ npx evenkeel metrics classifier --data emoji16.zip --out emoji16.classifier.safetensors",
    )
    .action(async ({ lr, xflip, device: name, json, ...rest }) => {
      if (!rest.out.endsWith(".safetensors")) {
        throw new EvenkeelError("value", `metrics classifier: --out ${rest.out}: its name ends with .safetensors.`);
      }
      await withDevice(name, async (device) => {
        const print = (line: string): void => {
          if (json !== true) console.log(line);
        };
        const report = await trainClassifier({ ...rest, learningRate: lr, xflip: xflip === true }, device, print);
        const { file, classes, features, heldOut, commonest } = report;
        if (json === true) console.log(JSON.stringify(report, null, 2));
        else {
          const percent = (share: number | null): string => `${(100 * (share ?? Number.NaN)).toFixed(1)}%`;
          const result =
            heldOut === null
              ? "no pictures were held out to measure by"
              : `${percent(heldOut.accuracy)} of ${heldOut.images} others right (the commonest class: ${percent(commonest)})`;
          console.log(`${file}: ${classes} classes, ${features} features; ${result}`);
        }
      });
    });
}

/** Makes the features, uses and disposes of them. */
async function withFeatures(
  features: string,
  size: PictureSize,
  deviceName: string | undefined,
  use: (extractor: FeatureExtractor) => Promise<void>,
): Promise<void> {
  await withDevice(deviceName, async (device) => {
    const print = (line: string): void => console.error(line);
    const extractor = await featureExtractor(features, size, { device, print });
    try {
      await use(extractor);
    } finally {
      extractor.dispose();
    }
  });
}

function seedNumber(text: string): number {
  const seed = wholeNumberFrom(0)(text);
  if (seed <= 0xffffffff) return seed;
  throw new InvalidArgumentError("wanted a whole number up to 4294967295.");
}

function rate(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("wanted a number above 0.");
}
