import { formatTime } from "./formatTime.ts";

/** Where progress is written: a terminal or a file. */
export type ProgressStream = { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };

/** Characters of a line that is redrawn. Terminals whose size nobody has set, as under scripts, say that they have 0 columns. */
export function lineWidth({ columns = 0 }: ProgressStream): number {
  return (columns > 0 ? columns : 80) - 1;
}

/** Milliseconds of work without a word. */
const patience = 2000;

/** Milliseconds from one line to the next where lines stay, and where one is redrawn. */
const [betweenLines, betweenDraws] = [10_000, 200];

/** Milliseconds between looks whether something is to be said. */
const look = 500;

/**
 * Shows how far work is that takes above two seconds: on a terminal one line that is redrawn, elsewhere a line now and then. Also while
 * nothing new is told: a piece of work may take long.
 */
export class WorkProgress {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  readonly #patience: number;
  readonly #start: number;
  #standing: { readonly work: string; readonly done: number; readonly total: number | null } | null = null;
  #workStart: number;
  #last = -Infinity;
  #drawn = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param now milliseconds. */
  constructor(stream: ProgressStream = process.stderr, now = (): number => performance.now(), wait: number = patience) {
    this.#stream = stream;
    this.#now = now;
    this.#patience = wait;
    this.#start = this.#workStart = now();
  }

  /** How far a piece of work is. @param total null if that isn't known. */
  readonly at = (work: string, done: number, total: number | null): void => {
    if (work !== this.#standing?.work) this.#workStart = this.#now();
    this.#standing = { work, done, total };
    this.#timer ??= setInterval(() => this.tell(), look).unref();
    this.tell();
  };

  /** Says what there is to say, if it is time. */
  tell(): void {
    const time = this.#now();
    const isTerminal = this.#stream.isTTY === true;
    const standing = this.#standing;
    if (standing === null || time - this.#start < this.#patience) return;
    if (time - this.#last < (isTerminal ? betweenDraws : betweenLines)) return;
    this.#last = time;
    const { work, done, total } = standing;
    const how = total === null ? done.toLocaleString("en") : this.#ofTotal(done, total, time);
    const text = `${work}: ${total === null && done === 0 ? this.#soFar(time) : how}`;
    if (isTerminal) this.#stream.write(`\r\u001b[K${text.slice(0, lineWidth(this.#stream))}`);
    else this.#stream.write(`${text}\n`);
    this.#drawn = isTerminal;
  }

  /** Takes the drawn line away: before anybody else writes to the stream. It comes again. */
  pause(): void {
    if (this.#drawn) this.#stream.write("\r\u001b[K");
    this.#drawn = false;
  }

  /** The work is over. */
  end(): void {
    this.pause();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#standing = null;
  }

  #soFar(time: number): string {
    return `${formatTime((time - this.#workStart) / 1000)} so far`;
  }

  #ofTotal(done: number, total: number, time: number): string {
    const seconds = ((time - this.#workStart) / 1000 / done) * (total - done);
    const when = done === 0 ? this.#soFar(time) : `${formatTime(seconds)} left`;
    return `${done.toLocaleString("en")} of ${total.toLocaleString("en")}, ${when}`;
  }
}
