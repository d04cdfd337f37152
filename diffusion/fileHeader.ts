import * as z from "zod";
import { describeIssues, isNestedDeeply, quoteText } from "../engine/io/index.ts";
import { EvenkeelError } from "../engine/index.ts";

/** What the header of a kind of file is: the JSON that Evenkeel's files carry in their metadata under `evenkeel`. */
export type HeaderForm<T> = {
  /** What the header may call itself. */
  readonly kinds: readonly string[];
  /** The latest version that this program reads. */
  readonly version: number;
  /** Whether kind and version may be missing, as in files that others prepared. */
  readonly isOptional?: boolean;
  readonly schema: z.ZodType<T>;
};

const mark = z.looseObject({ kind: z.unknown().optional(), version: z.unknown().optional() });

/**
 * A file's header, checked.
 * @param text what the file has under `evenkeel`, if anything.
 * @throws EvenkeelError `file` in one line: no header, no JSON, another kind or version, or the fields that are wrong.
 */
export function parseHeader<T>(text: string | undefined, form: HeaderForm<T>, source: string): T {
  const fail = (problem: string, cause?: unknown): never => {
    const expected = form.kinds.join(" or ");
    throw new EvenkeelError("file", `${source}: ${problem}. Expected a file of kind ${expected} that evenkeel wrote.`, {
      cause,
    });
  };
  if (text === undefined) return fail("has no header of evenkeel's");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    return fail("its header of evenkeel's is not JSON", cause);
  }
  if (isNestedDeeply(json)) return fail("its header of evenkeel's is nested too deeply");
  const marked = mark.safeParse(json);
  if (!marked.success) return fail("its header of evenkeel's is no object");
  const { kind, version } = marked.data;
  const isMissing = form.isOptional === true && kind === undefined && version === undefined;
  if (!isMissing) {
    if (typeof kind !== "string" || !form.kinds.includes(kind)) return fail(`is of kind ${shown(kind)}`);
    if (typeof version !== "number" || !Number.isInteger(version) || version < 1 || version > form.version) {
      return fail(`has version ${shown(version)}, and this program reads ${form.version}`);
    }
  }
  const parsed = form.schema.safeParse(json);
  return parsed.success ? parsed.data : fail(`its header of evenkeel's is damaged: ${describeIssues(parsed.error)}`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return quoteText(value);
  return typeof value === "object" && value !== null ? "unknown" : String(value);
}

/** Images seen: a whole number. */
export const imagesSeen = z.number().int().min(0);
