import { createProgram } from "./program.ts";
import { reportFailure } from "./reportFailure.ts";

try {
  await createProgram().parseAsync();
} catch (error) {
  const debug = process.env["EVENKEEL_DEBUG"];
  process.exitCode = reportFailure(error, console.error, debug !== undefined && debug !== "");
}
