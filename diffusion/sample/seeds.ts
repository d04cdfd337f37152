import { EvenkeelError } from "../../engine/index.ts";

/** Most seeds of one list. Beyond it a slip of the pen ("0-9999999999") would fill the memory. */
export const maximumSeeds = 10_000_000;

/**
 * The seeds of a list such as `1,2,5-10` (ranges include both ends), in the order of the list; repeated ones stay repeated.
 * @throws EvenkeelError `value` that quotes the part it doesn't understand.
 * @example console.log(parseSeeds("0-2,7")); // [ 0, 1, 2, 7 ]
 */
export function parseSeeds(list: string): readonly number[] {
  const seeds: number[] = [];
  for (const part of list.split(",")) {
    const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part);
    const first = Number(match?.[1] ?? NaN);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) {
      throw new EvenkeelError(
        "value",
        `seeds: "${part}" in "${list}" is neither a whole number nor a range such as 5-10. Example: 1,2,5-10.`,
      );
    }
    if (seeds.length + (last - first) >= maximumSeeds) {
      throw new EvenkeelError("value", `seeds: "${list}" lists more than ${maximumSeeds} seeds. Sample it in parts.`);
    }
    for (let seed = first; seed <= last; seed++) seeds.push(seed);
  }
  return seeds;
}

/** One of `count` processes that share the work; `index` counts from 1. */
export type Shard = { readonly index: number; readonly count: number };

/**
 * A shard written as `2/4`: the second of four. @throws EvenkeelError `value`.
 * @example console.log(parseShard("2/4")); // { index: 2, count: 4 }
 */
export function parseShard(text: string): Shard {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [index, count] = [Number(match?.[1] ?? NaN), Number(match?.[2] ?? NaN)];
  if (!Number.isSafeInteger(count) || !(index >= 1 && index <= count)) {
    throw new EvenkeelError("value", `shard: "${text}" is not i/N with i from 1 to N. Example: 2/4.`);
  }
  return { index, count };
}

/**
 * Every `count`-th of `items`, beginning with number `index`: all shards together are all items, and differ by one at most.
 * @example console.log(takeShard([0, 1, 2, 3, 4], parseShard("1/2"))); // [ 0, 2, 4 ]
 */
export function takeShard<T>(items: readonly T[], { index, count }: Shard): readonly T[] {
  return items.filter((_, i) => i % count === index - 1);
}
