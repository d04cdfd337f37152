import { crc32 } from "./crc32.ts";
import { utf8Flag, viewOf } from "./zipFormat.ts";

/**
 * How a name was read where its archive doesn't say it, or says what isn't so: as UTF-8, which it is by its form; as DOS wrote them (code
 * page 437), as it isn't UTF-8; the same although it is said to be UTF-8.
 */
export type NameGuess = "utf8" | "dos" | "dosNotUtf8";

/** The field of Info-ZIP's that has an entry's name in UTF-8. */
const unicodeNameField = 0x7075;

/** An entry's name: of its field of Unicode, as it says, or else (null: no guess) in the encoding that fits. */
export function nameOfEntry(
  flags: number,
  name: Uint8Array,
  fields: ReadonlyMap<number, Uint8Array>,
): { readonly name: string; readonly guess: NameGuess | null } {
  const unicode = unicodeName(fields.get(unicodeNameField), name);
  if (unicode !== null) return { name: unicode, guess: null };
  const saysUtf8 = (flags & utf8Flag) !== 0;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(name);
    // The Mac writes UTF-8 without saying so.
    return { name: text, guess: saysUtf8 || name.every((byte) => byte < 128) ? null : "utf8" };
  } catch {
    return { name: decodeDos(name), guess: saysUtf8 ? "dosNotUtf8" : "dos" };
  }
}

/** What the field of Unicode says, if it is of the name that the entry has. */
function unicodeName(field: Uint8Array | undefined, name: Uint8Array): string | null {
  if (field === undefined || field.length <= 5 || field[0] !== 1) return null;
  if (viewOf(field).getUint32(1, true) !== crc32(name)) return null;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(field.subarray(5));
}

/** The characters from 128 on of code page 437. Source: Unicode Consortium, CP437.TXT. */
const dosCharacters =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

function decodeDos(name: Uint8Array): string {
  return Array.from(name, (byte) => (byte < 128 ? String.fromCharCode(byte) : (dosCharacters[byte - 128] ?? ""))).join(
    "",
  );
}
