import { createProgram } from "./program.ts";
import { reportFailure } from "./reportFailure.ts";

// A reader that closes the pipe early (`| head`) has what it wanted.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  const debug = process.env["EVENKEEL_DEBUG"];
  process.exitCode = reportFailure(error, console.error, debug !== undefined && debug !== "");
}
