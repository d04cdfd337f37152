/** Source that holds for any size of a batch, from sources that hold for one each. */
import { EvenkeelError } from "../engine/errors.ts";
import { at } from "../engine/graph/shape.ts";

/** Primes that no axis of a network has, so that nothing has the size by chance. */
const sizes = [1009, 2003, 4007] as const;

/** Numbers in a text stand between those parts of it that are none. */
const partsOf = (text: string): string[] => text.split(/(\d+)/);

/**
 * The text with `n` where the size is. Whole numbers that differ between the texts of two sizes have to be a multiple of the size and a number,
 * which the text of a third size proves.
 * @param what messages call it.
 * @throws EvenkeelError `trace` if something differs in another way.
 */
export function sourceOfAnySize(what: string, sourceOf: (size: number) => string): string {
  const [first, second, third] = sizes.map((size) => sourceOf(size).split("\n")) as [string[], string[], string[]];
  const fail = (line: number): never => {
    throw new EvenkeelError(
      "trace",
      `${what}: can't be written for any size: with ${sizes.join(" and ")} it has\n${[first, second, third]
        .map((lines) => (lines[line] ?? "no such line").slice(0, 500))
        .join("\n")}\nExpected what follows the size in a line.`,
    );
  };
  const lines = first.map((line, i) => {
    const texts = [line, second[i] ?? fail(i), third[i] ?? fail(i)].map(partsOf);
    const [a, b, c] = texts as [string[], string[], string[]];
    if (a.length !== b.length || a.length !== c.length) return fail(i);
    return a
      .map((part, j) => {
        if (part === b[j] && part === c[j]) return part;
        const numbers = [part, at(b, j), at(c, j)].map(Number) as [number, number, number];
        return sizeText(numbers) ?? fail(i);
      })
      .join("");
  });
  if (second.length !== lines.length || third.length !== lines.length) return fail(lines.length);
  return lines.join("\n");
}

/** `n`, `3 * n`, `(3 * n - 1)`; undefined for numbers that aren't on a line. */
function sizeText([a, b, c]: readonly [number, number, number]): string | undefined {
  const factor = (b - a) / (sizes[1] - sizes[0]);
  const rest = a - factor * sizes[0];
  if (!Number.isInteger(factor) || factor * sizes[2] + rest !== c) return undefined;
  const multiple = factor === 1 ? "n" : `${factor} * n`;
  if (rest === 0) return multiple;
  return `(${multiple} ${rest < 0 ? "-" : "+"} ${Math.abs(rest)})`;
}
