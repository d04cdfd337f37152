/**
 * Holds a peer of the bench to the laws of programs, node by node: `node --import tsx bench/laws/main.ts tfjs wasm 300 7 empty,sign`: peer, backend,
 * cases, seed, and what to leave out because it is known by now: operations by the names that graphs are printed with, values that are
 * `empty`, what is made of NaN and infinities (`special`), what is `subnormal`. Prints the smallest program that is found to fail.
 */
import path from "node:path";
import { operationName } from "../../engine/graph/print.ts";
import { accuracies, checkPrograms, type Node } from "../../testing/index.ts";
import { WebWorker } from "../peers/webWorker.ts";
import { type Jax, jaxJsDevice } from "./jaxJs.ts";
import { tfjsDevice } from "./tfjs.ts";

const [peer = "tfjs", backend = "cpu", runs = "100", seed = "1", without = ""] = process.argv.slice(2);
const leftOut = without.split(",");
const folder = path.resolve(import.meta.dirname, "../node_modules");
/** By a name that types don't look up: peers are installed for benches only. */
const load = async (name: string): Promise<unknown> => import(name);

async function make(): ReturnType<typeof tfjsDevice> {
  if (peer === "jax-js") {
    (globalThis as { Worker?: unknown }).Worker ??= WebWorker;
    const jax = (await load("@jax-js/jax")) as Jax & {
      init(name: string): Promise<void>;
      defaultDevice(name: string): void;
    };
    await jax.init(backend);
    jax.defaultDevice(backend);
    return jaxJsDevice(jax, backend);
  }
  const tf = (await load("@tensorflow/tfjs")) as Parameters<typeof tfjsDevice>[0];
  const wasm = (await load("@tensorflow/tfjs-backend-wasm")) as { setWasmPaths(folder: string): void };
  wasm.setWasmPaths(`${path.join(folder, "@tensorflow/tfjs-backend-wasm/dist")}/`);
  return tfjsDevice(tf, backend);
}

const { device, supports: knows } = await make();
const supports = (node: Node): boolean =>
  knows(node) && !leftOut.includes(operationName(node)) && !(leftOut.includes("empty") && node.shape.includes(0));
// They promise nothing: elementary functions may be 32 units in the last place off, and of what is left out nothing is asked.
const accuracy = {
  ...accuracies.wasm,
  elementary: 32,
  specialValues: !leftOut.includes("special"),
  flushesSubnormals: leftOut.includes("subnormal"),
};
const options = { runs: Number(runs), seed: Number(seed), accuracy, supports };
try {
  const { compared, uncertain } = await checkPrograms(device, options);
  console.log(
    `${device.description}: ${runs} programs of seed ${seed}, ${compared} numbers compared, ${uncertain} uncertain: right`,
  );
} catch (reason) {
  console.log(reason instanceof Error ? reason.message : reason);
  process.exitCode = 1;
}
process.exit();
