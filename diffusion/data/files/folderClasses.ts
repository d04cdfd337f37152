import { splitWords } from "../splitWords.ts";
import type { Notices } from "./notices.ts";

/** Classes that the folders of images give. */
export type FolderClasses = {
  /** In label order: sorted as text, accents and their letters in one piece. */
  readonly classNames: readonly string[];
  /** The class of each image; null for one that lies outside of the class folders. */
  readonly classes: readonly (string | null)[];
};

const onlySplit =
  "folders that only split the images and are no classes, so that all are taken together; name one to take it alone";
const onlyNumber = "folders that only number the images and are no classes; a dataset.json gives labels";
export const otherAccentsOfClasses =
  "names of classes that differ only in the form of their accents (Macs write letter and accent apart), taken for one class";
const inner =
  "folders within classes, whose images are of the class of the folder around them; to have them as classes, name one of those around instead";
const within = "classes, by folders within the one or the ones that hold all images";

/** Words before the number of a part. */
const partWords =
  /^(part|parts|batch|chunk|shard|split|fold|vol|volume|disc|disk|images?|imgs?|dir|folder|subset|zip|archive|set|block|section|page)$/;

/**
 * The classes of images by their folders: the outermost ones that aren't everybody's, and that don't just split the set (train, test) or
 * number its images (00000, 01000, part2). Null if there are fewer than two. What was passed over is told.
 * @param images their names within a source.
 */
export function folderClasses(images: readonly string[], notices: Notices): FolderClasses | null {
  let left = images.map((image) => ({ image, folders: image.normalize("NFC").split("/").slice(0, -1) }));
  const told = new Set<string>();
  let depth = 0;
  for (;;) {
    const names = [...new Set(left.flatMap(({ folders }) => folders.slice(0, 1)))].sort();
    if (names.length === 0) return null;
    const why = whyNoClasses(names, left);
    if (why === null) break;
    for (const name of names) {
      if (why !== everybodys && !told.has(name)) notices.add("guessed", why, name);
      told.add(name);
    }
    depth++;
    left = left.map(({ image, folders }) => ({ image, folders: folders.slice(1) }));
  }
  const classes = left.map(({ folders: [first] }) => first ?? null);
  const classNames = [...new Set(classes.filter((name) => name !== null))].sort();
  const outside = classes.filter((name) => name === null).length;
  if (outside > images.length / 2) {
    for (const name of classNames) {
      notices.add("guessed", "folders that aren't taken for classes, as most images lie outside of them", name);
    }
    return null;
  }
  for (const name of otherSpellings(images.map((image) => image.split("/").slice(0, -1)[depth] ?? ""))) {
    notices.add("guessed", otherAccentsOfClasses, name);
  }
  for (const name of innerFolders(left)) notices.add("guessed", inner, name);
  if (depth > 0) for (const name of classNames) notices.add("guessed", within, name);
  return { classNames, classes };
}

/** Folders within those that are classes, unless all are called alike (tiny-imagenet's `images`) and so say nothing. */
function innerFolders(entries: readonly Entry[]): readonly string[] {
  const deep = entries.filter(({ folders }) => folders.length > 1);
  const names = new Set(deep.map(({ folders: [, second] }) => second));
  return names.size < 2 ? [] : [...new Set(deep.map(({ folders }) => folders.slice(0, 2).join("/")))];
}

/** Names that are there with accents in one piece and with accents apart, in all their forms. */
export function otherSpellings(names: readonly string[]): readonly string[] {
  const forms = new Map<string, Set<string>>();
  for (const name of new Set(names)) {
    const composed = name.normalize("NFC");
    forms.set(composed, (forms.get(composed) ?? new Set()).add(name));
  }
  return [...forms.values()].flatMap((each) => (each.size > 1 ? [...each] : []));
}

type Entry = { readonly image: string; readonly folders: readonly string[] };

const everybodys = "the folder of all images";

/** Why the outermost folders aren't classes; null if they are. */
function whyNoClasses(names: readonly string[], entries: readonly Entry[]): string | null {
  if (names.length === 1) return everybodys;
  if (areSplits(names)) return onlySplit;
  if (areParts(names) || numberImages(names, entries)) return onlyNumber;
  return null;
}

/** `train` and `test`; `seg_train`, `seg_test`; `train2017`, `val2017`: but for such a word and numbers they are alike. */
function areSplits(names: readonly string[]): boolean {
  const rests = names.map((name) => {
    const words = name.toLowerCase().match(/\p{L}+/gu) ?? [];
    const rest = words.filter((word) => !splitWords.test(word));
    return rest.length < words.length ? rest.join(" ") : null;
  });
  return rests[0] !== null && rests.every((rest) => rest === rests[0]);
}

/** `part1`, `part2`; `images_001`; days and months as `2021-05-03`; cameras' `100CANON`. */
function areParts(names: readonly string[]): boolean {
  const forms = names.map((name) => {
    const [, word = "", number] = /^(\p{L}*)[\s._-]*(\d+)$/u.exec(name) ?? [];
    if (number !== undefined && partWords.test(word.toLowerCase())) return `part ${word.toLowerCase()}`;
    if (/^(19|20)\d\d([-_.])(0[1-9]|1[0-2])(\2(0[1-9]|[12]\d|3[01]))?$/.test(name)) return "date";
    if (/^\d{3}[A-Z0-9_]{5}$/.test(name) && !/^\d+$/.test(name)) return "camera";
    return null;
  });
  return forms[0] !== null && forms.every((form) => form === forms[0]);
}

/**
 * Whether folders called by numbers hold the images of those numbers: from their own number up to the next folder's (00000, 01000), those
 * that begin with it (00001/00001234), or those that end with it or begin with it in hexadecimal, as spread by numbers or hashes.
 */
function numberImages(names: readonly string[], entries: readonly Entry[]): boolean {
  if (!names.every((name) => /^[0-9a-f]+$/i.test(name))) return false;
  const inside = entries.flatMap(({ image, folders: [folder] }) =>
    folder === undefined ? [] : [{ folder, stem: image.slice(image.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "") }],
  );
  const length = names[0]?.length ?? 0;
  const areEquallyLong = names.every((name) => name.length === length);
  const digitsOf = (stem: string): string => /(\d+)\D*$/.exec(stem)?.[1] ?? "";
  if (areEquallyLong && length >= 2) {
    const isHash = (stem: string): boolean => /^[0-9a-f]{8,}$/i.test(stem);
    if (inside.every(({ folder, stem }) => isHash(stem) && stem.toLowerCase().startsWith(folder.toLowerCase())))
      return true;
  }
  if (!names.every((name) => /^\d+$/.test(name))) return false;
  if (areEquallyLong && length >= 3) {
    const isLonger = inside.every(({ stem }) => digitsOf(stem).length > length);
    if (isLonger && inside.every(({ folder, stem }) => digitsOf(stem).startsWith(folder))) return true;
    if (isLonger && inside.every(({ folder, stem }) => digitsOf(stem).endsWith(folder))) return true;
  }
  const begins = names.map(Number).sort((a, b) => a - b);
  // Classes 0, 1, 2 with an image of that number in each aren't numbered on.
  if (begins.some((begin, i) => i > 0 && begin - (begins[i - 1] ?? 0) < 10)) return false;
  const ends = new Map(begins.map((begin, i) => [begin, begins[i + 1] ?? Infinity]));
  return inside.every(({ folder, stem }) => {
    const [begin, digits] = [Number(folder), digitsOf(stem)];
    return digits !== "" && Number(digits) >= begin && Number(digits) < (ends.get(begin) ?? 0);
  });
}
