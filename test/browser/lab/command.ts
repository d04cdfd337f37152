/** The command `evenkeel`, as its users run it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { bundledCli } from "../../support/bundledProgram.ts";

/** Runs it. @throws Error with what it said if it ends by an error. */
export async function evenkeelCommand(...words: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [await bundledCli(), ...words]);
}
