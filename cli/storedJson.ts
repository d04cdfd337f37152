import { readFile } from "node:fs/promises";
import { EvenkeelError, messageOf } from "../engine/index.ts";

/**
 * The object that a file of a folder of runs holds; null if there is no file.
 * @throws EvenkeelError `file` for a file that can't be read or lacks one of the `fields`.
 */
export async function readStored<T extends object>(
  path: string,
  fields: readonly (keyof T & string)[],
): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    throw new EvenkeelError("file", `can't read ${path}: ${messageOf(cause)}`, {
      cause,
    });
  }
  const value = parse(text);
  if (typeof value === "object" && value !== null && fields.every((field) => field in value)) return value as T;
  throw new EvenkeelError("file", `${path} is damaged. Remove it, and it is made anew.`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
