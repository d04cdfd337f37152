/**
 * The words of shared memory by which threads talk. Each is alone on its cache line, so that waiting for one does not
 * slow down writers of another. The first lines of memory belong to them.
 */
const line = 64;

/** Byte addresses. */
export const control = {
  /** Counts the commands given to the workers; they sleep on it. */
  command: 1 * line,
  /** What the last command was: one of `commands`. */
  kind: 2 * line,
  /** Arguments of the command `run`: executable, first record, end of records. */
  executable: 2 * line + 4,
  first: 2 * line + 8,
  end: 2 * line + 12,
  /** How often threads look for what comes next before they sleep: the next command, and the end of the run. */
  looks: 2 * line + 16,
  /** Workers that have finished the last run, in one way or the other. */
  done: 3 * line,
  /** Workers that have begun it. */
  begun: 3 * line + 4,
  /** Threads that have arrived at the current barrier. */
  arrived: 4 * line,
  /** Counts the barriers passed; threads sleep on it. */
  barrier: 5 * line,
  /** Not 0 once a thread has failed: all leave the run. */
  failed: 6 * line,
  /** Why: number of bytes, then UTF-8 text. */
  reasonLength: 7 * line,
  reason: 7 * line + 4,
  reasonEnd: 16 * line,
} as const;

/** `run`: execute records. `listen`: go back to the event loop, there is a message. */
export const commands = { run: 1, listen: 2 } as const;

/** Where buffers begin. */
export const controlBytes = control.reasonEnd;
