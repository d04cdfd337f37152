import path from "node:path";
import type { Availability } from "../contender.ts";
import { prepareOnTfjs, type Tf } from "./tfjsWorks.ts";

type TfWasm = { setWasmPaths(folder: string): void; getThreadsCount(): number };

export async function tfjsContender(
  load: (name: string) => Promise<unknown>,
  folder: string,
  backendName: "wasm" | "cpu",
): Promise<Availability> {
  const name = `tfjs ${backendName}`;
  try {
    const tf = (await load("@tensorflow/tfjs")) as Tf;
    const backend = (await load("@tensorflow/tfjs-backend-wasm")) as TfWasm;
    backend.setWasmPaths(`${path.join(folder, "node_modules/@tensorflow/tfjs-backend-wasm/dist")}/`);
    if (!(await tf.setBackend(backendName))) throw new Error(`its ${backendName} backend did not start`);
    const threads = backendName === "wasm" ? backend.getThreadsCount() : 1;
    return {
      contender: {
        name,
        description: `@tensorflow/tfjs 4.22.0, ${backendName}, ${threads} thread: its builds for Node have no more`,
        prepare: async (work, data) => {
          await tf.setBackend(backendName);
          // Its operations are done when their functions return.
          return prepareOnTfjs(tf, work, data, async () => undefined);
        },
        dispose: () => undefined,
      },
    };
  } catch (reason) {
    return { name, missing: reason instanceof Error ? reason.message : String(reason) };
  }
}
