/** What kind of mistake an {@link EvenkeelError} reports; stable, so that programs can branch on it. */
export type ErrorCode =
  | "shape"
  | "dtype"
  | "axis"
  | "range"
  | "value"
  | "trace"
  | "device"
  | "disposed"
  | "state"
  | "memory"
  | "kernel"
  | "graph"
  | "aborted"
  | "diverged"
  | "file";

/** Errors whose messages may hold sources of kernels: of programs, not of files. */
const ofPrograms: ReadonlySet<ErrorCode> = new Set(["kernel", "graph", "device"]);

/** Messages are no longer: the beginning says what is wrong and where, the end what to do. */
const [shownFirst, shownLast] = [3000, 800];

/**
 * The one error family of Evenkeel. The message says what was wrong, where, what was expected and what to do;
 * `code` says which kind of mistake it was. What it repeats of a file or a name can't move the terminal's cursor or fill its screen:
 * the message is one line of at most 4,000 characters, without control characters (sources of kernels apart).
 */
export class EvenkeelError extends Error {
  /** The kind of mistake, for programs to decide by. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(ofPrograms.has(code) ? message : shortened(printable(message)), options);
    this.name = "EvenkeelError";
    this.code = code;
  }
}

function shortened(message: string): string {
  const left = message.length - shownFirst - shownLast;
  if (left <= 0) return message;
  return `${message.slice(0, shownFirst)} ... (${left} characters) ... ${message.slice(-shownLast)}`;
}

/** Control characters, those that part lines, and those that turn the direction of writing. */
const unprintable = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu;

/**
 * A text of others (a name in an archive, a class) as it may be printed: what isn't a letter but an order to the terminal as `\u001b`.
 * @example console.log(printable("a\u001b[31mb")); // a\u001b[31mb
 */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * What somebody threw, in words.
 * @example console.log(messageOf(new Error("no")), messageOf("no")); // no no
 */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
