/** A Python process that computes what is exported. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { DType } from "../../engine/index.ts";
import { torchPrimitives } from "../../torch/index.ts";
import { requirePython } from "./pytorch.ts";

/** An argument; what is float32 there may be given in more digits. */
export type Given = { readonly dtype: DType; readonly shape: readonly number[]; readonly values: Float64Array };

type Answer = { readonly results: readonly string[] } | { readonly error: string };

/** One process for all functions of a test. Dispose of it. */
export class TorchProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), "evenkeel-torch-"));
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    writeFileSync(join(this.#folder, "primitives.py"), torchPrimitives);
    const server = fileURLToPath(new URL("server.py", import.meta.url));
    this.#process = spawn(requirePython(), [server, this.#folder], { stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#process;
    if (stdout === null) throw new Error("the process has no output");
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** The results of a function, in the order of its dictionary. @throws Error with what Python says. */
  async run(source: string, name: string, inputs: ReadonlyMap<string, Given>): Promise<Float64Array[]> {
    const given = [...inputs].map(([key, { dtype, shape, values }]) => [key, { dtype, shape, data: toBase64(values) }]);
    const request = { name, source, inputs: Object.fromEntries(given) as unknown };
    this.#process.stdin?.write(`${JSON.stringify(request)}\n`);
    const next = await this.#answers.next();
    if (next.done === true) throw new Error("the Python process has ended");
    const answer = JSON.parse(next.value) as Answer;
    if ("error" in answer) throw new Error(`PyTorch: ${answer.error}`);
    return answer.results.map(fromBase64);
  }

  dispose(): void {
    this.#process.stdin?.end();
    rmSync(this.#folder, { recursive: true });
  }
}

const toBase64 = (values: Float64Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

function fromBase64(text: string): Float64Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float64Array(bytes.buffer);
}
