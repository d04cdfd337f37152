import { EvenkeelError } from "../../../engine/index.ts";
import { type FolderClasses, folderClasses, otherAccentsOfClasses, otherSpellings } from "./folderClasses.ts";
import { type FileSource, isTooLarge } from "./fileSource.ts";
import { cleanName, type FileLabel, isLabelFile, type LabelFile, labelFileName, parseLabelFile } from "./labelFile.ts";
import { likelyNameClasses, nameClasses } from "./nameClasses.ts";
import { Notices } from "./notices.ts";

/** Images that stay in the set, with their labels in the same order. */
export type Labels = {
  readonly images: readonly string[];
  readonly labels: number[] | number[][] | null;
  readonly classNames: readonly string[] | null;
};

/** A label file is no longer than this: labels of images that aren't there, and a name and a vector for each that is. */
const [otherLabels, labelBytes] = [2 ** 24, 2 ** 15];

export const outsideOfClasses =
  "images outside of the class folders; put them into one, or make all folders one for a set without classes";
const otherAccents = `images whose names have accents in another form than in ${labelFileName} (Macs write letter and accent apart), taken for the same`;
export const withoutNameClass = "images that aren't called by a class and a number, such as cat.12.jpg";
export const withoutLabel = `images that ${labelFileName} has no label for; give them one there`;

/** What labels are taken from: `dataset.json` or folders, where they are; or what images are called, such as `cat.12.jpg`. */
export type LabelOrigin = "files" | "names";

const namesLikeClasses =
  "classes that images seem to be called by, which weren't taken as labels; dataset convert --labels-from names does, or put each into a " +
  "folder of its own";

/**
 * The labels of images: of `dataset.json`, as the reference has it, in the folder that holds all of them; or of their folders. Images
 * without a label where others have one are left out. Whatever is left out or guessed is told.
 * @throws EvenkeelError `file` if a `dataset.json` is damaged, or describes none of the images.
 */
export async function readLabels(
  source: FileSource,
  images: readonly string[],
  notices: Notices,
  origin: LabelOrigin = "files",
): Promise<Labels> {
  if (origin === "names") return labelsOfNames(source, images, notices);
  const file = chooseLabelFile(source, images, notices);
  if (file === null) return labelsOfFolders(images, notices);
  const limit = otherLabels + images.length * labelBytes;
  const bytes = await source.read(file, limit).catch((cause: unknown) => {
    if (!isTooLarge(cause)) throw cause;
    const why = `${cause.message}, which the labels of ${images.length} images don't take. Leave out those of other images.`;
    throw new EvenkeelError("file", why, { cause });
  });
  const described = parseLabelFile(bytes, source.nameOf(file), notices);
  if (described === null) {
    notices.add(
      "left out",
      `${labelFileName} without an entry "labels"; folders give labels instead, if they do`,
      file,
    );
    return labelsOfFolders(images, notices);
  }
  const { labels } = described;
  if (labels !== null && [...labels.values()].some((label) => label !== null)) {
    return labelsOfFile(source, file, labels, described.classNames, images, notices);
  }
  if (labels !== null) {
    for (const image of images) {
      notices.add(
        "guessed",
        `images of a set without labels, as ${labelFileName} lists no label that isn't null`,
        image,
      );
    }
  }
  for (const name of folderClasses(images, new Notices())?.classNames ?? []) {
    notices.add(
      "guessed",
      `folders that aren't taken for classes, as ${labelFileName} says that there are no labels; without it they are`,
      name,
    );
  }
  return { images, labels: null, classNames: described.classNames };
}

/** The file that describes images: of those whose folder holds most of them the least deep one. Those that aren't used are told. */
function chooseLabelFile({ files }: FileSource, images: readonly string[], notices: Notices): string | null {
  const all = files.filter(isLabelFile);
  const holdsMost = (file: string): boolean => {
    const base = file.slice(0, file.length - labelFileName.length);
    return images.filter((image) => image.startsWith(base)).length > images.length / 2;
  };
  const found = all.filter(holdsMost);
  const depthOf = (file: string): number => file.split("/").length;
  const least = Math.min(...found.map(depthOf));
  const chosen = found.find((file) => depthOf(file) === least) ?? null;
  for (const other of all) {
    if (other !== chosen)
      notices.add("left out", `${labelFileName} files of a part of the images; only one of all is used`, other);
  }
  return chosen;
}

function labelsOfFolders(images: readonly string[], notices: Notices): Labels {
  const found = folderClasses(images, notices);
  if (found === null) {
    for (const name of likelyNameClasses(images)) notices.add("guessed", namesLikeClasses, name);
    return { images, labels: null, classNames: null };
  }
  return labelled(images, found, outsideOfClasses, notices);
}

/** Labels that the names of images give; other labels are told. */
function labelsOfNames(source: FileSource, images: readonly string[], notices: Notices): Labels {
  for (const file of source.files.filter(isLabelFile))
    notices.add("left out", "labels in files, as those of names were asked for", file);
  const classes = nameClasses(images);
  const classNames = [...new Set(classes.filter((name) => name !== null))].sort();
  if (classNames.length === 0) {
    throw new EvenkeelError(
      "file",
      `${source.name}: no image is called by a class and a number, such as cat.12.jpg; ${JSON.stringify(images[0])} is one of ${images.length}.`,
    );
  }
  return labelled(images, { classNames, classes }, withoutNameClass, notices);
}

/** @param outside what is told of images of no class. */
function labelled(
  images: readonly string[],
  { classNames, classes }: FolderClasses,
  outside: string,
  notices: Notices,
): Labels {
  const numbers = new Map(classNames.map((name, number) => [name, number]));
  const [kept, labels]: [string[], number[]] = [[], []];
  for (const [i, image] of images.entries()) {
    const name = classes[i] ?? null;
    if (name === null) notices.add("left out", outside, image);
    else {
      kept.push(image);
      labels.push(numbers.get(name) ?? 0);
    }
  }
  return { images: kept, labels, classNames };
}

function labelsOfFile(
  source: FileSource,
  file: string,
  byName: NonNullable<LabelFile["labels"]>,
  names: readonly string[] | null,
  images: readonly string[],
  notices: Notices,
): Labels {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${source.nameOf(file)} ${problem}.`);
  };
  const base = file.slice(0, file.length - labelFileName.length);
  const nameOf = namesInFile(images, base, byName, notices);
  const used = new Set(nameOf.values());
  const [kept, found]: [string[], Exclude<FileLabel, null>[]] = [[], []];
  const missing: string[] = [];
  for (const image of images) {
    const label = byName.get(nameOf.get(image) ?? "") ?? null;
    if (label === null) missing.push(image);
    else {
      kept.push(image);
      found.push(label);
    }
  }
  if (kept.length === 0) {
    const [named = ""] = byName.keys();
    return fail(
      `has a label for none of the ${images.length} images: it has ${JSON.stringify(named)}, and an image is ${JSON.stringify((images[0] ?? "").slice(base.length))}. ` +
        "Its names are those of files from its own folder on",
    );
  }
  for (const image of missing) notices.add("left out", withoutLabel, image);
  for (const name of byName.keys()) {
    if (!used.has(name)) notices.add("left out", `labels in ${labelFileName} of images that aren't there`, name);
  }
  return { images: kept, ...numbered(found, names, notices, fail) };
}

/** The names under which a label file has images: their own, or else one that differs only in how accents are written, which is told. */
function namesInFile(
  images: readonly string[],
  base: string,
  byName: ReadonlyMap<string, FileLabel>,
  notices: Notices,
): ReadonlyMap<string, string> {
  // Names are those from the file's folder on, but may begin with it.
  const candidates = (image: string): string[] =>
    (image.startsWith(base) ? [image.slice(base.length), image] : [image]).map(cleanName);
  const found = new Map<string, string>();
  for (const image of images) {
    const name = candidates(image).find((each) => byName.has(each));
    if (name !== undefined) found.set(image, name);
  }
  if (found.size === images.length) return found;
  const used = new Set(found.values());
  const byComposed = new Map<string, string | null>();
  for (const name of byName.keys()) {
    const composed = name.normalize("NFC");
    if (!used.has(name)) byComposed.set(composed, byComposed.has(composed) ? null : name);
  }
  for (const image of images) {
    if (found.has(image)) continue;
    const composed = candidates(image)
      .map((each) => each.normalize("NFC"))
      .find((each) => (byComposed.get(each) ?? null) !== null);
    const name = byComposed.get(composed ?? "") ?? null;
    if (composed === undefined || name === null) continue;
    found.set(image, name);
    byComposed.delete(composed);
    notices.add("guessed", otherAccents, image);
  }
  return found;
}

/** Classes by name become numbers: of the names in the file, or sorted. Whether numbers are classes is checked where the set is made. */
function numbered(
  labels: readonly Exclude<FileLabel, null>[],
  names: readonly string[] | null,
  notices: Notices,
  fail: (problem: string) => never,
): Pick<Labels, "labels" | "classNames"> {
  const written = labels.filter((label) => typeof label === "string");
  const texts = written.map((text) => text.normalize("NFC"));
  for (const name of otherSpellings(written)) notices.add("guessed", otherAccentsOfClasses, name);
  if (texts.length === 0) return { labels: labels as number[] | number[][], classNames: names };
  if (texts.length < labels.length)
    return fail(`has ${texts.length} classes by name among ${labels.length} labels; give all by name or none`);
  const classNames = names ?? [...new Set(texts)].sort();
  const numbers = new Map(classNames.map((name, number) => [name, number]));
  const classOf = (name: string): number =>
    numbers.get(name) ?? fail(`has the class ${JSON.stringify(name)}, which isn't among its classNames`);
  return { labels: texts.map(classOf), classNames };
}
