import { EvenkeelError } from "../../../engine/index.ts";
import { type JsonMember, membersOf } from "./jsonMembers.ts";
import { parseJson, textOf } from "./jsonText.ts";
import type { Notices } from "./notices.ts";

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
  /** By the names that it has, cleaned: `/` between folders, no `.`. */
  readonly labels: ReadonlyMap<string, FileLabel> | null;
  readonly classNames: readonly string[] | null;
};

const otherEntries = `entries of ${labelFileName} that aren't read; it has "labels" and "classNames"`;
const repeatedLabels = `labels in ${labelFileName} of images that have the same one there already`;

const form =
  'expected {"labels": [["folder/image.png", CLASS], ...]}, CLASS a number from 0 on, a name or a list of numbers';

/**
 * Reads `{"labels": [["00000/img00000000.png", 6], ...], "classNames": [...]}`. Labels may also be an object from names to labels, or null;
 * null if the file has no such entry. An image may be there twice with one label, which is told, as other entries are.
 * @throws EvenkeelError `file` that says what is wrong, where, and the form that is wanted.
 */
export function parseLabelFile(bytes: Uint8Array, name: string, notices: Notices): LabelFile | null {
  const fail = (problem: string): never => {
    throw new EvenkeelError("file", `${name}: ${problem}; ${form}.`);
  };
  const text = textOf(bytes, name);
  const json = parseJson(text, name);
  if (typeof json !== "object" || json === null || Array.isArray(json)) return fail(`it is ${shown(json)}`);
  if (!Object.hasOwn(json, "labels")) return null;
  const { labels = null, classNames = null } = json as { readonly labels?: unknown; readonly classNames?: unknown };
  if (classNames !== null && !(Array.isArray(classNames) && classNames.every((each) => typeof each === "string"))) {
    return fail(`classNames is ${shown(classNames)}, expected a list of texts`);
  }
  const members = new Map<string, JsonMember>();
  for (const member of membersOf(text, text.indexOf("{"))) {
    if (member.name !== "labels" && member.name !== "classNames") notices.add("left out", otherEntries, member.name);
    else if (members.has(member.name))
      return fail(`it has "${member.name}" twice, of which one would be lost; join them`);
    else members.set(member.name, member);
  }
  const named = classNames?.map((each: string) => each.normalize("NFC")) ?? null;
  if (labels === null) return { labels: null, classNames: named };
  if (typeof labels !== "object") return fail(`labels is ${shown(labels)}`);
  const found = new Map<string, FileLabel>();
  const contradicted = new Set<string>();
  const add = (file: string, label: unknown, place: string): void => {
    if (!isLabel(label)) return fail(`${place} is ${shown(label)}`);
    const cleaned = cleanName(file);
    const before = found.get(cleaned);
    if (before === undefined) found.set(cleaned, label);
    else if (JSON.stringify(before) === JSON.stringify(label)) notices.add("left out", repeatedLabels, file);
    else contradicted.add(cleaned);
  };
  if (Array.isArray(labels)) {
    for (const [i, entry] of labels.entries()) {
      if (!Array.isArray(entry) || entry.length !== 2 || typeof entry[0] !== "string") {
        return fail(`labels[${i}] is ${shown(entry)}`);
      }
      add(entry[0], entry[1], `labels[${i}]`);
    }
  } else {
    for (const { name: file, start, end } of membersOf(text, members.get("labels")?.start ?? 0)) {
      add(file, JSON.parse(text.slice(start, end)), `labels of ${shown(file)}`);
    }
  }
  if (contradicted.size > 0) {
    const images = [...contradicted].slice(0, 5).map(shown).join(", ");
    return fail(
      `it has different labels for the same images, ${contradicted.size} of them (${images}); leave one each`,
    );
  }
  return { labels: found, classNames: named };
}

function isLabel(label: unknown): label is FileLabel {
  if (Array.isArray(label)) return label.every((value) => typeof value === "number");
  return label === null || typeof label === "number" || typeof label === "string";
}

/** A name of a file as sources have it. */
export function cleanName(file: string): string {
  return file
    .split(/[\\/]/)
    .filter((part) => part !== "" && part !== ".")
    .join("/");
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
