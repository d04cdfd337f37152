import { EvenkeelError } from "../../../engine/index.ts";
import { endingOf } from "./fileKinds.ts";
import type { FileSource } from "./fileSource.ts";
import type { Notices } from "./notices.ts";
import { isNpy, type NpyHeader, npyHeaderBytes, parseNpyHeader } from "./npyFile.ts";

/** Which arrays of a source are its images and their labels. */
export type ArrayFiles = { readonly images: string; readonly labels: string | null };

type Choice =
  | ({ readonly form: "array" } & ArrayFiles)
  | { readonly form: "latents"; readonly files: readonly string[] };

/** Where there are more arrays than this, each is a picture's. */
const maximumArrays = 1000;

const none = new Uint8Array(0);

/** Names of the images among other arrays, the likeliest first. */
const likelyNames = [/train/i, /^(arr_0|images?|x|data|samples)$/i, /./];

/**
 * Decides which of the arrays of a source that holds nothing else are the images and the labels: by their shapes, then by their names.
 * Several arrays of real numbers [C, H, W] are latents, one a picture. Other arrays are named as left out.
 * @throws EvenkeelError `file` if there is none, or it isn't clear which.
 */
export async function chooseArrays(source: FileSource, all: readonly string[], notices: Notices): Promise<Choice> {
  const files = all.filter((file) => endingOf(file) === ".npy");
  const headerOf = async (file: string): Promise<NpyHeader> =>
    parseNpyHeader(await source.head(file, npyHeaderBytes), source.nameOf(file));
  const others = new Set<string>();
  const headersOf = async (some: readonly string[]): Promise<Map<string, NpyHeader>> => {
    const headers = new Map<string, NpyHeader>();
    for (const file of some) {
      // What isn't an array of numbers can't be the images.
      const header = await headerOf(file).catch(() => null);
      if (header !== null) headers.set(file, header);
      else if (isNpy(await source.head(file, npyHeaderBytes).catch(() => none))) others.add(file);
    }
    return headers;
  };
  if (source.wanted !== null) {
    const images = source.wanted;
    const headers = await headersOf([images, ...labelNames(images).filter((file) => files.includes(file))]);
    const labels = chooseLabels(images, files, headers, others, notices);
    tellOtherLabels(images, labels, files, notices);
    return { form: "array", images, labels };
  }
  for (const file of all) {
    if (endingOf(file) !== ".npy")
      notices.add("left out", "archives of arrays (.npz) within; name one to read it", file);
  }
  const [first] = files;
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${source.name} ${problem}.`);
  };
  if (first === undefined) return fail(`holds ${all.slice(0, 5).join(" and ")}: name the one to read`);
  const headers = await headersOf(files.length > maximumArrays ? [first] : files);
  if (areLatents(files, headers)) return { form: "latents", files };
  if (files.length > maximumArrays) return fail(`holds ${files.length} arrays, expected one of images [N, H, W, C]`);
  if (headers.size === 0) await headerOf(first);
  const images = chooseImages(headers);
  if (typeof images !== "string") return fail(images.problem);
  const labels = chooseLabels(images, files, headers, others, notices);
  tellOtherLabels(images, labels, files, notices);
  for (const file of files) {
    if (file !== images && file !== labels && !labelNames(images).includes(file))
      notices.add(
        "left out",
        `arrays beside the one that was read, ${images}; labels are those called so, or y_train and the like`,
        file,
      );
  }
  return { form: "array", images, labels };
}

/** Whether arrays, of which some headers are known, hold a picture's latents each: real numbers [C, H, W], equally many. */
function areLatents([first = "", second]: readonly string[], headers: ReadonlyMap<string, NpyHeader>): boolean {
  const forms = new Set([...headers.values()].map(({ type, shape }) => `${type} ${shape.join()}`));
  const [header] = headers.values();
  const isEach = second !== undefined || /img-mean-std-/.test(first);
  return isEach && forms.size === 1 && header?.shape.length === 3 && /^[<>=]f\d$/.test(header.type);
}

function chooseImages(headers: ReadonlyMap<string, NpyHeader>): string | { readonly problem: string } {
  const ofShape = [...headers].filter(([, { shape }]) => shape.length === 3 || shape.length === 4);
  const ofBytes = ofShape.filter(([, { type }]) => type === "|u1");
  const candidates = (ofBytes.length > 0 ? ofBytes : ofShape).map(([file]) => file);
  const described = [...headers].map(([file, { type, shape }]) => `${file} ([${shape.join(", ")}] of ${type})`);
  const list = described.slice(0, 8).join(", ");
  for (const likely of likelyNames) {
    const [file, second] = candidates.filter((name) => likely.test(stemOf(name)));
    if (second !== undefined) {
      return {
        problem: `holds several arrays that could be the images: ${list}. Save the one that is meant by itself`,
      };
    }
    if (file !== undefined) return file;
  }
  if (["mu", "sigma"].every((name) => described.some((each) => each.startsWith(`${name}.npy`)))) {
    return {
      problem:
        "holds mu and sigma, statistics of another program's features, which ours can't be compared with; " +
        "npx evenkeel metrics ref makes them anew of the images",
    };
  }
  return { problem: `holds no array of images, bytes [N, H, W], [N, H, W, C] or [N, C, H, W], but ${list}` };
}

/**
 * The labels of images: documented as `x-labels.npy`; others by names that say so, if their shape agrees, and then the user is told.
 * @param others arrays of anything but numbers: labels that are such are refused where they are read, with what to do.
 */
function chooseLabels(
  images: string,
  files: readonly string[],
  headers: ReadonlyMap<string, NpyHeader>,
  others: ReadonlySet<string>,
  notices: Notices,
): string | null {
  const [documented = "", ...names] = labelNames(images);
  if (files.includes(documented)) return documented;
  const count = headers.get(images)?.shape[0];
  const labels = names.find((file) => {
    // Labels that aren't numbers are lost by nobody's wish: reading them says what they are.
    if (others.has(file)) return true;
    const shape = headers.get(file)?.shape;
    return file !== images && shape !== undefined && shape.length <= 2 && shape[0] === count;
  });
  if (labels === undefined) return null;
  notices.add("guessed", "the labels, by their name", labels);
  return labels;
}

/** Tells of arrays that are called as labels and aren't taken. */
function tellOtherLabels(images: string, labels: string | null, files: readonly string[], notices: Notices): void {
  const why =
    labels === null
      ? `arrays called as labels, but not one for each image of ${images}`
      : `other arrays called as labels than those that were taken, ${labels}`;
  for (const file of labelNames(images)) {
    if (file !== labels && files.includes(file)) notices.add("left out", why, file);
  }
}

/** What the labels of images may be called, the documented name first. */
function labelNames(images: string): string[] {
  const stem = stemOf(images);
  const folder = images.slice(0, images.lastIndexOf("/") + 1);
  const own = [
    `${stem}-labels`,
    `${stem}_labels`,
    stem.replace(/image/i, "label"),
    stem.replace(/(?<![a-z])x(?![a-z])/i, "y"),
    stem.replace(/(?<![a-z])x(?![a-z])/i, "Y"),
    stem.replace(/^arr_0$/, "arr_1"),
  ];
  const general = likelyNames[1]?.test(stem) === true ? ["labels", "label", "y", "targets", "classes"] : [];
  return [...new Set([...own, ...general])].filter((name) => name !== stem).map((name) => `${folder}${name}.npy`);
}

function stemOf(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(/\.npy$/i, "");
}
