import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { datasetStatistics, type ImageDataset, joinDatasets, labelDimOf } from "../../diffusion/index.ts";
import { convertDataset, findEmojiPackage, fingerprint, transforms, writeDataset } from "../../diffusion/node.ts";
import { parseImages } from "../imageCount.ts";
import { orInvalid } from "../orInvalid.ts";
import { readData, tellingOf } from "../readData.ts";
import { stopping } from "../stopping.ts";

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
      "folders or zips of images, IDX files (or a folder of them), .npy arrays, emoji-datasource-google, -twitter",
    )
    .requiredOption("--dest <file>", "the .zip to write")
    .requiredOption("--resolution <WxH>", "size of the results, e.g. 32x32", resolution)
    .addOption(
      new Option("--transform <name>", "how pictures become square (default: center-crop; box for emoji)").choices(
        transforms,
      ),
    )
    .option("--max-images <count>", "at most so many of each source", orInvalid(parseImages))
    .option("--strict", "stop at the first picture that can't be read, instead of leaving it out")
    .option("--greyscale", "one channel instead of three")
    .option("--background <colour>", "what shows through transparent pictures", "#ffffff")
    .addHelpText(
      "after",
      `
Labels come from the source's dataset.json, or else from its top-level folders; those of x-images-idx3-ubyte from
x-labels-idx1-ubyte, those of x.npy (bytes, [N, H, W], [N, H, W, C] or [N, C, H, W]) from x-labels.npy.

Transforms:
  center-crop           the middle, in one step (Lanczos)
  center-crop-wide      a band wider than high (--resolution 64x36), filled up with black to 64x64
  center-crop-dhariwal  the middle, by halving and then bicubic: ImageNet's usual way
  contain               the whole picture, on the background
  box                   the means of areas, for square pictures

Examples:
  $ npx evenkeel dataset convert --source photos --dest photos.zip --resolution 32x32
  $ npx evenkeel dataset convert --source emoji-datasource-google emoji-datasource-twitter --dest emoji16.zip --resolution 16x16
  $ npx evenkeel dataset convert --source fashion-mnist/train-images-idx3-ubyte.gz --dest fashion16.zip --resolution 16x16 --transform box`,
    )
    .action(async ({ source: sources, dest, resolution: size, transform, greyscale, ...rest }) => {
      stopping.left = `${dest} was not written.`;
      const parts: ImageDataset[] = [];
      for (const source of sources) {
        const options = {
          ...rest,
          source,
          resolution: size.width,
          bandHeight: size.height === size.width ? undefined : size.height,
          transform: transform ?? ((await findEmojiPackage(source)) === null ? "center-crop" : "box"),
          greyscale: greyscale === true,
        };
        const prefix = sources.length > 1 ? `${source}: ` : "";
        parts.push(await tellingOf((reading) => convertDataset({ ...options, ...reading }), prefix));
      }
      const joined = joinDatasets(parts, dest);
      await tellingOf((reading) => writeDataset(dest, joined, reading));
      console.log(`${dest}: ${joined.count} images, ${sizeText(joined)}, ${labelText(joined)}`);
    });
}

function sizeText({ resolution: size, channels }: ImageDataset): string {
  return `${size}x${size}, ${channels === 3 ? "colour" : "grey"}`;
}

function labelText({ labels }: ImageDataset): string {
  if (labels === null) return "no labels";
  return labels.kind === "vectors" ? `label vectors of ${labels.labelDim}` : `${labels.labelDim} classes`;
}

function addInfo(parent: Command): void {
  parent
    .command("info")
    .description("Tell what a data set holds: sizes, classes, mean and deviation of its pixels.")
    .argument("<path>", "zip or folder of PNGs, IDX file of images or folder of such files")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExample:\n  $ npx evenkeel dataset info emoji16.zip")
    .action(async (path, { json }) => {
      const dataset = await readData(path);
      const statistics = await datasetStatistics(dataset);
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
      console.log(`images       ${count}, ${sizeText(dataset)}`);
      console.log(
        `mean         ${statistics.mean.toFixed(4)} (channels ${list(statistics.channelMean)}), pixels as -1 to 1`,
      );
      console.log(
        `deviation    ${statistics.std.toFixed(4)} (channels ${list(statistics.channelStd)}): measured sigma_data`,
      );
      console.log(`labels       ${labelText(dataset)}`);
      for (const [i, n] of statistics.classCounts.entries())
        console.log(`  ${String(i).padStart(4)}  ${String(n).padStart(7)}  ${classNames?.[i] ?? ""}`);
      console.log(`fingerprint  ${fingerprint(dataset)}`);
    });
}

function resolution(text: string): { readonly width: number; readonly height: number } {
  const [, width, height] = (/^(\d+)x(\d+)$/.exec(text) ?? []).map(Number);
  if (width === undefined || height === undefined || width < 1 || height < 1 || height > width) {
    throw new InvalidArgumentError("wanted a size such as 32x32, or for center-crop-wide 64x36.");
  }
  return { width, height };
}
