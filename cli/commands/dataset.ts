import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import {
  checkedLabels,
  datasetStatistics,
  duplicateNote,
  type ImageDataset,
  joinDatasets,
  labelDimOf,
  labelNotes,
  pixelNotes,
  fingerprint,
} from "../../diffusion/data/index.ts";
import {
  convertDataset,
  findEmojiPackage,
  holdsLatents,
  latentFacts,
  type LatentFacts,
  type Survey,
  surveyPictures,
  transforms,
  writeDataset,
} from "../../diffusion/data/node.ts";
import { EvenkeelError, printable } from "../../engine/index.ts";
import { classRows, classTable, describeLabels } from "../describeLabels.ts";
import { parseImages } from "../../diffusion/settings/index.ts";
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
      "folders or zips of images, IDX files (or a folder or zip of them), .npy and .npz arrays, emoji-datasource-google, -twitter",
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
    .addOption(
      new Option(
        "--labels-from <where>",
        "what gives labels: files (dataset.json or folders), or names as of cat.12.jpg",
      )
        .choices(["files", "names"] as const)
        .default("files" as const),
    )
    .option("--greyscale", "one channel instead of three")
    .option("--background <colour>", "what shows through transparent pictures", "#ffffff")
    .addHelpText(
      "after",
      `
Pictures may be PNG, JPEG, WebP, GIF, TIFF, AVIF and BMP. What is left out, changed or guessed is said in a line each; a damaged
picture is left out unless --strict is given.
Labels come from the source's dataset.json, or else from its outermost folders; with --labels-from names from what stands before the
number in pictures' names. Those of x-images-idx3-ubyte come from x-labels-idx1-ubyte, those of x.npy (bytes, [N, H, W], [N, H, W, C]
or [N, C, H, W]) from x-labels.npy.

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
      const unnamed = parts.filter(({ labels, classNames }) => labels?.kind === "classes" && classNames === null);
      if (parts.length > 1 && unnamed.length > 0) {
        const names = unnamed.map(({ name }) => printable(name)).join(", ");
        console.error(
          `Guessed ${parts.length}: classes of all sources, matched by number, as those of ${unnamed.length} have no names (${names}).`,
        );
      }
      await tellingOf((reading) => writeDataset(dest, joined, reading));
      console.log(`${dest}: ${joined.count} images, ${sizeText(joined)}, ${describeLabels(joined)}`);
      for (const note of [...labelNotes(joined), ...pixelNotes(joined)]) console.error(`Note: ${note}.`);
    });
}

function sizeText({ resolution: size, channels }: ImageDataset): string {
  return `${size}x${size}, ${channels === 3 ? "colour" : "grey"}`;
}

function addInfo(parent: Command): void {
  parent
    .command("info")
    .description("Tell what a data set holds, and what looks wrong: sizes, classes, mean and deviation of its pixels.")
    .argument(
      "<path>",
      "zip or folder of pictures or latents, IDX file of images (or a folder or zip of them), .npy or .npz array",
    )
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExample:\n  $ npx evenkeel dataset info emoji16.zip")
    .action(async (path, { json }) => {
      if (await holdsLatents(path)) {
        const facts = await tellingOf((reading) => latentFacts(path, reading));
        console.log(json === true ? JSON.stringify({ path, ...facts }, null, 2) : describeLatents(path, facts));
        return;
      }
      const { dataset, survey } = await lookInto(path);
      if (dataset === null) {
        if (json === true) {
          const { count, sizes } = survey;
          console.log(
            JSON.stringify({ path, count, sizes: Object.fromEntries(sizes), classes: classRows(survey) }, null, 2),
          );
        } else for (const line of describeSurvey(survey)) console.log(line);
        return;
      }
      const { statistics, duplicates } = await tellingOf(async ({ onProgress }) => ({
        statistics: await datasetStatistics(dataset, (done, total) => onProgress("counting pixels", done, total)),
        duplicates: await duplicateNote(dataset, (done, total) => onProgress("comparing images", done, total)),
      }));
      const notes = [...labelNotes(dataset), ...pixelNotes(dataset), ...(duplicates === null ? [] : [duplicates])];
      const { count, resolution: size, channels, classNames, labels } = dataset;
      if (json === true) {
        const facts = {
          count,
          resolution: size,
          channels,
          labelDim: labelDimOf(dataset),
          labels: labels?.kind ?? null,
          classNames,
          classes: classRows(dataset),
        };
        console.log(
          JSON.stringify({ path, ...facts, ...statistics, fingerprint: fingerprint(dataset), notes }, null, 2),
        );
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
      console.log(`labels       ${describeLabels(dataset)}`);
      for (const line of classTable(dataset)) console.log(line);
      for (const note of notes) console.log(`note         ${note}`);
      console.log(`fingerprint  ${fingerprint(dataset)}`);
    });
}

type SurveyedSet = Omit<Survey, "labels"> & Pick<ImageDataset, "labels">;

/** A data set, or, of pictures that training doesn't take as they are, their sizes and labels. */
async function lookInto(
  path: string,
): Promise<
  { readonly dataset: ImageDataset; readonly survey: null } | { readonly dataset: null; readonly survey: SurveyedSet }
> {
  try {
    return { dataset: await readData(path), survey: null };
  } catch (reason) {
    if (!(reason instanceof EvenkeelError) || reason.code !== "file") throw reason;
    const survey = await tellingOf((reading) => surveyPictures(path, reading)).catch((): never => {
      throw reason;
    });
    return { dataset: null, survey: { ...survey, labels: checkedLabels({ name: path, ...survey }) } };
  }
}

/** Sizes that a line each is for. */
const shownSizes = 10;

function describeSurvey(survey: SurveyedSet): readonly string[] {
  const { count, sizes } = survey;
  const rest = sizes.slice(shownSizes);
  return [
    `pictures     ${count}, of ${sizes.length} ${sizes.length === 1 ? "size" : "sizes"}; npx evenkeel dataset convert makes a data set of them`,
    ...sizes.slice(0, shownSizes).map(([size, own]) => `  ${size.padStart(11)}  ${String(own).padStart(7)}`),
    ...(rest.length === 0
      ? []
      : [
          `          ...  ${String(rest.reduce((sum, [, own]) => sum + own, 0)).padStart(7)}  of ${rest.length} other sizes`,
        ]),
    `labels       ${describeLabels(survey)}`,
    ...classTable(survey),
    ...labelNotes(survey).map((note) => `note         ${note}`),
  ];
}

function describeLatents(path: string, facts: LatentFacts): string {
  const { count, channels, height, width, channelMean, channelStd } = facts;
  const list = (numbers: readonly number[]): string => numbers.map((n) => n.toFixed(4)).join(" ");
  const labelled = { ...facts, labels: checkedLabels({ name: path, ...facts }) };
  return [
    `latents      ${count}, means and deviations of ${channels} channels of ${height}x${width}`,
    `mean         channels ${list(channelMean)}`,
    `deviation    channels ${list(channelStd)}, of what is drawn from them`,
    `labels       ${describeLabels(labelled)}`,
    ...classTable(labelled),
    ...labelNotes(labelled).map((note) => `note         ${note}`),
  ].join("\n");
}

function resolution(text: string): { readonly width: number; readonly height: number } {
  const [, width, height] = (/^(\d+)x(\d+)$/.exec(text) ?? []).map(Number);
  if (width === undefined || height === undefined || width < 1 || height < 1 || height > width) {
    throw new InvalidArgumentError("wanted a size such as 32x32, or for center-crop-wide 64x36.");
  }
  return { width, height };
}
