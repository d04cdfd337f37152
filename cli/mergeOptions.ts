import type { z } from "zod";
import { EvenkeelError } from "../engine/index.ts";

/** Options from one place, by name; absent ones come from the layers before. */
export type OptionLayer = {
  /** Where they are from, for messages: a file's name, "flags". */
  readonly from: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** How an option is written there: `lr`, `--lr`. */
  readonly label?: (name: string) => string;
};

/**
 * Options by their names: those of later layers win over those of earlier ones.
 * @throws EvenkeelError `value` that names where an option is from, what it is and what was expected; for a name that isn't known, the
 * nearest one; for options that no layer gives, all of them.
 */
export function mergeOptions<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape, z.core.$strict>,
  layers: readonly OptionLayer[],
): z.output<z.ZodObject<Shape, z.core.$strict>> {
  const names = Object.keys(schema.shape);
  const known = (layer: OptionLayer): OptionLayer => ({
    ...layer,
    values: Object.fromEntries(Object.entries(layer.values).filter(([, value]) => value !== undefined)),
  });
  const given = layers.map(known);
  // Each layer by itself first: a mistake is told where it was made, even if a later layer hides it.
  for (const layer of given) {
    const checked = schema.partial().safeParse(layer.values);
    if (!checked.success) throw problemsOf(checked.error, layer, names);
  }
  const checked = schema.safeParse(Object.assign({}, ...given.map(({ values }) => values)));
  if (checked.success) return checked.data;
  const missing = checked.error.issues.map(({ path }) => path.join("."));
  throw new EvenkeelError(
    "value",
    `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not set; looked in ${given.map(({ from }) => from).join(", ")}.`,
  );
}

function problemsOf(error: z.ZodError, layer: OptionLayer, names: readonly string[]): EvenkeelError {
  const { from, values, label = (name: string): string => name } = layer;
  const problems = error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => `${label(key)} is no option${suggestion(key, names, label)}`);
    }
    const [name = "", ...rest] = issue.path.map(String);
    const place = [label(name), ...rest].join(".");
    return `${place} is ${JSON.stringify(at(values, issue.path))}; ${wanted(issue.message)}`;
  });
  const text = `${from}: ${problems.join("; ")}`;
  return new EvenkeelError("value", text.endsWith("?") ? text : `${text}.`);
}

/** A complaint without the headline that zod begins it with. */
function wanted(message: string): string {
  return message.replace(/^[A-Z][A-Za-z ]*: /, "");
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

/** The known name that takes the fewest changes, if it takes few. */
function suggestion(key: string, names: readonly string[], label: (name: string) => string): string {
  const [best] = names
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const isNear = best !== undefined && best.distance <= Math.min(3, Math.ceil(key.length / 2));
  return isNear ? `; did you mean ${label(best.name)}?` : "";
}

/** Insertions, deletions and replacements from one word to another (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
