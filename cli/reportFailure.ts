import { CommanderError } from "@commander-js/extra-typings";
import { EvenkeelError } from "../engine/index.ts";

/**
 * Tells the user what ended the program and gives its exit code: 0 after `--help` and `--version`, 2 for a command line
 * that isn't understood (commander has said so already), 1 for an error of Evenkeel's, in one line unless the environment
 * variable EVENKEEL_DEBUG asks for its stack.
 * @throws anything else as it is: that is a defect, and its stack is what helps.
 */
export function reportFailure(error: unknown, print: (text: string) => void, debug: boolean): 0 | 1 | 2 {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof EvenkeelError)) throw error;
  print(debug ? (error.stack ?? error.message) : `evenkeel: ${error.message}`);
  return 1;
}
