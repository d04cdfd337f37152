import { fileError, quote } from "./fileError.ts";

const quoteMark = 0x22;
const backslash = 0x5c;

/**
 * Reads the few JSON tokens a safetensors header is made of, straight from its bytes. The header's grammar has a fixed
 * depth, so the caller never recurses, whatever nesting the file holds; and as keys come one by one, repeated ones are
 * seen, which `JSON.parse` hides.
 */
export class HeaderScanner {
  readonly #bytes: Uint8Array;
  readonly #source: string;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
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
    return byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `byte 0x${byte.toString(16).padStart(2, "0")}`;
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
      this.#skipSpace();
      const start = this.#position;
      const key = this.string(`a key of ${what}`);
      if (seen.has(key)) throw fileError(this.#source, `header byte ${start}: ${what} has the key ${quote(key)} twice.`);
      seen.add(key);
      this.expect(":", `after the key ${quote(key)}`);
      member(key);
    } while (this.take(","));
    this.expect("}", `or ',' in ${what}`);
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
    const literal = this.#decode(start, end + 1, what);
    const text = escaped ? this.#unescape(literal, start, what) : literal.slice(1, -1);
    if (loneSurrogate.test(text)) {
      throw fileError(this.#source, `header byte ${start}: ${what} holds half of a surrogate pair.`);
    }
    return text;
  }

  #decode(start: number, end: number, what: string): string {
    try {
      return this.#decoder.decode(this.#bytes.subarray(start, end));
    } catch (cause) {
      throw fileError(this.#source, `header byte ${start}: ${what} is not valid UTF-8.`, { cause });
    }
  }

  #unescape(literal: string, start: number, what: string): string {
    try {
      // A string literal alone: no nesting for JSON.parse to recurse into.
      return String(JSON.parse(literal));
    } catch (cause) {
      throw fileError(this.#source, `header byte ${start}: ${what} has an escape that JSON does not know.`, { cause });
    }
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
    return numbers;
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

/** With the `u` flag a pair counts as one code point, so only halves match. */
export const loneSurrogate = /\p{Surrogate}/u;
