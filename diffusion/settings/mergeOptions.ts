import type * as z from "zod";
import { clipText } from "../../engine/io/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { nearestName } from "../nearestName.ts";

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
 * @example
 * ```ts
 * const schema = trainSettings.pick({ lr: true, batch: true });
 * const file = { from: "mine.toml", values: { lr: 0.02, batch: 32 } };
 * const flags = { from: "the flags", values: { lr: 0.01 } };
 * console.log(mergeOptions(schema, [file, flags])); // { lr: 0.01, batch: 32 }
 * ```
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
  const { label = (name: string): string => name } = given.at(-1) ?? {};
  const missing = checked.error.issues.map(({ path }) => label(path.join(".")));
  throw new EvenkeelError(
    "value",
    `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not set; looked in ${given.map(({ from }) => from).join(", ")}.`,
  );
}

/** So many mistakes are told at once. */
const problemsShown = 8;

function problemsOf(error: z.ZodError, layer: OptionLayer, names: readonly string[]): EvenkeelError {
  const { from, values, label = (name: string): string => name } = layer;
  const problems = error.issues.slice(0, problemsShown).flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys
        .slice(0, problemsShown)
        .map((key) => `${clipText(label(key))} is no option${suggestion(key, names, label)}`);
    }
    const [name = "", ...rest] = issue.path.map(String);
    const place = [label(name), ...rest].join(".");
    const value = at(values, issue.path);
    return `${place} is ${value === undefined ? "missing" : clipText(JSON.stringify(value))}; ${wanted(issue.message)}`;
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

/** The known name that was meant, if one is near. */
function suggestion(key: string, names: readonly string[], label: (name: string) => string): string {
  const near = nearestName(key, names);
  return near === null ? "" : `; did you mean ${label(near)}?`;
}
