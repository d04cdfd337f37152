import { CommanderError } from "@commander-js/extra-typings";
import { type ErrorCode, EvenkeelError } from "../engine/index.ts";

/**
 * Errors about what was asked for: a value that can't be, or that doesn't fit the others, the networks, the data or what a folder was begun
 * with. Whatever goes wrong with the work itself (files, devices, memory, a loss that isn't finite) has another code.
 */
const ofMisuse: ReadonlySet<ErrorCode> = new Set(["value", "range"]);

/**
 * Tells the user what ended the program and gives its exit code, the one rule for all commands: 0 after `--help` and `--version`; 2 for
 * what was asked for wrongly, be it that commander doesn't understand the command line (it has said so already) or that a command refuses
 * it; 1 for work that failed. An error of Evenkeel's is told in one line, unless the environment variable EVENKEEL_DEBUG asks for its stack.
 * @throws anything else as it is: that is a defect, and its stack is what helps.
 */
export function reportFailure(error: unknown, print: (text: string) => void, debug: boolean): 0 | 1 | 2 {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof EvenkeelError)) throw error;
  print(debug ? (error.stack ?? error.message) : `evenkeel: ${error.message}`);
  return ofMisuse.has(error.code) ? 2 : 1;
}
