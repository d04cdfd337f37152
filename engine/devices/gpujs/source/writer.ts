/** Collects the statements of a kernel (or of a helper function) with fresh names, indentation and the helpers they call. */
import type { HelperName } from "./helperDefinition.ts";

/** The gpu.js modes this generator writes for. `cpu` computes in f64 with JavaScript's own Math, the others in f32. */
export type GpujsMode = "webgpu" | "webgl2" | "cpu";

const atomic = /^(?:[A-Za-z]\w*|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\(-\d+(?:\.\d+)?(?:e[+-]?\d+)?\)|\w+\[\d\])$/;

/** Statements under construction. Every name it hands out is new, so texts made from names never change their value. */
export class KernelWriter {
  readonly mode: GpujsMode;
  /** Helpers called so far. */
  readonly helpers = new Set<HelperName>();
  private readonly lines: string[] = [];
  private depth = 1;
  private names = 0;

  constructor(mode: GpujsMode) {
    this.mode = mode;
  }

  line(text: string): void {
    this.lines.push("  ".repeat(this.depth) + text);
  }

  open(text: string): void {
    this.line(`${text} {`);
    this.depth++;
  }

  close(text = "}"): void {
    this.depth--;
    this.line(text);
    if (text.endsWith("{")) this.depth++;
  }

  private fresh(): string {
    return `v${this.names++}`;
  }

  /** Declares a constant of that value and gives its name. */
  local(text: string): string {
    const name = this.fresh();
    this.line(`const ${name} = ${text};`);
    return name;
  }

  /** Declares a variable that starts with that value and gives its name. */
  variable(text: string): string {
    const name = this.fresh();
    this.line(`let ${name} = ${text};`);
    return name;
  }

  /** A new loop counter's name; `for` declares it. */
  counter(): string {
    return this.fresh();
  }

  /** The text itself if it is a name or a literal, else the name of a local: for texts that are used twice. */
  atom(text: string): string {
    return atomic.test(text) ? text : this.local(text);
  }

  /** A call of a helper function, which becomes part of the kernel. */
  call(helper: HelperName, ...args: readonly string[]): string {
    this.helpers.add(helper);
    return `${helper}(${args.join(", ")})`;
  }

  text(): string {
    return this.lines.join("\n");
  }
}
