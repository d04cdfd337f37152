import { quoteText } from "../engine/io/index.ts";
import { EvenkeelError } from "../engine/index.ts";

/** Names that there are to be, and those that there are. */
export type NameCheck = {
  /** What messages call that which has the names. */
  readonly source: string;
  readonly wanted: ReadonlySet<string>;
  readonly given: Iterable<string>;
  /** Whether there may be more. Default: false. */
  readonly allowsMore?: boolean;
  /** What wants the names, and what may help where there are more: "which the network doesn't". */
  readonly about: string;
  /** What may be the matter, in the end. Default: nothing. */
  readonly advice?: string;
};

/** Checks that names are those that are wanted. @throws EvenkeelError `shape` that tells what is missing and what is too much */
export function requireNames({ source, wanted, given, allowsMore = false, about, advice = "" }: NameCheck): void {
  const there = new Set(given);
  const missing = [...wanted].filter((name) => !there.has(name));
  const unknown = allowsMore ? [] : [...there].filter((name) => !wanted.has(name));
  if (missing.length === 0 && unknown.length === 0) return;
  const list = (names: readonly string[]): string =>
    names.slice(0, 3).map(quoteText).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  const parts = [
    ...(missing.length > 0 ? [`lacks ${list(missing)}`] : []),
    ...(unknown.length > 0 ? [`has ${list(unknown)}, ${about}`] : []),
  ];
  throw new EvenkeelError("shape", `${source} ${parts.join(" and ")}.${advice}`);
}
