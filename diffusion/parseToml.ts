import { parse, TomlError } from "smol-toml";
import { clipText } from "../engine/io/index.ts";
import { EvenkeelError, messageOf } from "../engine/index.ts";

/**
 * The tables of a TOML file's text. @param file what messages call it. @throws EvenkeelError `file` with the place of the mistake.
 * @example console.log(parseToml("lr = 0.02", "mine.toml")["lr"]); // 0.02
 */
export function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    // The library's message repeats the whole line, of any length.
    const place = cause instanceof TomlError ? `line ${cause.line}, column ${cause.column}: ` : "";
    const [reason = ""] = messageOf(cause).split("\n");
    throw new EvenkeelError("file", `${file}: no TOML: ${place}${clipText(reason)}`, { cause });
  }
}
