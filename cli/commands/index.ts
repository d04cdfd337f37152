import type { Command } from "@commander-js/extra-typings";
import { addExplainCommand } from "./explain.ts";
import { addPhemaCommand } from "./phema.ts";

/**
 * Adds every subcommand to the program; the one place where they are listed. Each has a file of its own that exports
 * `addNameCommand(program)` and makes it with `program.command(...)`, so that it inherits the program's error handling.
 */
export function addCommands(program: Command): void {
  addExplainCommand(program);
  addPhemaCommand(program);
}
