import { EvenkeelError } from "../../../engine/index.ts";

/**
 * What a JSON text says.
 * @param name for messages.
 * @throws EvenkeelError `file` with the line and column where it stops being JSON.
 */
export function parseJson(bytes: Uint8Array, name: string): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EvenkeelError("file", `${name} is no text in UTF-8; save it as that.`, { cause });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const { index, expected } = firstMistake(text);
    const before = text.slice(0, index).split("\n");
    const found = index >= text.length ? "the end" : JSON.stringify(text.slice(index, index + 12));
    const place = `line ${before.length}, column ${(before.at(-1) ?? "").length + 1}`;
    throw new EvenkeelError("file", `${name} is no JSON: ${place}: found ${found}, expected ${expected}.`, { cause });
  }
}

const space = /[ \t\n\r]*/y;
const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Where a text stops being JSON, and what could have been there. Walks with a stack of its own: texts may be nested deeply. */
function firstMistake(text: string): { readonly index: number; readonly expected: string } {
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  /** A text in double quotes; where it stops being one, `at` stays. */
  const takeText = (): boolean => {
    if (!skip('"')) return false;
    for (;;) {
      if (skip('"')) return true;
      if (text[at] === "\\") {
        if (!take(escape)) return false;
      } else if (at < text.length && text.charCodeAt(at) >= 32) at++;
      else return false;
    }
  };
  const skip = (character: string): boolean => {
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const open: ("{" | "[")[] = [];
  /** `first`: a container was just opened, and may be closed at once. */
  let state: "value" | "first" | "key" | "after" = "value";
  for (;;) {
    take(space);
    const inside = open.at(-1);
    const close = inside === "{" ? "}" : "]";
    if (state === "after") {
      if (inside === undefined) return { index: at, expected: "the end" };
      if (skip(close)) open.pop();
      else if (skip(",")) state = inside === "{" ? "key" : "value";
      else return { index: at, expected: `"," or "${close}"` };
      if (state === "after" && open.length === 0) {
        take(space);
        return { index: at, expected: "the end" };
      }
      continue;
    }
    if (state === "first" && skip(close)) {
      open.pop();
      state = "after";
      continue;
    }
    if (state === "key" || (state === "first" && inside === "{")) {
      if (!takeText()) return { index: at, expected: 'a name in double quotes ("")' };
      take(space);
      if (!skip(":")) return { index: at, expected: '":"' };
      state = "value";
      continue;
    }
    if (skip("{")) {
      open.push("{");
      state = "first";
    } else if (skip("[")) {
      open.push("[");
      state = "first";
    } else if (takeText() || take(scalar)) state = "after";
    else return { index: at, expected: "a value: a number, a text in double quotes, [ or {" };
  }
}
