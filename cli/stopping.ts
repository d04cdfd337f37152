import { StopSignals } from "../diffusion/run/node.ts";

/** What ends this process when a signal asks for it; every command says what it leaves behind. */
export const stopping = new StopSignals((line) => process.stderr.write(`${line}\n`));
