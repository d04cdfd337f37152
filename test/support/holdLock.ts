/** Takes the run folder of the first argument, says whether it got it, and lives until it is killed. */
import { RunLock } from "../../diffusion/run/runLock.ts";

const [, , folder = ""] = process.argv;
await RunLock.take(folder).then(
  () => console.log("taken"),
  (reason: unknown) => console.log(String(reason)),
);
setInterval(() => undefined, 1000);
