/** Patterns of names, matched in time that their stars don't multiply: names and patterns come from files. */

/** A text as it is, any text at all, or a number whose digits are wanted by this name. */
export type PatternPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "any" }
  | { readonly kind: "whole" | "decimal"; readonly name: string };

/** Patterns of literal text and `*`. */
export function starPattern(pattern: string): readonly PatternPart[] {
  return pattern
    .split(/(\*)/)
    .filter((part) => part !== "")
    .map((part) => (part === "*" ? { kind: "any" } : { kind: "text", text: part }));
}

/**
 * The wanted numbers of a name that has the pattern's form, and what stars stand for, by a star and the place in the pattern; undefined for
 * another name. Where several readings are possible, parts take as much as
 * they can, the first first.
 */
export function matchPattern(parts: readonly PatternPart[], name: string): ReadonlyMap<string, string> | undefined {
  // What was tried once from a part and a place and failed fails again: each of them is tried once.
  const failed = new Set<number>();
  type Step = { readonly part: number; readonly ends: readonly number[]; next: number };
  const endsOf = (index: number, start: number): readonly number[] => {
    const part = parts[index];
    return part === undefined ? [] : endsOfPart(part, name, start);
  };
  const steps: Step[] = [{ part: 0, ends: endsOf(0, 0), next: 0 }];
  const starts = [0];
  for (let step = steps.at(-1); step !== undefined; step = steps.at(-1)) {
    const end = step.ends[step.next++];
    if (end === undefined) {
      failed.add(keyOf(step.part, starts.at(-1) ?? 0, name));
      steps.pop();
      starts.pop();
      continue;
    }
    const isLast = step.part === parts.length - 1;
    if (isLast && end === name.length) return captured(parts, name, [...starts, end]);
    if (isLast || failed.has(keyOf(step.part + 1, end, name))) continue;
    steps.push({ part: step.part + 1, ends: endsOf(step.part + 1, end), next: 0 });
    starts.push(end);
  }
  return undefined;
}

function keyOf(part: number, start: number, name: string): number {
  return part * (name.length + 1) + start;
}

/** Where a part that begins at `start` may end, the farthest first. */
function endsOfPart(part: PatternPart, name: string, start: number): readonly number[] {
  switch (part.kind) {
    case "text":
      return name.startsWith(part.text, start) ? [start + part.text.length] : [];
    case "any":
      return Array.from({ length: name.length - start + 1 }, (_, i) => name.length - i);
    case "whole":
    case "decimal": {
      const ends: number[] = [];
      const form = part.kind === "whole" ? /^\d+$/ : /^\d*\.?\d+$/;
      const digits = part.kind === "whole" ? /[0-9]/ : /[0-9.]/;
      for (let end = start + 1; end <= name.length && digits.test(name[end - 1] ?? ""); end++) {
        if (form.test(name.slice(start, end))) ends.push(end);
      }
      return ends.reverse();
    }
  }
}

function captured(parts: readonly PatternPart[], name: string, places: readonly number[]): ReadonlyMap<string, string> {
  return new Map(
    parts.flatMap((part, i): [string, string][] =>
      part.kind === "text" ? [] : [["name" in part ? part.name : `*${i}`, name.slice(places[i], places[i + 1])]],
    ),
  );
}

/** Whether a text has the form of a pattern of texts and stars: in time linear in it. */
export function hasForm(parts: readonly PatternPart[], text: string): boolean {
  const pieces: string[] = [""];
  for (const part of parts) {
    if (part.kind === "any") pieces.push("");
    else if (part.kind === "text") pieces.push((pieces.pop() ?? "") + part.text);
  }
  const [first = "", ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  // The earliest place of each piece leaves the most for those behind it.
  let place = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, place);
    if (found < 0) return false;
    place = found + piece.length;
  }
  return place <= text.length - last.length;
}
