import { EvenkeelError, printable } from "../../engine/index.ts";
import { nearestName } from "../nearestName.ts";

/** Classes of one list at most. */
const maximumClasses = 1_000_000;

/** Names that a message lists. */
const shownNames = 12;

/** The classes of a network: how many, and their names, if they have any. */
export type ClassSpace = { readonly count: number; readonly names: readonly string[] | null };

/**
 * The class numbers of a list such as `cats,dogs`, `3,0-2` or `7,7,1`, in its order, repeated ones as often as they are there. A name
 * comes before a number that is written like it; names may hold commas.
 * @throws EvenkeelError `value` that quotes the part that is no class, and says which there are.
 * @example console.log(parseClasses("dogs,0", { count: 2, names: ["cats", "dogs"] })); // [ 1, 0 ]
 */
export function parseClasses(list: string, space: ClassSpace): readonly number[] {
  const named = (space.names ?? []).map((name, number) => [name, number] as const);
  // A Mac's terminal may give letters and accents apart.
  const numbers = new Map([...named.map(([name, number]) => [name.normalize("NFC"), number] as const), ...named]);
  const mostParts = Math.max(1, ...(space.names ?? []).map((name) => name.split(",").length));
  const parts = list.split(",");
  const classes: number[] = [];
  for (let i = 0; i < parts.length; ) {
    const named = nameAt(parts, i, mostParts, numbers);
    const found = named === null ? classesOf(parts[i]?.trim() ?? "", space, numbers) : [named.number];
    if (classes.length + found.length > maximumClasses) {
      throw new EvenkeelError("value", `classes: the list has more than ${maximumClasses}. Sample it in parts.`);
    }
    for (const each of found) classes.push(each);
    i += named?.parts ?? 1;
  }
  return classes;
}

/** The longest run of parts from `start` on that is a name. */
function nameAt(
  parts: readonly string[],
  start: number,
  mostParts: number,
  numbers: ReadonlyMap<string, number>,
): { readonly number: number; readonly parts: number } | null {
  for (let count = Math.min(mostParts, parts.length - start); count >= 1; count--) {
    const text = parts.slice(start, start + count).join(",");
    const number = numbers.get(text) ?? numbers.get(text.trim()) ?? numbers.get(text.trim().normalize("NFC"));
    if (number !== undefined) return { number, parts: count };
  }
  return null;
}

function classesOf(part: string, space: ClassSpace, numbers: ReadonlyMap<string, number>): readonly number[] {
  const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(part);
  const first = Number(match?.[1] ?? NaN);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (match === null) {
    const names = space.names ?? [];
    const near = nearestName(part, names);
    const hint = names.length === 0 ? "its classes have no names" : near === null ? "" : `did you mean "${near}"`;
    throw noClass(part, hint, space);
  }
  if (last < first) throw noClass(part, "a range goes upwards", space);
  const range = Array.from({ length: Math.min(last - first + 1, maximumClasses + 1) }, (_, i) => first + i);
  // Folders called 0 to 11 are sorted as texts: 2-4 means those called so, as 2 does.
  const named = range.map((number) => numbers.get(String(number)));
  if (named.every((number) => number !== undefined)) return named;
  if (last >= space.count) throw noClass(part, "", space);
  return range;
}

function noClass(part: string, hint: string, { count, names }: ClassSpace): EvenkeelError {
  const range = count === 1 ? "class 0 alone" : `classes 0 to ${count - 1}`;
  const listed = names === null ? [] : Array.from({ length: Math.min(count, shownNames + 1) }, (_, number) => number);
  const all = names === null ? range : `${range}: ${describeClasses(listed, names, count)}`;
  const note = hint === "" ? "" : ` (${hint})`;
  return new EvenkeelError("value", `class "${part}" is none of the network's${note}. It has ${all}.`);
}

/**
 * Class numbers as a line says them, with their names: `cats (0), dogs (1)`.
 * @example console.log(describeClasses([1, 0], ["cats", "dogs"])); // dogs (1), cats (0)
 */
export function describeClasses(
  classes: readonly number[],
  names: readonly string[] | null,
  count = classes.length,
): string {
  const shown = classes.slice(0, shownNames).map((each) => {
    const name = names?.[each];
    return name === undefined ? String(each) : `${printable(name)} (${each})`;
  });
  return `${shown.join(", ")}${classes.length > shownNames ? `, ... (${count} in all)` : ""}`;
}
