import { EvenkeelError } from "../errors.ts";

/** Longest piece of a file that is repeated in a message; a hostile name may have megabytes. */
const quotedLength = 80;

/**
 * `"name"` with control characters escaped, shortened if it is long.
 * @example console.log(quoteText("a\tb")); // "a\tb"
 */
export function quoteText(text: string): string {
  return text.length <= quotedLength
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, quotedLength))}... (${text.length} characters)`;
}

/** An error about what a file holds. `source` is its path, or what else its bytes are called. */
export function fileError(source: string, problem: string, options?: ErrorOptions): EvenkeelError {
  return new EvenkeelError("file", `${source}: ${problem}`, options);
}

const littleEndianHost = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Files are little-endian and are viewed in place. @throws EvenkeelError `file` on a big-endian machine. */
export function checkLittleEndianHost(operation: string): void {
  if (!littleEndianHost) {
    throw new EvenkeelError("file", `${operation}: this machine is big-endian, which Evenkeel doesn't support.`);
  }
}

/** What a schema finds wrong with a value: a place and a complaint each, as zod tells them. */
type Issues = {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
};

/** So many places are named: who makes a mistake once often makes it everywhere. */
const issuesShown = 3;

/**
 * The first few things that are wrong with a file's content, with their places, and how many more there are: one short line.
 * @example
 * ```ts
 * const issues = [{ path: ["sizes", 0], message: "expected a number" }, { path: [], message: "unknown key" }];
 * console.log(describeIssues({ issues })); // expected a number at sizes.0; unknown key
 * ```
 */
export function describeIssues({ issues }: Issues): string {
  const shown = issues.slice(0, issuesShown).map(({ path, message }) => {
    const place = path.length === 0 ? "" : ` at ${clipText(path.map(String).join("."))}`;
    return `${clipText(message)}${place}`;
  });
  const more = issues.length - shown.length;
  return `${shown.join("; ")}${more > 0 ? `; and ${more} more such place${more === 1 ? "" : "s"}` : ""}`;
}

const clippedLength = 160;

/**
 * The beginning of a text of a file.
 * @example console.log(clipText("x".repeat(10_000)).length < 10_000); // true
 */
export function clipText(text: string): string {
  return text.length <= clippedLength ? text : `${text.slice(0, clippedLength)}... (${text.length} characters)`;
}

/** Nothing that Evenkeel writes as JSON is nested deeper. */
const deepest = 100;

/**
 * Whether lists and objects lie in each other so deeply that walking through them, or writing them as JSON again, would overflow the
 * stack. `JSON.parse` itself takes any depth.
 * @example console.log(isNestedDeeply([[1]])); // false
 */
export function isNestedDeeply(value: unknown): boolean {
  const pending = [{ value, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (typeof next.value !== "object" || next.value === null) continue;
    if (next.depth === deepest) return true;
    for (const inner of Object.values(next.value) as readonly unknown[]) {
      if (typeof inner === "object") pending.push({ value: inner, depth: next.depth + 1 });
    }
  }
  return false;
}
