import fs from "node:fs/promises";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";

/** The names of the files in a folder, sorted. @throws EvenkeelError `file` if it can't be read. */
export async function listFiles(folder: string): Promise<string[]> {
  try {
    const entries = await fs.readdir(folder, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isFile() || entry.isSymbolicLink() ? [entry.name] : [])).sort();
  } catch (cause) {
    throw refused(folder, "reading the folder", cause);
  }
}

/** Whether there is anything at `file`. */
export async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}

/** The text of a small file. @throws EvenkeelError `file` if it can't be read. */
export async function readText(file: string): Promise<string> {
  return fs.readFile(file, "utf8").catch((cause: unknown) => {
    throw refused(file, "reading", cause);
  });
}

function refused(place: string, doing: string, cause: unknown): EvenkeelError {
  const reason = messageOf(cause);
  return new EvenkeelError("file", `${place}: ${doing} failed: ${reason}.`, { cause });
}
