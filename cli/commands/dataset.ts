import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { createDataset, type ImageDataset, datasetStatistics, labelDimOf } from "../../diffusion/index.ts";
import {
  convertDataset,
  type EmojiVendor,
  emojiVendors,
  fingerprint,
  loadEmoji,
  openDataset,
  transforms,
  writeDataset,
} from "../../diffusion/node.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { parseImages } from "../imageCount.ts";

/** `evenkeel dataset`: makes data sets and tells about them. */
export function addDatasetCommand(program: Command): void {
  const dataset = program.command("dataset").description("Make data sets of images, and look into them.");
  addConvert(dataset);
  addInfo(dataset);
}

function addConvert(parent: Command): void {
  parent
    .command("convert")
    .description("Make a zip of square PNGs of one size with labels, as training takes it.")
    .requiredOption(
      "--source <path...>",
      "folders, zips, IDX files (…images-idx3-ubyte.gz), or emoji-datasource-google / -twitter",
    )
    .requiredOption("--dest <file>", "the .zip to write")
    .requiredOption("--resolution <WxH>", "size of the results, e.g. 32x32", resolution)
    .addOption(
      new Option("--transform <name>", "how pictures become square")
        .choices(transforms)
        .default("center-crop" as const),
    )
    .option("--max-images <count>", "at most so many of each source", images)
    .option("--greyscale", "one channel instead of three")
    .option("--background <colour>", "what shows through transparent pictures", "#ffffff")
    .addHelpText(
      "after",
      `
Labels come from the source's dataset.json, or else from its top-level folders.

Examples:
  $ evenkeel dataset convert --source photos --dest photos.zip --resolution 32x32
  $ evenkeel dataset convert --source emoji-datasource-google emoji-datasource-twitter --dest emoji16.zip --resolution 16x16
  $ evenkeel dataset convert --source train-images-idx3-ubyte.gz --dest fashion16.zip --resolution 16x16`,
    )
    .action(async ({ source, dest, resolution: size, transform, maxImages, greyscale, background }) => {
      const parts: ImageDataset[] = [];
      const vendors = source.map(vendorOf).filter((vendor) => vendor !== undefined);
      if (vendors.length > 0) parts.push(await loadEmoji(vendors, size));
      for (const path of source.filter((each) => vendorOf(each) === undefined)) {
        const onImage = (done: number, total: number): void => {
          if (process.stderr.isTTY && (done % 100 === 0 || done === total))
            process.stderr.write(`\r${path}: ${done} of ${total}`);
        };
        const options = {
          source: path,
          resolution: size,
          transform,
          greyscale: greyscale === true,
          background,
          maxImages,
          onImage,
        };
        parts.push(await convertDataset(options));
        if (process.stderr.isTTY) process.stderr.write("\n");
      }
      const joined = joinDatasets(parts);
      await writeDataset(dest, joined);
      console.log(`${dest}: ${joined.count} images ${size}x${size}, ${labelDimOf(joined)} classes`);
    });
}

function addInfo(parent: Command): void {
  parent
    .command("info")
    .description("Tell what a data set holds: sizes, classes, mean and deviation of its pixels.")
    .argument("<path>", "zip or folder")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExample:\n  $ evenkeel dataset info emoji16.zip")
    .action(async (path, { json }) => {
      const dataset = await openDataset(path);
      const statistics = datasetStatistics(dataset);
      const { count, resolution: size, channels, classNames, labels } = dataset;
      if (json === true) {
        const facts = {
          count,
          resolution: size,
          channels,
          labelDim: labelDimOf(dataset),
          labels: labels?.kind ?? null,
          classNames,
        };
        console.log(JSON.stringify({ path, ...facts, ...statistics, fingerprint: fingerprint(dataset) }, null, 2));
        return;
      }
      const list = (numbers: readonly number[]): string => numbers.map((n) => n.toFixed(4)).join(" ");
      console.log(`images       ${count}, ${size}x${size}, ${channels === 3 ? "colour" : "grey"}`);
      console.log(
        `mean         ${statistics.mean.toFixed(4)} (channels ${list(statistics.channelMean)}), pixels as -1 to 1`,
      );
      console.log(
        `deviation    ${statistics.std.toFixed(4)} (channels ${list(statistics.channelStd)}); training takes it as --sigma-data 0.5`,
      );
      console.log(
        `labels       ${labels === null ? "none" : labels.kind === "vectors" ? `vectors of ${labels.labelDim}` : `${labels.labelDim} classes`}`,
      );
      for (const [i, n] of statistics.classCounts.entries())
        console.log(`  ${String(i).padStart(4)}  ${String(n).padStart(7)}  ${classNames?.[i] ?? ""}`);
      console.log(`fingerprint  ${fingerprint(dataset)}`);
    });
}

/** Several sources as one; classes are matched by name, or else by number. */
function joinDatasets(parts: readonly ImageDataset[]): ImageDataset {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first as ImageDataset;
  if (parts.some(({ channels }) => channels !== first.channels)) {
    throw new EvenkeelError(
      "value",
      "convert: some sources are grey and some are in colour; --greyscale makes all grey.",
    );
  }
  const kinds = new Set(parts.map(({ labels }) => labels?.kind ?? "none"));
  if (kinds.size > 1 || kinds.has("vectors")) {
    throw new EvenkeelError(
      "value",
      `convert: the sources' labels are ${[...kinds].join(" and ")}; only classes can be joined.`,
    );
  }
  const named = parts.every(({ classNames }) => classNames !== null);
  const classNames = named ? [...new Set(parts.flatMap((part) => part.classNames ?? []))].sort() : null;
  const labels = kinds.has("none")
    ? null
    : parts.flatMap(({ labels: own, classNames: names }) =>
        [...(own?.values ?? [])].map((label) => classNames?.indexOf(names?.[label] ?? "") ?? label),
      );
  const pixels = new Uint8Array(parts.reduce((sum, part) => sum + part.pixels.length, 0));
  parts.reduce((offset, part) => {
    pixels.set(part.pixels, offset);
    return offset + part.pixels.length;
  }, 0);
  const { channels, resolution: size } = first;
  return createDataset({ name: "joined", channels, resolution: size, pixels, labels, classNames });
}

function vendorOf(source: string): EmojiVendor | undefined {
  return emojiVendors.find((vendor) => source === `emoji-datasource-${vendor}`);
}

function resolution(text: string): number {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(text) ?? [];
  if (width === undefined || width !== height || Number(width) < 1)
    throw new InvalidArgumentError("wanted a square such as 32x32.");
  return Number(width);
}

function images(text: string): number {
  try {
    return parseImages(text);
  } catch (reason) {
    if (reason instanceof EvenkeelError) throw new InvalidArgumentError(reason.message);
    throw reason;
  }
}
