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
const keptNames = 10;

/** Characters of names that a line shows; the first name is shown in any case. */
const shownCharacters = 160;

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

/** A notice in one line: `Left out 12 (a.heic, b.heic, ...): HEIC pictures, which ...`. Holds no control characters. */
export function describeNotice({ effect, what, count, names }: Notice): string {
  const shown: string[] = [];
  let characters = 0;
  for (const name of names.map(onOneLine)) {
    characters += name.length;
    if (shown.length > 0 && characters > shownCharacters) break;
    shown.push(name);
  }
  if (shown.length > 0 && shown.length < count) shown.push("...");
  const list = shown.length === 0 ? "" : ` (${shown.join(", ")})`;
  return `${effect.charAt(0).toUpperCase()}${effect.slice(1)} ${count}${list}: ${what}.`;
}

/** A name with what a terminal would obey or not show spelt out. */
function onOneLine(name: string): string {
  return name.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
