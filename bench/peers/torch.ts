import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Availability, PreparedWork } from "../contender.ts";
import { inputsOf, type Work } from "../work.ts";
import { type TorchFacts, unfairness } from "./fairness.ts";

const script = fileURLToPath(new URL("torch/main.py", import.meta.url));
const install = "apt-get install -y --no-install-recommends python3-torch";

type Answer = Readonly<Record<string, unknown>>;

/** PyTorch in a process of its own. Requests are answered one after the other. */
export class TorchProcess {
  /** For arrays that go from one process to the other. */
  readonly folder: string;
  readonly #child;
  readonly #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }[] = [];
  #prepared = 0;

  constructor(python: string, threads: number) {
    this.folder = mkdtempSync(path.join(os.tmpdir(), "evenkeel-bench-"));
    const environment = { ...process.env, OMP_NUM_THREADS: String(threads) };
    this.#child = spawn(python, [script], { stdio: ["pipe", "pipe", "inherit"], env: environment });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      const waiting = this.#waiting.shift();
      if (typeof answer["error"] === "string") waiting?.reject(new Error(answer["error"]));
      else waiting?.resolve(answer);
    });
    this.#child.on("exit", (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`PyTorch's process ended with code ${code}`));
    });
  }

  ask(request: Readonly<Record<string, unknown>>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** @param request `work`, and what its kind needs beside it. Files of the request must lie in `folder`. */
  async prepare(request: Readonly<Record<string, unknown>>): Promise<PreparedWork & { readonly id: number }> {
    const id = this.#prepared++;
    const folder = this.folder;
    await this.ask({ do: "prepare", id, folder, ...request });
    return {
      id,
      measure: async (times) => (await this.ask({ do: "measure", id, times }))["seconds"] as number,
      results: async () => {
        const count = (await this.ask({ do: "results", id, folder }))["count"] as number;
        return Array.from({ length: count }, (_, i) => {
          const bytes = readFileSync(path.join(folder, String(i)));
          return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
        });
      },
      dispose: async () => {
        await this.ask({ do: "dispose", id });
      },
    };
  }

  /** Ends it at once, whatever it is doing. */
  kill(): void {
    this.#child.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async dispose(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The first Python that imports torch: EVENKEEL_PYTHON, the path's, the system's own. */
export async function findPython(): Promise<string | undefined> {
  const chosen = process.env["EVENKEEL_PYTHON"];
  for (const python of chosen === undefined ? ["python3", "/usr/bin/python3"] : [chosen]) {
    try {
      await promisify(execFile)(python, ["-c", "import torch"]);
      return python;
    } catch {
      // The next one, or none: the table says so.
    }
  }
  return undefined;
}

export type TorchPeer = { readonly process: TorchProcess; readonly description: string };

/** PyTorch, or why it isn't here. */
export async function startTorch(threads: number): Promise<TorchPeer | { readonly missing: string }> {
  const python = await findPython();
  if (python === undefined) return { missing: `no Python that imports torch: ${install}` };
  const process = new TorchProcess(python, threads);
  const facts = (await process.ask({ do: "describe", threads })) as unknown as TorchFacts;
  const unfair = unfairness(facts, threads);
  if (unfair !== undefined) {
    await process.dispose();
    return { missing: unfair };
  }
  const blas = facts.mkl ? "MKL" : facts.blas.map((file) => path.basename(file)).join(" ");
  return {
    process,
    description: `PyTorch ${facts.version}, Python ${facts.python}, ${facts.threads} threads, ${blas}`,
  };
}

/** Other ways in which PyTorch does the same, each a peer of its own. */
export const torchVariants = [
  {
    variant: "channelsLast",
    name: "PyTorch, channels last",
    suits: ({ kind }: Pick<Work, "kind">) => /^conv/.test(kind),
  },
  { variant: "compiled", name: "PyTorch, compiled", suits: () => true },
] as const;

/** Makes a work ready in a variant, or says why it can't be. */
export async function prepareVariant(
  process: TorchProcess,
  variant: string,
  request: Readonly<Record<string, unknown>>,
): Promise<PreparedWork | { readonly cannot: string }> {
  try {
    const prepared = await process.prepare({ ...request, variant });
    // What is compiled is compiled when it first runs.
    await prepared.measure(1);
    return prepared;
  } catch (reason) {
    return { cannot: (reason instanceof Error ? reason.message : String(reason)).split("\n")[0] ?? "" };
  }
}

/** The variants as contenders, in the process of PyTorch itself; none where it isn't. */
export function variantContenders(peer: TorchPeer | { readonly missing: string }): Availability[] {
  if ("missing" in peer) return [];
  return torchVariants.map(({ variant, name, suits }) => ({
    contender: {
      name,
      description: `the same PyTorch, ${variant === "compiled" ? "through torch.compile" : "with arrays in the order [N, H, W, C]"}`,
      suits,
      prepare: (work) => prepareVariant(peer.process, variant, { work, inputs: inputsOf(work) }),
      // It ends with PyTorch's process.
      dispose: () => undefined,
    },
  }));
}

export const torchName = "PyTorch";

export function torchContender(peer: TorchPeer | { readonly missing: string }): Availability {
  if ("missing" in peer) return { name: torchName, missing: peer.missing };
  return {
    contender: {
      name: torchName,
      description: peer.description,
      prepare: (work) => peer.process.prepare({ work, inputs: inputsOf(work) }),
      dispose: () => peer.process.dispose(),
    },
  };
}
