import { formatTime, type ProgressStream } from "./train/progress.ts";

/** Milliseconds of work without a word. */
const patience = 2000;

/** Milliseconds from one line to the next where lines stay, and where one is redrawn. */
const [betweenLines, betweenDraws] = [10_000, 200];

/** Shows how far work is that takes above two seconds: on a terminal one line that is redrawn, elsewhere a line now and then. */
export class WorkProgress {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  readonly #start: number;
  #work = "";
  #workStart: number;
  #last = -Infinity;
  #drawn = false;

  /** @param now milliseconds. */
  constructor(stream: ProgressStream = process.stderr, now = (): number => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#start = this.#workStart = now();
  }

  /** How far a piece of work is. @param total null if that isn't known. */
  readonly at = (work: string, done: number, total: number | null): void => {
    const time = this.#now();
    if (work !== this.#work) [this.#work, this.#workStart] = [work, time];
    const isTerminal = this.#stream.isTTY === true;
    if (time - this.#start < patience || time - this.#last < (isTerminal ? betweenDraws : betweenLines)) return;
    this.#last = time;
    const text = `${work}: ${done.toLocaleString("en")}${total === null ? "" : this.#ofTotal(done, total, time)}`;
    if (isTerminal) this.#stream.write(`\r\u001b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
    else this.#stream.write(`${text}\n`);
    this.#drawn = isTerminal;
  };

  /** Takes the drawn line away: before anybody else writes to the stream. */
  end(): void {
    if (this.#drawn) this.#stream.write("\r\u001b[K");
    this.#drawn = false;
  }

  #ofTotal(done: number, total: number, time: number): string {
    const seconds = done === 0 ? Infinity : ((time - this.#workStart) / 1000 / done) * (total - done);
    return ` of ${total.toLocaleString("en")}${Number.isFinite(seconds) ? `, ${formatTime(seconds)} left` : ""}`;
  }
}
