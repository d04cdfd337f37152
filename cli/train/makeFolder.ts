import { mkdir } from "node:fs/promises";
import { EvenkeelError } from "../../engine/index.ts";

/** Makes a folder and those it lies in, unless they are there. @throws EvenkeelError `file`. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    throw new EvenkeelError("file", `can't make ${folder}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
