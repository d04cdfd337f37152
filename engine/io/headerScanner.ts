import { fileError, quoteText } from "./fileError.ts";

const quoteMark = 0x22;
const backslash = 0x5c;
const letterU = 0x75;

/**
 * Most tensors of a file, and most metadata strings. Entries take a few times the memory of their text, so many
 * millions could exhaust the heap; this bounds it to some hundred megabytes.
 */
export const maximumMembers = 1_000_000;

/** How deep lists and objects may lie in each other where a tensor has more than the format describes: as the format's reader has it. */
const maximumDepth = 125;

/** Characters of a number that nobody reads. */
const longestNumber = 1000;

/** Whether a byte can be part of a number: a digit, a sign, a point or an exponent's letter. */
function isNumberByte(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || [0x2b, 0x2d, 0x2e, 0x45, 0x65].includes(byte));
}

/** What follows a backslash, and the byte it stands for; `u` and four digits is the one form besides. */
const escapes: ReadonlyMap<number, number> = new Map(
  ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]),
);

/**
 * Reads the few JSON tokens a safetensors header is made of, straight from its bytes. What is read has a fixed
 * depth and what is passed over a bounded one, so nothing recurses, whatever nesting the file holds; and as keys come one by one, repeated ones are
 * seen, which `JSON.parse` hides.
 *
 * The scanner owns the bytes: strings with escapes are resolved in place, so that no string is ever held twice.
 */
export class HeaderScanner {
  readonly #bytes: Uint8Array;
  readonly #source: string;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  readonly #encoder = new TextEncoder();
  #position = 0;

  constructor(bytes: Uint8Array, source: string) {
    this.#bytes = bytes;
    this.#source = source;
  }

  /** @throws EvenkeelError `file`, always. */
  fail(wanted: string, position = this.#position): never {
    throw fileError(this.#source, `header byte ${position}: expected ${wanted}, found ${this.#found(position)}.`);
  }

  #found(position: number): string {
    const byte = this.#bytes[position];
    if (byte === undefined) return "the end of the header";
    return byte > 0x20 && byte < 0x7f
      ? `'${String.fromCharCode(byte)}'`
      : `byte 0x${byte.toString(16).padStart(2, "0")}`;
  }

  #skipSpace(): void {
    for (;;) {
      const byte = this.#bytes[this.#position];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#position++;
    }
  }

  /** Takes `character` if it comes next, after white space. */
  take(character: string): boolean {
    this.#skipSpace();
    if (this.#bytes[this.#position] !== character.charCodeAt(0)) return false;
    this.#position++;
    return true;
  }

  /** Takes `character`, which `where` says the place of. */
  expect(character: string, where: string): void {
    if (!this.take(character)) this.fail(`'${character}' ${where}`);
  }

  /** Checks that only white space is left. */
  expectEnd(): void {
    this.#skipSpace();
    if (this.#position < this.#bytes.length) this.fail("only spaces after the header's closing '}'");
  }

  /**
   * Calls `member` for each key of an object, standing before the key's value. Refuses a key that comes twice.
   * `what` names the object in messages.
   */
  members(what: string, member: (key: string) => void): void {
    this.expect("{", `to begin ${what}`);
    if (this.take("}")) return;
    const seen = new Set<string>();
    do {
      if (seen.size === maximumMembers) this.fail(`at most ${maximumMembers} members in ${what}`);
      this.#skipSpace();
      const start = this.#position;
      const key = this.string(`a key of ${what}`);
      if (seen.has(key))
        throw fileError(this.#source, `header byte ${start}: ${what} has the key ${quoteText(key)} twice.`);
      seen.add(key);
      this.expect(":", `after the key ${quoteText(key)}`);
      member(key);
    } while (this.take(","));
    this.expect("}", `or ',' in ${what}`);
  }

  /** Takes `null` if it comes next. */
  takeNull(): boolean {
    this.#skipSpace();
    return this.#takeWord("null");
  }

  #takeWord(word: string): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#position + i] !== word.charCodeAt(i)) return false;
    }
    this.#position += word.length;
    return true;
  }

  /**
   * Passes over a JSON value of any kind that nobody reads, up to {@link maximumDepth} lists and objects deep. Of its objects, too, no key
   * may come twice.
   * @param what names it in messages.
   */
  skipValue(what: string): void {
    // The keys of each object that is open, null for a list.
    const open: (Set<string> | null)[] = [];
    do {
      const isOpening = this.#skipToken(what, open);
      if (open.length > maximumDepth)
        this.fail(`at most ${maximumDepth} lists and objects within each other in ${what}`);
      if (!isOpening) this.#closeFinished(what, open);
    } while (open.length > 0);
  }

  /** Takes a scalar, or what opens a list or object that isn't empty: then true, standing before its first value. */
  #skipToken(what: string, open: (Set<string> | null)[]): boolean {
    this.#skipSpace();
    if (this.take("{")) {
      if (this.take("}")) return false;
      const keys = new Set<string>();
      open.push(keys);
      this.#skipKey(what, keys);
      return true;
    }
    if (this.take("[")) {
      if (this.take("]")) return false;
      open.push(null);
      return true;
    }
    if (this.#bytes[this.#position] === quoteMark) this.string(what);
    else if (!this.#takeWord("null") && !this.#takeWord("true") && !this.#takeWord("false")) this.#skipNumber(what);
    return false;
  }

  /** Behind a value: goes on to the next one of the innermost list or object, or closes it and those that end with it. */
  #closeFinished(what: string, open: (Set<string> | null)[]): void {
    for (let keys = open.at(-1); keys !== undefined; keys = open.at(-1)) {
      if (this.take(",")) {
        if (keys !== null) this.#skipKey(what, keys);
        return;
      }
      this.expect(keys === null ? "]" : "}", `or ',' in ${what}`);
      open.pop();
    }
  }

  #skipKey(what: string, keys: Set<string>): void {
    this.#skipSpace();
    const start = this.#position;
    const key = this.string(`a key of ${what}`);
    if (keys.has(key))
      throw fileError(this.#source, `header byte ${start}: ${what} has the key ${quoteText(key)} twice.`);
    keys.add(key);
    this.expect(":", `after the key ${quoteText(key)}`);
  }

  #skipNumber(what: string): void {
    const start = this.#position;
    while (isNumberByte(this.#bytes[this.#position])) this.#position++;
    const text = String.fromCharCode(...this.#bytes.subarray(start, Math.min(this.#position, start + longestNumber)));
    const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text));
    if (!isNumber || this.#position - start > longestNumber) this.fail(`a JSON value for ${what}`, start);
  }

  /** A JSON string. @throws EvenkeelError `file` if it is not one, not UTF-8, or holds half of a surrogate pair. */
  string(what: string): string {
    this.#skipSpace();
    const start = this.#position;
    if (this.#bytes[start] !== quoteMark) this.fail(`${what}, a string`);
    let end = start + 1;
    let escaped = false;
    for (;;) {
      const byte = this.#bytes[end];
      if (byte === undefined || byte < 0x20) this.fail(`the closing '"' of ${what}`, end);
      if (byte === quoteMark) break;
      if (byte === backslash) escaped = true;
      end += byte === backslash ? 2 : 1;
    }
    this.#position = end + 1;
    const textEnd = escaped ? this.#resolveEscapes(start + 1, end, what) : end;
    try {
      return this.#decoder.decode(this.#bytes.subarray(start + 1, textEnd));
    } catch (cause) {
      throw fileError(this.#source, `header byte ${start}: ${what} is not valid UTF-8.`, { cause });
    }
  }

  /** Replaces the escapes from `start` to `end` by the UTF-8 they stand for, which is shorter. Gives the new end. */
  #resolveEscapes(start: number, end: number, what: string): number {
    const bytes = this.#bytes;
    let read = start;
    let write = start;
    while (read < end) {
      const byte = bytes[read] ?? 0;
      if (byte !== backslash) {
        bytes[write++] = byte;
        read++;
      } else if (bytes[read + 1] !== letterU) {
        const plain = escapes.get(bytes[read + 1] ?? 0);
        if (plain === undefined) this.fail(`an escape that JSON knows in ${what}`, read + 1);
        bytes[write++] = plain;
        read += 2;
      } else {
        const codePoint = this.#escapedCodePoint(read, end, what);
        read += codePoint > 0xffff ? 12 : 6;
        write += this.#encoder.encodeInto(String.fromCodePoint(codePoint), bytes.subarray(write, read)).written;
      }
    }
    return write;
  }

  /** The code point of the `\uXXXX`, or the surrogate pair of two of them, at `position`. */
  #escapedCodePoint(position: number, end: number, what: string): number {
    const unit = this.#escapedUnit(position, end, what);
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    const isHigh = unit < 0xdc00 && this.#bytes[position + 6] === backslash && this.#bytes[position + 7] === letterU;
    const low = isHigh ? this.#escapedUnit(position + 6, end, what) : 0;
    if (low < 0xdc00 || low > 0xdfff) {
      throw fileError(this.#source, `header byte ${position}: ${what} holds half of a surrogate pair.`);
    }
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  }

  #escapedUnit(position: number, end: number, what: string): number {
    let unit = 0;
    for (let at = position + 2; at < position + 6; at++) {
      const digit = at < end ? Number.parseInt(String.fromCharCode(this.#bytes[at] ?? 0), 16) : Number.NaN;
      if (Number.isNaN(digit)) this.fail(`four hexadecimal digits after \\u in ${what}`, at);
      unit = unit * 16 + digit;
    }
    return unit;
  }

  /** A list of at most `maximum` whole numbers from 0 to 2^53 - 1, written in plain digits. */
  wholeNumbers(what: string, maximum: number): number[] {
    this.expect("[", `to begin ${what}`);
    const numbers: number[] = [];
    if (this.take("]")) return numbers;
    do {
      if (numbers.length === maximum) this.fail(`at most ${maximum} numbers in ${what}`);
      numbers.push(this.#wholeNumber(what));
    } while (this.take(","));
    this.expect("]", `or ',' in ${what}`);
    // A copy has no spare capacity; a list that grew has room for 17 numbers, which counts for many small tensors.
    return numbers.slice();
  }

  #wholeNumber(what: string): number {
    this.#skipSpace();
    const start = this.#position;
    let value = 0;
    for (;;) {
      const digit = (this.#bytes[this.#position] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (value > Number.MAX_SAFE_INTEGER) this.fail(`a number up to 2^53 - 1 in ${what}`, start);
      this.#position++;
    }
    const digits = this.#position - start;
    if (digits === 0 || (digits > 1 && this.#bytes[start] === 0x30)) {
      this.fail(`a whole number of at least 0 in ${what}`, start);
    }
    return value;
  }
}
