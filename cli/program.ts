import { createRequire } from "node:module";
import { Command } from "@commander-js/extra-typings";
import { addCommands } from "./commands/index.ts";

/** The command line program `evenkeel`. It throws a `CommanderError` where commander would end the process. */
export function createProgram(): Command {
  const program = new Command("npx evenkeel")
    .description("Train, study and sample diffusion models in TypeScript.")
    .version(packageVersion())
    .exitOverride();
  addCommands(program);
  return program;
}

/** The package refers to itself by name, because the built program lies one folder deeper than the source. */
function packageVersion(): string {
  const description: unknown = createRequire(import.meta.url)("evenkeel/package.json");
  if (typeof description === "object" && description !== null && "version" in description) {
    if (typeof description.version === "string") return description.version;
  }
  throw new TypeError("package.json has no version");
}
