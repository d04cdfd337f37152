import { Blob, resolveObjectURL } from "node:buffer";
import { Worker } from "node:worker_threads";

/** What a page's worker script finds in its global scope. */
const scope = `
const { parentPort } = require("node:worker_threads");
globalThis.self = globalThis;
globalThis.postMessage = (message, transfer) => parentPort.postMessage(message, transfer);
const early = [];
const deliver = (data) => (globalThis.onmessage ? globalThis.onmessage({ data }) : early.push(data));
parentPort.on("message", deliver);
setImmediate(() => early.splice(0).forEach(deliver));
`;

/** A page's `Worker` for libraries that only know that one: a script behind a blob's address, messages both ways. */
export class WebWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onerror: ((event: { readonly message: string }) => void) | null = null;
  readonly #worker: Promise<Worker>;

  constructor(url: string | URL) {
    // Looked up at once: its maker may revoke the address.
    const blob = resolveObjectURL(String(url));
    this.#worker = (async () => {
      if (!(blob instanceof Blob)) throw new Error(`no script behind ${String(url)}`);
      const worker = new Worker(scope + (await blob.text()), { eval: true, execArgv: [] });
      worker.on("message", (data: unknown) => this.onmessage?.({ data }));
      worker.on("error", (error: unknown) => this.onerror?.({ message: String(error) }));
      return worker;
    })();
    this.#worker.catch((error: unknown) => this.onerror?.({ message: String(error) }));
  }

  postMessage(message: unknown): void {
    void this.#worker.then((worker) => worker.postMessage(message));
  }

  terminate(): void {
    void this.#worker.then((worker) => worker.terminate());
  }
}
