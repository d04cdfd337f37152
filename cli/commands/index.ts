import type { Command } from "@commander-js/extra-typings";

/**
 * Adds every subcommand to the program; the one place where they are listed. Each has a file of its own that exports
 * `addNameCommand(program)` and makes it with `program.command(...)`, so that it inherits the program's error handling.
 */
export function addCommands(_program: Command): void {}
