import type { Fail } from "./context.ts";
import { exactInteger } from "./reader.ts";

/** Decimal digits of the longest integer that is read, in any protocol: 256 bytes of them. */
const integerPattern = /^-?\d{1,616}$/;
const floatPattern = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const namedFloats: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
]);
const plainEscapes: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** An integer in decimal digits; a number if it is exact as one. */
export function parseInteger(text: string, fail: Fail): number | bigint {
  if (!integerPattern.test(text)) return fail("an integer can't be read");
  return exactInteger(BigInt(text));
}

/** A float as Python's `repr` writes it. */
export function parseFloat64(text: string, fail: Fail): number {
  const named = namedFloats.get(text);
  if (named !== undefined) return named;
  return floatPattern.test(text) ? Number(text) : fail("a float can't be read");
}

/** A quoted text of protocol 0. */
export function parseQuoted(text: string, fail: Fail): string {
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || !text.endsWith(quote)) {
    return fail("a text has no quotes");
  }
  return unescape(text.slice(1, -1), /\\(?:x([0-9a-fA-F]{2})|([\\'"nrt]))/y, ([, byte, plain = ""]) =>
    byte === undefined ? (plainEscapes.get(plain) ?? plain) : String.fromCharCode(Number.parseInt(byte, 16)),
  );
}

/** A text of protocol 0: bytes are characters, others are written by their number. */
export function parseUnicode(text: string, fail: Fail): string {
  return unescape(text, /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[uU])/y, ([, short, long]) => {
    const digits = short ?? long;
    if (digits === undefined) return fail("a text names a character by too few digits");
    const code = Number.parseInt(digits, 16);
    return code > 0x10ffff ? fail("a text names a character that does not exist") : String.fromCodePoint(code);
  });
}

/** So many pieces of a text are put together at once; millions of them would take a hundred times its memory. */
const piecesTogether = 4096;

/** Replaces what begins with a backslash and matches; other backslashes stay. */
function unescape(text: string, form: RegExp, replacement: (match: readonly (string | undefined)[]) => string): string {
  const done: string[] = [];
  let pieces: string[] = [];
  let from = 0;
  for (let at = text.indexOf("\\"); at >= 0; at = text.indexOf("\\", Math.max(from, at + 1))) {
    form.lastIndex = at;
    const match = form.exec(text);
    if (match === null) continue;
    pieces.push(text.slice(from, at), replacement(match));
    from = form.lastIndex;
    if (pieces.length < piecesTogether) continue;
    done.push(pieces.join(""));
    pieces = [];
  }
  return [...done, ...pieces, text.slice(from)].join("");
}
