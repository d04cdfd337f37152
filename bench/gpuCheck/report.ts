/** What a check finds, part by part: one JSON and one Markdown file that hold all of it as soon as it is known. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { EvenkeelError } from "../../engine/index.ts";

/** What a part found: as data, and as Markdown. */
export type Finding = {
  readonly data: unknown;
  readonly text: string;
  /** Something was computed that isn't right. */
  readonly isWrong?: boolean;
};

/** How a part ended. */
export type Outcome = "done" | "wrong" | "failed" | "left out";

type Entry = {
  readonly name: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly data: unknown;
  readonly text: string;
};

/** A part that hangs must not take the others with it: it is given up when no time is left. */
class OutOfTime extends Error {}

/** Collects the parts of a check. Each is on its own: one that fails is told, and the others go on. */
export class Report {
  readonly #folder: string;
  readonly #title: string;
  readonly #end: number;
  readonly #say: (text: string) => void;
  readonly #entries: Entry[] = [];

  /** @param seconds for all parts together */
  constructor(folder: string, title: string, seconds: number, say: (text: string) => void) {
    this.#folder = folder;
    this.#title = title;
    this.#end = performance.now() + 1e3 * seconds;
    this.#say = say;
    mkdirSync(folder, { recursive: true });
  }

  get outcomes(): readonly Outcome[] {
    return this.#entries.map(({ outcome }) => outcome);
  }

  /**
   * Runs a part and writes what it found.
   * @param needs seconds that it takes about: it is left out where fewer are left
   */
  async part(name: string, needs: number, run: () => Promise<Finding>): Promise<void> {
    const left = (this.#end - performance.now()) / 1e3;
    if (left < needs) {
      const text = `Left out: ${left.toFixed(0)} s are left, it takes about ${needs} s.`;
      this.#add({ name, outcome: "left out", seconds: 0, data: null, text });
      return;
    }
    this.#say(`${name} ...`);
    const start = performance.now();
    const seconds = (): number => (performance.now() - start) / 1e3;
    let timer: NodeJS.Timeout | undefined;
    try {
      const overtime = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new OutOfTime(`given up after ${left.toFixed(0)} s`)), 1e3 * left);
      });
      const { data, text, isWrong = false } = await Promise.race([run(), overtime]);
      this.#add({ name, outcome: isWrong ? "wrong" : "done", seconds: seconds(), data, text });
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      // What the engine says in plain words needs no stack.
      const told = error instanceof EvenkeelError ? error.message : reason;
      const text = `FAILED:\n\n\`\`\`\n${told.slice(0, 4000)}\n\`\`\``;
      this.#add({ name, outcome: "failed", seconds: seconds(), data: { error: reason }, text });
    } finally {
      clearTimeout(timer);
    }
  }

  #add(entry: Entry): void {
    this.#entries.push(entry);
    this.#say(`${entry.name}: ${entry.outcome}, ${entry.seconds.toFixed(1)} s\n${beginningOf(entry.text)}\n`);
    const parts = Object.fromEntries(
      this.#entries.map(({ name, outcome, seconds, data }) => [name, { outcome, seconds, data }]),
    );
    writeFileSync(
      path.join(this.#folder, "gpuCheck.json"),
      `${JSON.stringify({ title: this.#title, parts }, null, 1)}\n`,
    );
    const sections = this.#entries.map(({ name, text }) => `## ${name}\n\n${text}\n`);
    writeFileSync(path.join(this.#folder, "gpuCheck.md"), `# ${this.#title}\n\n${sections.join("\n")}`);
  }
}

const mostLines = 60;

/** As much of a text as is worth printing: the files have all of it. */
function beginningOf(text: string): string {
  const lines = text.split("\n");
  const more = lines.length > mostLines ? [`... and ${lines.length - mostLines} lines more`] : [];
  return [...lines.slice(0, mostLines), ...more].join("\n");
}
