import { type JSONVisitor, printParseErrorCode, visit } from "jsonc-parser";
import { EvenkeelError } from "../../../engine/index.ts";

/** A text of bytes, without a mark of its order. @throws EvenkeelError `file` for other encodings than UTF-8. */
export function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EvenkeelError("file", `${name} is no text in UTF-8; save it as that.`, { cause });
  }
}

/**
 * What a JSON text says.
 * @param name for messages.
 * @throws EvenkeelError `file` with the line and column where it stops being JSON.
 */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      `${name} is no JSON: ${firstMistake(text)}. ` +
        "JSON has texts and names in double quotes, no comma before ] or }, no NaN and no comments.",
      { cause },
    );
  }
}

/** Where a text stops being JSON, and why. Node's own message has no place on some versions, and shows the text as it is. */
function firstMistake(text: string): string {
  const mistakes: { readonly problem: string; readonly index: number }[] = [];
  const onError = (...[code, index]: Parameters<NonNullable<JSONVisitor["onError"]>>): void => {
    // Such as "CommaExpected".
    const words = printParseErrorCode(code).match(/[A-Z][a-z]+/g) ?? [];
    if (mistakes.length === 0) mistakes.push({ problem: words.join(" ").toLowerCase(), index });
  };
  try {
    visit(text, { onError }, { disallowComments: true });
  } catch (cause) {
    // It calls itself for each bracket.
    if (!(cause instanceof RangeError)) throw cause;
  }
  const [first] = mistakes;
  if (first === undefined) return "it breaks within too many brackets to say where";
  const before = text.slice(0, first.index).split("\n");
  const found = first.index >= text.length ? "the end" : JSON.stringify(text.slice(first.index, first.index + 12));
  const place = `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
  return `${place}: ${first.problem}, found ${found}`;
}
