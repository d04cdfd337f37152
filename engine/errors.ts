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
  | "file";

/**
 * The one error family of Evenkeel. The message says what was wrong, where, what was expected and what to do;
 * `code` says which kind of mistake it was.
 */
export class EvenkeelError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EvenkeelError";
    this.code = code;
  }
}
