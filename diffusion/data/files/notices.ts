import { printable } from "../../../engine/index.ts";

/** What happened to a part of the data on its way: it isn't in the result, is there in another form, or its meaning was inferred. */
export type Effect = "left out" | "changed" | "guessed";

/** One kind of thing that happened, with how often and to what. */
export type Notice = {
  readonly effect: Effect;
  /** What the things are, why, and what to do, such as "HEIC pictures, which can't be decoded here; save them as JPEG or PNG". */
  readonly what: string;
  readonly count: number;
  /** The first ones. */
  readonly names: readonly string[];
};

/** Names that a notice keeps. */
const keptNames = 100;

/** Collects what readers left out, changed or guessed, by kinds, so that a user gets one line for each. */
export class Notices {
  readonly #kinds = new Map<string, { effect: Effect; what: string; count: number; names: string[] }>();

  /**
   * Counts one more of a kind, or several.
   * @param what a text of the program's, one of few; names of files go into `name`.
   */
  add(effect: Effect, what: string, name: string | null, count = 1): void {
    const key = `${effect}: ${what}`;
    const kind = this.#kinds.get(key) ?? { effect, what, count: 0, names: [] };
    this.#kinds.set(key, kind);
    kind.count += count;
    if (name !== null && kind.names.length < keptNames) kind.names.push(name);
  }

  /** In the order in which the kinds were first met. */
  get list(): readonly Notice[] {
    return [...this.#kinds.values()];
  }
}

/**
 * A notice in one line: `Left out 12 (a.heic, b.heic, ...): HEIC pictures, which ...`. Holds no control characters.
 * @example
 * ```ts
 * const notices = new Notices();
 * for (const name of ["a.heic", "b.heic"]) notices.add("left out", "HEIC pictures, which can't be decoded here", name);
 * console.log(notices.list.map(describeNotice)[0]); // Left out 2 (a.heic, b.heic): HEIC pictures, which can't be decoded here.
 * ```
 */
export function describeNotice(notice: Notice): string {
  return lineOf(notice, 160);
}

/**
 * As `describeNotice`, with as many names as whoever wants to mend things needs.
 * @example
 * ```ts
 * const notices = new Notices();
 * for (let i = 0; i < 50; i++) notices.add("left out", "HEIC pictures", `photo ${i}.heic`);
 * console.log(notices.list.map((notice) => listNotice(notice).length > 3 * describeNotice(notice).length)); // [ true ]
 * ```
 */
export function listNotice(notice: Notice): string {
  return lineOf(notice, 4000);
}

/** @param characters of names, at most; the first name is shown in any case, if need be without its middle. */
function lineOf({ effect, what, count, names }: Notice, characters: number): string {
  const shown: string[] = [];
  let length = 0;
  for (const name of names.map((each) => shortened(each))) {
    length += name.length;
    if (shown.length > 0 && length > characters) break;
    shown.push(name);
  }
  if (shown.length > 0 && shown.length < count) shown.push("...");
  const list = shown.length === 0 ? "" : ` (${shown.join(", ")})`;
  return printable(`${effect.charAt(0).toUpperCase()}${effect.slice(1)} ${count}${list}: ${shortened(what, 400)}.`);
}

function shortened(text: string, length = 160): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length / 2)}...${text.slice(-length / 2)}`;
}
