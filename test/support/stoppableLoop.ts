/**
 * A loop that ends after its step when a signal asks for it; with the argument `stuck`, it never
 * ends; with `alone`, nothing ends in order, but a file is being written.
 */
import { writeFileAtomically } from "../../engine/io/node.ts";
import { StopSignals } from "../../diffusion/run/stopSignals.ts";

const [, , kind = "", target = ""] = process.argv;
const signals = new StopSignals((line) => console.log(line));
signals.listen();
const wait = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));
if (kind === "alone") {
  signals.left = "Nothing was written.";
  await writeFileAtomically(target, async (sink) => {
    await sink.write(new Uint8Array(1000));
    console.log("running");
    await wait(30_000);
  });
}
let requested = false;
const tell = (signal: string): void => {
  console.log(`first ${signal}`);
  requested = true;
};
await signals.during(tell, async () => {
  console.log("running");
  // A stuck loop is bounded, so that a failing test leaves no process behind.
  for (let step = 0; step < 3000 && (kind === "stuck" || !requested); step++) await wait(10);
});
signals.dispose();
console.log("checkpoint written");
process.exitCode = signals.exitCode;
