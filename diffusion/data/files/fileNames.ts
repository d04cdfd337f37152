import { isLitter } from "./fileKinds.ts";
import type { Reading } from "./reading.ts";

const litter = "files that systems and programs leave behind, and hidden ones";
const backslashes = "names with backslashes, read as names of folders";

/** Files of a source, at most. */
const maximumFiles = 10_000_000;

/**
 * Gathers the files of a folder or archive under the names that readers use: forward slashes, no `.` and no empty parts, so that
 * `./cats/a.png`, `cats//a.png` and `cats\a.png` all are `cats/a.png`. Litter is counted and left out.
 */
export class FileNames<Entry> {
  readonly #entries = new Map<string, Entry>();
  readonly #litter = new Set<string>();
  readonly #source: string;
  readonly #reading: Reading;

  /** @param source its name. */
  constructor(source: string, reading: Reading) {
    this.#source = source;
    this.#reading = reading;
  }

  /** @throws Error if another file has this name, or there are too many. */
  add(name: string, entry: Entry): void {
    const parts = partsOf(name);
    if (this.#isLitter(parts, false)) return;
    const file = parts.join("/");
    if (this.#entries.has(file)) {
      throw new Error(`holds ${file} twice; unpack it into a folder, leave one of them there and use the folder`);
    }
    if (this.#entries.size >= maximumFiles) throw new Error(`holds more than ${maximumFiles} files`);
    if (name.includes("\\")) this.#reading.notices.add("guessed", backslashes, name);
    this.#entries.set(file, entry);
    this.#reading.onProgress(`listing the files of ${this.#source}`, this.#entries.size, null);
  }

  /** Whether a folder and all that is in it is litter, which is then counted once. */
  isLitterFolder(name: string): boolean {
    return this.#isLitter(partsOf(name), true);
  }

  get sorted(): string[] {
    return [...this.#entries.keys()].sort();
  }

  get(file: string): Entry | undefined {
    return this.#entries.get(file);
  }

  #isLitter(parts: readonly string[], isFolder: boolean): boolean {
    const place = parts.findIndex((part, i) => isLitter(part, isFolder || i < parts.length - 1));
    if (place < 0) return false;
    const name = parts.slice(0, place + 1).join("/");
    if (!this.#litter.has(name)) {
      this.#litter.add(name);
      this.#reading.notices.add("left out", litter, name);
    }
    return true;
  }
}

function partsOf(name: string): string[] {
  return name.split(/[\\/]/).filter((part) => part !== "" && part !== ".");
}
