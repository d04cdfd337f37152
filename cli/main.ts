import { printable } from "../engine/index.ts";
import { fileSystemError } from "../engine/io/node.ts";
import { createProgram } from "./program.ts";
import { reportFailure } from "./reportFailure.ts";
import { stopping } from "./stopping.ts";

stopping.listen();
for (const [name, stream] of [
  ["standard output", process.stdout],
  ["standard error", process.stderr],
] as const) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read the output is gone (`| head`), or the terminal is.
    if (error.code === "EPIPE" || error.code === "EIO") return stopping.request("SIGPIPE");
    // What went before it is gone: the disk is full on which it is kept, for one.
    if (stopping.exitCode === undefined)
      process.stderr.write(`evenkeel: ${fileSystemError(name, "writing", error).message}\n`);
    stopping.request("output error");
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
