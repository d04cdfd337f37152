import { printable } from "../engine/index.ts";
import { createProgram } from "./program.ts";
import { reportFailure } from "./reportFailure.ts";
import { stopping } from "./stopping.ts";

stopping.listen();
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read the output is gone (`| head`), or the terminal is.
    if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
    stopping.request("SIGPIPE");
  });
}

// What is printed may hold names out of files (classes, tensors, pictures): none of them gives orders to a terminal.
for (const kind of ["log", "warn", "error"] as const) {
  const print = console[kind].bind(console);
  console[kind] = (...texts: unknown[]) =>
    print(...texts.map((text) => String(text).split("\n").map(printable).join("\n")));
}

try {
  await createProgram().parseAsync();
} catch (error) {
  const debug = process.env["EVENKEEL_DEBUG"];
  process.exitCode = reportFailure(error, console.error, debug !== undefined && debug !== "");
}
// What was left when it was stopped needn't be waited for.
if (stopping.exitCode !== undefined) process.exit(stopping.exitCode);
