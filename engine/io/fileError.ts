import { EvenkeelError } from "../errors.ts";

/** Longest piece of a file that is repeated in a message; a hostile name may have megabytes. */
const quotedLength = 80;

/** `"name"` with control characters escaped, shortened if it is long. */
export function quote(text: string): string {
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
