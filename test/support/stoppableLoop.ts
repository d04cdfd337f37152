/** A loop that ends after its step when a signal asks for it; with the argument `stuck`, it never ends. */
import { StopSignals } from "../../diffusion/run/stopSignals.ts";

const isStuck = process.argv[2] === "stuck";
const signals = new StopSignals((signal) => console.log(`first ${signal}`));
console.log("running");
// A stuck loop is bounded, so that a failing test leaves no process behind.
for (let step = 0; step < 3000 && (isStuck || !signals.requested); step++)
  await new Promise((done) => setTimeout(done, 10));
signals.dispose();
console.log("checkpoint written");
