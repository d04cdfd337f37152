/** PyTorch as a device that computes graphs as they are exported, so that it can be held to the laws. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { DeviceBuffer, Executable } from "../../engine/devices/device.ts";
import { OracleDevice } from "../../engine/devices/oracle/oracleDevice.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import type { TensorData } from "../../engine/graph/dtype.ts";
import { at } from "../../engine/graph/shape.ts";
import { torchPrimitives } from "../../torch/index.ts";
import { graphModule } from "../../torch/exportTorch.ts";
import { requirePython } from "./pytorch.ts";

type Answer = { readonly results: readonly string[] } | { readonly error: string };

/** One Python process that computes all graphs of a test. */
export class TorchDevice extends OracleDevice {
  readonly #folder = mkdtempSync(join(tmpdir(), "evenkeel-torch-"));
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    super();
    writeFileSync(join(this.#folder, "primitives.py"), torchPrimitives);
    const server = fileURLToPath(new URL("server.py", import.meta.url));
    this.#process = spawn(requirePython(), [server, this.#folder], { stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#process;
    if (stdout === null) throw new Error("the process has no output");
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  override async interpret(graph: Graph): Promise<Executable> {
    const executable = await super.interpret(graph);
    const source = graphModule(
      "program",
      graph,
      graph.outputs.map((_, i) => `result${i}`),
    );
    const run: Executable["run"] = async (inputs, outputs) => {
      const given = inputs.map((buffer, i) => {
        const { dtype, shape, name } = at(graph.inputs, i).attributes;
        return [name.replace(/^argument0\.?/, ""), { dtype, shape, data: toBase64(this.downloadFloat64(buffer)) }] as const;
      });
      const results = await this.#ask({ name: "program", source, inputs: Object.fromEntries(given) });
      outputs.forEach((buffer: DeviceBuffer, i) => this.uploadFloat64(buffer, fromBase64(at(results, i))));
      return [];
    };
    const sources = (): ReturnType<Executable["sources"]> => [{ kernel: "program", language: "Python", text: source }];
    return { ...executable, run, sources, dispose: () => executable.dispose() };
  }

  async #ask(request: object): Promise<readonly string[]> {
    this.#process.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error("the Python process has ended");
    const answer = JSON.parse(value) as Answer;
    if ("error" in answer) throw new Error(`PyTorch: ${answer.error}`);
    return answer.results;
  }

  override dispose(): void {
    super.dispose();
    this.#process.stdin?.end();
    rmSync(this.#folder, { recursive: true });
  }
}

const toBase64 = (data: TensorData | Float64Array): string =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

function fromBase64(text: string): Float64Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float64Array(bytes.buffer);
}
