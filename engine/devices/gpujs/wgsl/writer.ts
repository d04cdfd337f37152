/** Collects the statements of a kernel with fresh names, indentation, and the functions and workgroup memory that they use. */
import type { FunctionName } from "./functions.ts";
import type { Lanes } from "./types.ts";

/** Names that a prefix and a number could make, but mean something already. */
const taken = new Set(["i32", "u32", "f32", "f16"]);

const atomic = /^(?:[A-Za-z]\w*|\d+u)$/;

/** An array in the workgroup's memory. One that is free may be used for something else, and grow for that. */
type SharedArray = { readonly name: string; readonly type: string; length: number; isFree: boolean };

/** Statements under construction. Every name it hands out is new, so texts made of names never change their value. */
export class WgslWriter {
  /** Functions called so far, as `name lanes`. */
  readonly #functions = new Map<string, readonly [FunctionName, Lanes]>();
  readonly #shared: SharedArray[] = [];
  readonly #helpers: string[] = [];
  #lines: string[] = [];
  #depth = 1;
  #names = 0;

  line(text: string): void {
    this.#lines.push("  ".repeat(this.#depth) + text);
  }

  open(text: string): void {
    this.line(`${text} {`);
    this.#depth++;
  }

  close(text = "}"): void {
    this.#depth--;
    this.line(text);
    if (text.endsWith("{")) this.#depth++;
  }

  fresh(prefix = "v"): string {
    const name = `${prefix}${this.#names++}`;
    return taken.has(name) ? this.fresh(prefix) : name;
  }

  /** Declares a constant of that value and gives its name. */
  local(text: string): string {
    const name = this.fresh();
    this.line(`let ${name} = ${text};`);
    return name;
  }

  /** Declares a variable that starts with that value and gives its name. */
  variable(text: string): string {
    const name = this.fresh();
    this.line(`var ${name} = ${text};`);
    return name;
  }

  /** The text itself if it is a name or an index, else the name of a local: for texts that are used twice. */
  atom(text: string): string {
    return atomic.test(text) ? text : this.local(text);
  }

  /** A call of one of the functions in `functions.ts`, which becomes part of the kernel. */
  call(name: FunctionName, lanes: Lanes, ...args: readonly string[]): string {
    this.#functions.set(`${name} ${lanes}`, [name, lanes]);
    return `${name}${lanes}(${args.join(", ")})`;
  }

  /** The name of an array that the threads of a workgroup share: a free one that fits best, or else a new one. */
  shared(type: string, length: number): string {
    const free = this.#shared.filter((array) => array.isFree && array.type === type);
    free.sort((a, b) => a.length - b.length);
    const found = free.find((array) => array.length >= length) ?? free.at(-1);
    if (found === undefined) {
      const name = this.fresh("shared");
      this.#shared.push({ name, type, length, isFree: false });
      return name;
    }
    found.length = Math.max(found.length, length);
    found.isFree = false;
    return found.name;
  }

  /** Frees all shared arrays. The threads must have met at a barrier since these were used. */
  freeShared(): void {
    for (const array of this.#shared) array.isFree = true;
  }

  /** Declares a function of the kernel's own; what `write` writes is its body. */
  helper(header: string, write: () => void): void {
    const [lines, depth] = [this.#lines, this.#depth];
    [this.#lines, this.#depth] = [[], 1];
    write();
    this.#helpers.push([`${header} {`, ...this.#lines, "}"].join("\n"));
    [this.#lines, this.#depth] = [lines, depth];
  }

  get helpers(): readonly string[] {
    return this.#helpers;
  }

  get functions(): readonly (readonly [FunctionName, Lanes])[] {
    return [...this.#functions.values()];
  }

  get workgroup(): readonly string[] {
    return this.#shared.map(({ name, type, length }) => `var<workgroup> ${name}: array<${type}, ${length}>;`);
  }

  get body(): string {
    return this.#lines.join("\n");
  }
}
