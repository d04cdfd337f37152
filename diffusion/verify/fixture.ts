import * as z from "zod";
import {
  describeIssues,
  type SafetensorsFile,
  type StoredTensor,
  toFloat32,
  toFloat64,
} from "../../engine/io/index.ts";
import { EvenkeelError, type Shape, tensor, type Tensor } from "../../engine/index.ts";

/** A reference file while it is checked: it remembers what was asked for, and what of the rest is known. */
export class Fixture {
  /** Where it is, for what lies beside it. */
  readonly path: string;
  readonly #file: SafetensorsFile;
  readonly #used = new Set<string>();
  readonly #known = new Set<string>();
  readonly #leftOut = new Set<string>();
  // Where the file is from.
  readonly #usedMetadata = new Set(["format", "generator", "note"]);

  constructor(path: string, file: SafetensorsFile) {
    this.path = path;
    this.#file = file;
  }

  has(name: string): boolean {
    return this.#file.entries.has(name);
  }

  /** Whether any tensor's name begins so. */
  hasGroup(prefix: string): boolean {
    return this.namesUnder(prefix).length > 0;
  }

  /** Names that begin with `prefix`, without it, in the file's order. */
  namesUnder(prefix: string): string[] {
    return [...this.#file.entries.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length));
  }

  /** The first parts of the names under `prefix`, up to a slash: each once. */
  groupsUnder(prefix: string): string[] {
    return [...new Set(this.namesUnder(prefix).map((name) => name.split("/")[0] ?? name))];
  }

  /** @throws EvenkeelError `file` if there is none of this name. */
  stored(name: string): StoredTensor {
    const found = this.#file.tensor(name);
    this.#used.add(name);
    return found;
  }

  /** The shape of a tensor that may be missing. */
  shapeOf(name: string): Shape | undefined {
    return this.#file.entries.get(name)?.shape;
  }

  /** As an f32 tensor, of another shape if one is given. @throws EvenkeelError `file`, or `shape` for a different size. */
  tensor(name: string, shape?: Shape): Tensor {
    const stored = this.stored(name);
    return tensor(toFloat32(stored), { shape: shape ?? stored.shape });
  }

  numbers(name: string): Float64Array {
    return toFloat64(this.stored(name));
  }

  /** The only element of a tensor. @throws EvenkeelError `file` if it has more or none. */
  number(name: string): number {
    const numbers = this.numbers(name);
    const [value] = numbers;
    if (value === undefined || numbers.length !== 1) {
      throw new EvenkeelError("file", `tensor ${name} has ${numbers.length} elements, expected one.`);
    }
    return value;
  }

  /**
   * Refuses options that call for more or fewer elements than a tensor has, before they are computed.
   * @throws EvenkeelError `file`
   */
  requireLength(name: string, length: number): void {
    const found = this.stored(name).data.length;
    if (found !== length)
      throw new EvenkeelError("file", `tensor ${name} has ${found} elements, its options call for ${length}.`);
  }

  /** Rows of a matrix. @throws EvenkeelError `file` unless it has `columns` columns. */
  rows(name: string, columns: number): Float64Array[] {
    const { shape } = this.stored(name);
    const numbers = this.numbers(name);
    if (shape.length !== 2 || shape[1] !== columns) {
      throw new EvenkeelError("file", `tensor ${name} is [${shape.join(", ")}], expected [rows, ${columns}].`);
    }
    return Array.from({ length: shape[0] ?? 0 }, (_, i) => numbers.subarray(i * columns, (i + 1) * columns));
  }

  /** All tensors under `prefix`, by the rest of their names. */
  storedUnder(prefix: string): Map<string, StoredTensor> {
    return new Map(this.namesUnder(prefix).map((name) => [name, this.stored(prefix + name)]));
  }

  hasMetadata(key: string): boolean {
    return this.#file.metadata.has(key);
  }

  /** Metadata as JSON of a known form. @throws EvenkeelError `file` that says what is missing, unknown or of another type. */
  metadata<T>(key: string, schema: z.ZodType<T>): T {
    const text = this.#file.metadata.get(key);
    this.#usedMetadata.add(key);
    if (text === undefined) throw new EvenkeelError("file", `its metadata have no ${key}.`);
    let value: unknown;
    try {
      value = parsePythonJson(text);
    } catch (cause) {
      throw new EvenkeelError("file", `its metadata ${key} are not JSON.`, { cause });
    }
    return parseOptions(`metadata ${key}`, schema, value);
  }

  /** The same, or what an empty record stands for, if the file has no such metadata. */
  metadataOrDefaults<T>(key: string, schema: z.ZodType<T>): T {
    return this.hasMetadata(key) ? this.metadata(key, schema) : parseOptions(`metadata ${key}`, schema, {});
  }

  /**
   * The cases: each one's options are checked on their own. Groups of tensors that are cases have them in the metadata, or leave all of them
   * out.
   * @param isCase whether a group of tensors is a case, of those that the metadata don't name.
   */
  cases(isCase: (group: string) => boolean): [name: string, options: unknown][] {
    const named = new Map(Object.entries(this.metadataOrDefaults("cases", z.record(z.string(), z.unknown()))));
    for (const group of this.groupsUnder("")) if (!named.has(group) && isCase(group)) named.set(group, {});
    return [...named].map(([name, options]) => [name, options ?? {}]);
  }

  /**
   * Refuses groups of results other than those that the options name: one of the two would be wrong.
   * @throws EvenkeelError `file` that names one.
   */
  requireGroups(form: RegExp, expected: readonly string[]): void {
    const other = this.groupsUnder("").find((group) => form.test(group) && !expected.includes(group));
    if (other === undefined) return;
    throw new EvenkeelError("file", `has ${other}/..., and its options name ${expected.join(", ") || "none"}.`);
  }

  /** Tells that these are inputs: known tensors, which stay unchecked if nothing that the file has needs them. */
  inputs(prefix: string, names: readonly string[] = this.namesUnder(prefix)): void {
    for (const name of names) this.#known.add(prefix + name);
  }

  /** Whether a case has results, and not only what it was given, which is known either way. Where it has none, that is told. */
  hasResults(name: string, isInput: (tensor: string) => boolean): boolean {
    const names = this.namesUnder(`${name}/`);
    this.inputs(`${name}/`, names.filter(isInput));
    const found = !names.every(isInput);
    if (!found) this.leaveOut(`case ${name}, of which nothing is there to compare`);
    return found;
  }

  /** Whether a case has gradients. */
  hasGradient(name: string): boolean {
    return this.hasGroup(`${name}/grad_`) || this.hasGroup(`${name}/grad/`);
  }

  /** Says of something other than a tensor that nothing in the file can show whether it is right. */
  leaveOut(what: string): void {
    this.#leftOut.add(what);
  }

  /** What was not checked: tensors that no check knows, what was said to be left out, and inputs that nothing needed. */
  notChecked(): string[] {
    const metadata = [...this.#file.metadata.keys()].filter((key) => !this.#usedMetadata.has(key));
    const unused = [...this.#file.entries.keys()].filter((name) => !this.#used.has(name));
    return [
      ...unused.filter((name) => !this.#known.has(name)),
      ...this.#leftOut,
      ...metadata.map((key) => `metadata ${key}`),
      ...unused.filter((name) => this.#known.has(name)),
    ];
  }
}

/**
 * JSON as Python writes it: numbers may be Infinity, -Infinity and NaN. @throws SyntaxError
 */
function parsePythonJson(text: string): unknown {
  const marked = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) =>
    token.startsWith('"') ? token : `{"${markOfNumber}": "${token}"}`,
  );
  return JSON.parse(marked, (_key, value: unknown) => {
    const isMark = typeof value === "object" && value !== null && Object.hasOwn(value, markOfNumber);
    return isMark ? Number((value as Record<string, unknown>)[markOfNumber]) : value;
  });
}

const markOfNumber = "a number of Python";

/** @throws EvenkeelError `file` that names the option that is missing, unknown or of another type. */
export function parseOptions<T>(what: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new EvenkeelError("file", `${what}: ${describeIssues(parsed.error)}.`);
}
