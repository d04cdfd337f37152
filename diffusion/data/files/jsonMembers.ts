// jsonc-parser's visitor calls itself for each bracket, so that texts with deep values end it, and hands out values in pieces.

/** A member of an object in a JSON text: its name, and where its value stands there. */
export type JsonMember = { readonly name: string; readonly start: number; readonly end: number };

/**
 * The members of an object as a JSON text has them, in its order, repeated ones as often as they are there: of these `JSON.parse` keeps the
 * last without a word. Takes no memory for what it passes over.
 * @param text valid JSON.
 * @param start where the object's bracket stands.
 */
export function* membersOf(text: string, start: number): Generator<JsonMember> {
  let at = pastSpace(text, start + 1);
  while (text[at] === '"') {
    const nameEnd = endOfText(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const valueStart = pastSpace(text, pastSpace(text, nameEnd) + 1);
    const end = endOfValue(text, valueStart);
    yield { name, start: valueStart, end };
    at = pastSpace(text, end + 1);
  }
}

// Codes of characters, which are compared some hundred million times in a large file.
const [space, quote, comma, backslash] = [0x20, 0x22, 0x2c, 0x5c];
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

function pastSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= space) at++;
  return at;
}

/** Behind the closing quote of the text that opens at a place. */
function endOfText(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); ; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return at + 1;
  }
}

/** The comma or bracket behind the value that begins at a place. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; ; ) {
    const code = text.charCodeAt(at);
    const isEnd = code === closeList || code === closeObject;
    if (depth === 0 && (isEnd || code === comma)) return at;
    if (isEnd) depth--;
    else if (code === openList || code === openObject) depth++;
    at = code === quote ? endOfText(text, at) : at + 1;
  }
}
