import { EvenkeelError } from "../../../engine/index.ts";
import { parseJson } from "./jsonText.ts";

/** The name of the file that describes a data set's images. */
export const labelFileName = "dataset.json";

/** Whether a file is one, in whatever case its name is written. */
export function isLabelFile(file: string): boolean {
  return /(^|\/)dataset\.json$/i.test(file);
}

/** A label as a file has it: a class by number or name, a vector, or none. */
export type FileLabel = number | string | readonly number[] | null;

/** What a `dataset.json` says. `labels` is null where it says that there are none. */
export type LabelFile = {
  /** By the names that it has, cleaned: `/` between folders, no `.`, accents in one piece. */
  readonly labels: ReadonlyMap<string, FileLabel> | null;
  readonly classNames: readonly string[] | null;
};

const form =
  'expected {"labels": [["folder/image.png", CLASS], ...]}, CLASS a number from 0 on, a name or a list of numbers';

/**
 * Reads `{"labels": [["00000/img00000000.png", 6], ...], "classNames": [...]}`. Labels may also be an object from names to labels, or null;
 * null if the file has no such entry.
 * @throws EvenkeelError `file` that says what is wrong, where, and the form that is wanted.
 */
export function parseLabelFile(bytes: Uint8Array, name: string): LabelFile | null {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem}; ${form}.`);
  };
  const json = parseJson(bytes, name);
  if (typeof json !== "object" || json === null || Array.isArray(json)) return fail(`it is ${shown(json)}`);
  if (!Object.hasOwn(json, "labels")) return null;
  const { labels = null, classNames = null } = json as { readonly labels?: unknown; readonly classNames?: unknown };
  if (classNames !== null && !(Array.isArray(classNames) && classNames.every((each) => typeof each === "string"))) {
    return fail(`classNames is ${shown(classNames)}, expected a list of texts`);
  }
  if (labels === null) return { labels: null, classNames };
  if (typeof labels !== "object") return fail(`labels is ${shown(labels)}`);
  const found = new Map<string, FileLabel>();
  const add = (file: string, label: unknown, place: string): void => {
    if (!isLabel(label)) fail(`${place} is ${shown(label)}`);
    const cleaned = cleanName(file);
    const before = found.get(cleaned);
    if (before !== undefined && String(before) !== String(label)) fail(`it has two labels for an image, ${file}`);
    found.set(cleaned, label as FileLabel);
  };
  if (Array.isArray(labels)) {
    for (const [i, entry] of labels.entries()) {
      if (!Array.isArray(entry) || entry.length !== 2 || typeof entry[0] !== "string") {
        return fail(`labels[${i}] is ${shown(entry)}`);
      }
      add(entry[0], entry[1], `labels[${i}]`);
    }
  } else for (const [file, label] of Object.entries(labels)) add(file, label, `labels of ${shown(file)}`);
  return { labels: found, classNames };
}

function isLabel(label: unknown): label is FileLabel {
  if (Array.isArray(label)) return label.every((value) => typeof value === "number");
  return label === null || typeof label === "number" || typeof label === "string";
}

/** A name of a file as it is compared: as sources have it, with accents and their letters in one piece. */
export function cleanName(file: string): string {
  const parts = file.split(/[\\/]/).filter((part) => part !== "" && part !== ".");
  return parts.join("/").normalize("NFC");
}

/** The beginning of a value, as JSON. */
function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    const names = Object.keys(value);
    if (!Array.isArray(value))
      return `an object of ${names.length} entries (${names
        .slice(0, 3)
        .map((each) => each.slice(0, 40))
        .join(", ")})`;
    if (value.length > 6) return `a list of ${value.length}`;
    // What lies deeper may lie very deep.
    const items = value.map((each: unknown) =>
      typeof each === "object" && each !== null ? (Array.isArray(each) ? "[...]" : "{...}") : shown(each),
    );
    return `[${items.join(",")}]`;
  }
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
