import { EvenkeelError } from "../../../engine/index.ts";
import { type ArrayFiles, chooseArrays } from "./chooseArrays.ts";
import { fileKindOf, holdsIdxImages, misnamedPictures, startsLikePicture, unknownFiles } from "./fileKinds.ts";
import type { FileSource } from "./fileSource.ts";
import { describeNotice, type Notices } from "./notices.ts";

/** What a source holds: pictures in files of their own, or all of them in one file, or the latents of pictures, one a file. */
export type Contents =
  | { readonly form: "pictures"; readonly files: readonly string[] }
  | { readonly form: "idx"; readonly images: string; readonly labels: string | null }
  | ({ readonly form: "array" } & ArrayFiles)
  | { readonly form: "latents"; readonly files: readonly string[] };

/** Files whose first bytes are looked at, at most: what is no picture by its name may be one. */
const maximumGlances = 1000;

/**
 * Decides which files of a source are its images. Every other file is named as left out, by kinds. IDX files that lie in the source
 * itself come before pictures, pictures before IDX files deeper within, and both before arrays.
 * @throws EvenkeelError `file` if there are no images, or it isn't clear which of several files is meant.
 */
export async function contentsOf(source: FileSource, notices: Notices): Promise<Contents> {
  const pictures: string[] = [];
  const idx: string[] = [];
  const arrays: string[] = [];
  const labelFiles: string[] = [];
  let glances = 0;
  for (const file of source.files) {
    const kind = fileKindOf(file);
    switch (kind.kind) {
      case "picture":
        pictures.push(file);
        break;
      case "idx":
        idx.push(file);
        break;
      case "array":
        arrays.push(file);
        break;
      case "labels":
        labelFiles.push(file);
        break;
      case "otherPicture":
      case "other": {
        const isDoubtful = kind.kind === "otherPicture" || kind.what === unknownFiles;
        const isMisnamed = isDoubtful && glances++ < maximumGlances && startsLikePicture(await glance(source, file));
        notices.add("left out", isMisnamed ? misnamedPictures : kind.what, file);
      }
    }
  }
  const leaveOut = (files: readonly string[], what: string): void => {
    for (const file of files) notices.add("left out", what, file);
  };
  const images = chooseIdx(source, idx);
  if (images !== null && (pictures.length === 0 || source.wanted !== null || !images.includes("/"))) {
    const labels = idxLabelsOf(images, idx);
    if (source.wanted === null) {
      leaveOut(
        idx.filter((file) => file !== images && file !== labels),
        `other IDX files than the one that was read, ${images}`,
      );
      leaveOut(pictures, `pictures beside the IDX file that was read, ${images}; to read them, take it away`);
      leaveOut(arrays, `arrays beside the IDX file that was read, ${images}`);
      leaveOut(labelFiles, "files of labels of pictures; those of an IDX file are in another one");
    }
    return { form: "idx", images, labels };
  }
  if (pictures.length > 0) {
    leaveOut(idx, "IDX files beside the pictures; to read one, name it instead of the folder");
    leaveOut(arrays, "arrays beside the pictures; to read one, name it instead of the folder");
    return { form: "pictures", files: pictures };
  }
  leaveOut(idx, "IDX files of labels, without their images");
  if (arrays.length > 0) {
    const chosen = await chooseArrays(source, arrays, notices);
    if (chosen.form === "array" && source.wanted === null) {
      leaveOut(labelFiles, "files of labels of pictures; those of an array are in another one");
    }
    return chosen;
  }
  throw new EvenkeelError("file", `${source.name} holds no images.${foundInstead(notices)}`);
}

/** A file's first bytes; none if it can't be read, which others will say. */
async function glance(source: FileSource, file: string): Promise<Uint8Array> {
  return source.head(file, 16).catch(() => new Uint8Array(0));
}

/**
 * The IDX file of images that is meant: the one that is named, or of those that lie least deep the one for training, or the only one.
 * Null if there is none.
 */
function chooseIdx({ name, wanted, files: all }: FileSource, idx: readonly string[]): string | null {
  const images = idx.filter(holdsIdxImages);
  if (wanted !== null && idx.includes(wanted)) {
    if (!images.includes(wanted)) {
      throw new EvenkeelError("file", `${name}: ${wanted} holds labels; name the file of the images.`);
    }
    return wanted;
  }
  if (wanted !== null || images.length === 0) return null;
  const depthOf = (file: string): number => file.split("/").length;
  const least = Math.min(...images.map(depthOf));
  const nearest = images.filter((file) => depthOf(file) === least);
  const forTraining = nearest.filter((file) => /(^|[^a-z])train/i.test(baseName(file)));
  const meant = forTraining.length > 0 ? forTraining : nearest;
  // Packed or not, with a dot or a line: the same file.
  const sets = new Set(
    meant.map((file) =>
      baseName(file)
        .toLowerCase()
        .replace(/[-._]?idx3.*$/, ""),
    ),
  );
  if (sets.size === 1) return meant[0] ?? null;
  // Several sets beside pictures: those are meant.
  if (all.some((file) => fileKindOf(file).kind === "picture")) return null;
  throw new EvenkeelError("file", `${name} holds ${meant.slice(0, 5).join(" and ")}: name the one to read.`);
}

function baseName(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1);
}

/**
 * The labels' file of an images' file: `train-labels-idx1-ubyte` of `train-images-idx3-ubyte`, packed or not, with dots for lines (as
 * some unpackers make them) or not, or each in its own folder.
 */
function idxLabelsOf(images: string, idx: readonly string[]): string | null {
  const toLabels = (part: string): string => part.replace(/image(s?[-._])idx3/i, "label$1idx1");
  const plain = (name: string): string => {
    const own = baseName(name);
    return name.slice(0, name.length - own.length) + own.replace(/\.gz$/i, "").replace(/[-._]+/g, "-");
  };
  const file = baseName(images);
  const beside = images.slice(0, images.length - file.length) + toLabels(file);
  const inOwnFolder = images.split("/").map(toLabels).join("/");
  for (const name of [beside, inOwnFolder]) {
    const alike = idx.filter((each) => plain(each) === plain(name) && each !== images);
    const [first = null] = alike;
    if (first !== null) return alike.includes(name) ? name : first;
  }
  return null;
}

/** What there is where nothing was expected, for a message. */
function foundInstead(notices: Notices): string {
  return notices.list.map((notice) => ` ${describeNotice(notice)}`).join("");
}
