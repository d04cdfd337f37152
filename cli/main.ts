import { CommanderError } from "@commander-js/extra-typings";
import { EvenkeelError } from "../engine/index.ts";
import { createProgram } from "./program.ts";

/**
 * Says what went wrong and gives the exit code: 2 for a command line that isn't understood, 1 for an error of
 * Evenkeel's. Anything else is a defect, and Node shows it with its stack.
 */
function reportFailure(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof EvenkeelError)) throw error;
  const debug = process.env["EVENKEEL_DEBUG"];
  console.error(debug === undefined || debug === "" ? `evenkeel: ${error.message}` : error);
  return 1;
}

try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
