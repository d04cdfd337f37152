import type { Availability } from "../contender.ts";
import { type JaxModule, prepareOnJax } from "./jaxWorks.ts";
import { WebWorker } from "./webWorker.ts";

/** Convolutions' gradients are measured in the small network only: at 0.3 GFLOP/s the large ones take a quarter of an hour. */
const tooSlow = "0.3 GFLOP/s in the conv net's gradients; the large ones would take minutes";

/** Starts jax-js with as many workers as we have threads; Node has no `Worker` of the kind that it looks for. */
async function start(load: (name: string) => Promise<unknown>, threads: number): Promise<JaxModule> {
  const host = globalThis as { Worker?: unknown };
  host.Worker ??= WebWorker;
  const jax = (await load("@jax-js/jax")) as JaxModule;
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { hardwareConcurrency: threads }, configurable: true });
  try {
    await jax.init("wasm");
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "navigator");
    else Object.defineProperty(globalThis, "navigator", before);
  }
  jax.defaultDevice("wasm");
  return jax;
}

export async function jaxJsContender(load: (name: string) => Promise<unknown>, threads: number): Promise<Availability> {
  const name = "jax-js wasm";
  try {
    const jax = await start(load, threads);
    return {
      contender: {
        name,
        description: `@jax-js/jax 0.1.25, wasm, ${threads} threads`,
        prepare: (work, data) => prepareOnJax(jax, work, data, { noConvGradients: tooSlow, waitsForEach: true }),
        dispose: () => undefined,
      },
    };
  } catch (reason) {
    return { name, missing: reason instanceof Error ? reason.message : String(reason) };
  }
}
