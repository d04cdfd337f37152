import pc from "picocolors";
import { formatTime } from "../formatTime.ts";
import { lineWidth, type ProgressStream, WorkProgress } from "../workProgress.ts";

/** Where a run stands. */
export type Standing = { readonly nimg: number; readonly error: number; readonly loss: number; readonly speed: number };

/**
 * Shows a run's progress: on a terminal one line that is redrawn, elsewhere a plain line at each status interval.
 */
export class Progress {
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  readonly #duration: number;
  #drawn = false;
  #work: WorkProgress | null = null;
  #lastDraw = -Infinity;

  /** @param now milliseconds. */
  constructor(duration: number, stream: ProgressStream = process.stdout, now = (): number => performance.now()) {
    this.#duration = duration;
    this.#stream = stream;
    this.#now = now;
  }

  /** After every step; redraws at most five times a second. */
  step(standing: Standing): void {
    this.#endWork();
    if (this.#stream.isTTY !== true || this.#now() - this.#lastDraw < 200) return;
    this.#lastDraw = this.#now();
    this.#draw(this.#text(standing));
  }

  /** At each status interval. */
  status(standing: Standing): void {
    if (this.#stream.isTTY !== true) this.line(this.#text(standing));
  }

  /** Before something that isn't a step and takes so many seconds (NaN: nobody knows); where lines aren't redrawn, unless they are few. */
  begin(what: string, seconds: number): void {
    const text = Number.isFinite(seconds) ? `${what}, about ${formatTime(seconds)}` : what;
    if (this.#stream.isTTY === true) this.#draw(text);
    else if (!(seconds <= 2)) this.line(text);
  }

  /** How far something is that may take above two seconds: a step, a grid. Over with the next step, line or `end`. */
  work(what: string, done: number, total: number | null): void {
    this.#work ??= new WorkProgress(this.#stream, this.#now);
    this.#work.at(what, done, total);
  }

  /** A line that stays. */
  line(text: string): void {
    this.end();
    this.#stream.write(`${text}\n`);
  }

  /** Takes the drawn line away: before anybody else writes to the stream. */
  end(): void {
    this.#endWork();
    if (this.#drawn) this.#stream.write("\r\u001b[K");
    this.#drawn = false;
  }

  #endWork(): void {
    this.#work?.end();
    this.#work = null;
  }

  #text({ nimg, error, loss, speed }: Standing): string {
    const share = Math.min(nimg / this.#duration, 1);
    const width = 20;
    const bar = "#".repeat(Math.round(share * width)).padEnd(width, ".");
    const seconds = Math.max(this.#duration - nimg, 0) / speed;
    return (
      `${bar} ${String(Math.floor(100 * share)).padStart(3)}%  ${nimg.toLocaleString("en")} images  ` +
      `error ${error.toFixed(4)}  loss ${loss.toFixed(3)}  ${formatSpeed(speed)} img/s  ${formatTime(seconds)} left`
    );
  }

  /** Erasing and drawing are one write, so that nothing comes between them. */
  #draw(text: string): void {
    const width = lineWidth(this.#stream);
    this.#stream.write(`\r\u001b[K${pc.cyan(text.slice(0, width))}`);
    this.#drawn = true;
  }
}

/** `71`, `3.4`, `0.12`: a large network on a small machine may need seconds for an image. */
function formatSpeed(speed: number): string {
  if (!Number.isFinite(speed)) return "?";
  return speed >= 9.95 ? speed.toFixed(0) : speed.toPrecision(2);
}
