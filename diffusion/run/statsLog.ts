import { EvenkeelError } from "../../engine/index.ts";
import { isNestedDeeply, readTextIfAny, type StoredFile, writeText } from "../../engine/io/index.ts";

/** Where a run's folder has the log of its means. */
export const statsFileName = "stats.jsonl";

/** One line of `stats.jsonl`: means over a status interval, under the reference's names and ours. */
export type StatsEntry = { readonly nimg: number } & Readonly<
  Record<string, number | null | Readonly<Record<string, number | null>>>
>;

/** What a {@link RunningMean} has gathered, as JSON data. */
export type MeanState = {
  readonly num: number;
  readonly sum: number;
  readonly squares: number;
  readonly nonFinite: number;
};

/** Numbers gathered over an interval. Those that aren't finite are counted and left out of the mean. */
export class RunningMean {
  #state: MeanState;

  /** @param state what was gathered before, to go on from. */
  constructor(state: MeanState = { num: 0, sum: 0, squares: 0, nonFinite: 0 }) {
    this.#state = state;
  }

  /** All that it knows, as a checkpoint keeps it. */
  get state(): MeanState {
    return this.#state;
  }

  /** Adds a number; one that is not finite is only counted. */
  add(value: number): void {
    const { num, sum, squares, nonFinite } = this.#state;
    this.#state = Number.isFinite(value)
      ? { num: num + 1, sum: sum + value, squares: squares + value ** 2, nonFinite }
      : { num, sum, squares, nonFinite: nonFinite + 1 };
  }

  /** The mean, or null if nothing finite was added. */
  get mean(): number | null {
    return this.#state.num === 0 ? null : this.#state.sum / this.#state.num;
  }

  /** All that can be said: null mean and deviation if nothing finite was added. */
  summary(): { mean: number | null; std: number | null; num: number; nonFinite: number } {
    const { mean } = this;
    const { num, squares, nonFinite } = this.#state;
    const variance = mean === null ? 0 : Math.max(squares / num - mean ** 2, 0);
    return { mean, std: mean === null ? null : Math.sqrt(variance), num, nonFinite };
  }
}

/** `stats.jsonl` of a run folder: one JSON object a line. */
export class StatsLog {
  readonly #file: StoredFile;

  private constructor(file: StoredFile) {
    this.#file = file;
  }

  /**
   * Opens the log of a run that tells of `next` images and more from now on: lines of so many, of work that was lost, and a line torn
   * by a crash are removed.
   * @throws EvenkeelError `file` if it can't be read or kept.
   */
  static async open(file: StoredFile, next: number): Promise<StatsLog> {
    const kept = (await readStats(file)).filter((entry) => entry.nimg < next);
    const text = kept.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    await writeText(file, text);
    return new StatsLog(file);
  }

  /** Appends a line; numbers that are not finite become null. @throws EvenkeelError `file`. */
  async append(entry: StatsEntry): Promise<void> {
    const text = JSON.stringify(entry, (_, value: unknown) =>
      typeof value === "number" && !Number.isFinite(value) ? null : value,
    );
    await this.#file.append(new TextEncoder().encode(`${text}\n`));
  }
}

/**
 * The lines of a `stats.jsonl`; none if there is no file. A last line that is torn is left out. @throws EvenkeelError `file`.
 * @example
 * ```ts
 * import { memoryFolder } from "evenkeel/engine/io";
 *
 * const file = memoryFolder().file(statsFileName);
 * const log = await StatsLog.open(file, 0);
 * await log.append({ nimg: 1000, "Loss/loss": { mean: 0.5 } });
 * console.log(await readStats(file)); // [ { nimg: 1000, 'Loss/loss': { mean: 0.5 } } ]
 * ```
 */
export async function readStats(file: StoredFile): Promise<StatsEntry[]> {
  const text = (await readTextIfAny(file)) ?? "";
  const lines = text.split("\n").filter((line) => line !== "");
  const entries: StatsEntry[] = [];
  for (const [i, line] of lines.entries()) {
    const entry = parseEntry(line);
    if (entry !== null) entries.push(entry);
    else if (i < lines.length - 1) {
      throw new EvenkeelError(
        "file",
        `${file.path}: line ${i + 1} is no JSON object with nimg. Mend or remove the line; the run itself does not need it.`,
      );
    }
  }
  return entries;
}

/** A line's object, or null if it is none, as when a crash tore it. */
function parseEntry(line: string): StatsEntry | null {
  try {
    const entry: unknown = JSON.parse(line);
    if (isNestedDeeply(entry)) return null;
    const isEntry = typeof entry === "object" && entry !== null && "nimg" in entry && typeof entry.nimg === "number";
    return isEntry ? (entry as StatsEntry) : null;
  } catch {
    return null;
  }
}
