/**
 * Texts that differ in numbers alone: kernels that do the same to different arrays. One text with a table of the numbers does for all of
 * them what each would have done, in the same order.
 */

/** A number in a text, which says its type by its suffix. */
const numberPattern = /(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?[fiu]\b/g;

export type Numbered = {
  /** The text between its numbers. */
  readonly skeleton: string;
  readonly numbers: readonly string[];
};

/**
 * Takes the numbers out of a text; their types stay.
 * @param keepsFloats those with a fraction are part of the text
 */
export function numbered(text: string, keepsFloats = false): Numbered {
  const numbers: string[] = [];
  const skeleton = text.replace(numberPattern, (number) => {
    if (keepsFloats && number.endsWith("f")) return number;
    numbers.push(number);
    return `#${number.at(-1)}`;
  });
  return { skeleton, numbers };
}

/** The word of four bytes that a number is in memory. */
export function wordOf(number: string): number {
  const value = Number(number.slice(0, -1));
  switch (number.at(-1)) {
    case "f":
      return new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
    default:
      return value >>> 0;
  }
}

export type Parametrized = {
  /** The text that all have in common, with names in place of the numbers in which they differ. */
  readonly text: string;
  /** What the names stand for, of each the type and its word in each of the texts. */
  readonly columns: readonly {
    readonly name: string;
    readonly type: "f" | "i" | "u";
    readonly words: readonly number[];
  }[];
};

/**
 * One text for several of one skeleton.
 * @param prefix of the names, which no text has
 */
export function parametrized(texts: readonly Numbered[], prefix: string): Parametrized {
  const [first] = texts;
  if (first === undefined) throw new RangeError("no texts");
  const columns = new Map<string, Parametrized["columns"][number]>();
  let index = 0;
  const text = first.skeleton.replace(/#[fiu]/g, () => {
    const column = texts.map(({ numbers }) => numbers[index] ?? "0u");
    const own = first.numbers[index++] ?? "0u";
    if (column.every((number) => number === own)) return own;
    // What is equal everywhere is one number.
    const key = column.join();
    const known = columns.get(key) ?? {
      name: `${prefix}${columns.size}`,
      type: own.at(-1) as "f" | "i" | "u",
      words: column.map(wordOf),
    };
    columns.set(key, known);
    return known.name;
  });
  return { text, columns: [...columns.values()] };
}
