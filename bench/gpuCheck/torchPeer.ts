/** PyTorch on the same GPU: the training steps of the same nets, eager and compiled, in float32 and with TF32. */
import { median } from "../interleave.ts";
import { findPython, TorchProcess } from "../peers/torch.ts";
import type { Net } from "../works/networks.ts";
import { torchTraining } from "../works/training.ts";
import { digits, tableOf } from "../markdown.ts";
import type { Finding } from "./report.ts";

/** Seconds that a step may take to be measured. A compiled net is given up where it isn't ready by then. */
const patience = { eager: 60, compiled: 120 } as const;

type Variant = keyof typeof patience;

type PeerRow = {
  readonly net: string;
  readonly variant: Variant;
  readonly tf32: boolean;
  /** Milliseconds of a step whose losses are fetched, and of one behind the other. */
  readonly read: number;
  readonly unread: number;
};

/** Starts PyTorch on a GPU. @throws Error in plain words if there is none */
async function startOnGpu(): Promise<{ readonly process: TorchProcess; readonly description: string }> {
  const python = await findPython();
  if (python === undefined) throw new Error("no Python that imports torch (EVENKEEL_PYTHON names one)");
  const process = new TorchProcess(python, 4);
  try {
    const facts = await process.ask({ do: "describe", threads: 4, device: "cuda" });
    const [version, cuda, gpu] = ["version", "cuda", "gpu"].map((name) => String(facts[name]));
    return { process, description: `PyTorch ${version}, CUDA ${cuda}, ${gpu}` };
  } catch (error) {
    process.kill();
    throw error;
  }
}

/** Whatever is given, or a failure after so many seconds. */
async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not ready after ${seconds} s`)), 1e3 * seconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function measure(
  process: TorchProcess,
  net: Net,
  variant: Variant,
  tf32: boolean,
  steps: number,
): Promise<PeerRow> {
  await process.ask({ do: "precision", tf32 });
  const times: number[] = [];
  for (const reports of [true, false]) {
    const work = await process.prepare({ work: { ...torchTraining(net), reports }, variant });
    await work.measure(3);
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) samples.push((1e3 * (await work.measure(steps))) / steps);
    times.push(median(samples));
    await work.dispose();
  }
  const [read = NaN, unread = NaN] = times;
  return { net: net.name, variant, tf32, read, unread };
}

/**
 * Measures PyTorch's steps of these nets in a process of its own for each way, as one that hangs is ended.
 * @param ours milliseconds of our step, nothing read, by the net's name
 */
export async function measureTorch(
  nets: readonly Net[],
  variant: Variant,
  steps: number,
  ours: ReadonlyMap<string, number>,
): Promise<Finding> {
  const rows: PeerRow[] = [];
  const failures: string[] = [];
  let description = "";
  for (const net of nets) {
    for (const tf32 of [false, true]) {
      const started = await startOnGpu().catch((error: unknown) =>
        error instanceof Error ? error.message : String(error),
      );
      if (typeof started === "string") {
        return { data: { missing: started }, text: `No peer was here: ${started}.` };
      }
      description = started.description;
      try {
        rows.push(await within(patience[variant], measure(started.process, net, variant, tf32, steps)));
        await started.process.dispose();
      } catch (error) {
        started.process.kill();
        const reason = error instanceof Error ? error.message : String(error);
        failures.push(`net (${net.name}), ${variant}, TF32 ${tf32 ? "on" : "off"}: ${reason}`);
      }
    }
  }
  const table = tableOf(
    [
      "net",
      "PyTorch",
      "TF32",
      "ms a step, losses fetched",
      "ms a step, nothing fetched",
      "ours, nothing read",
      "theirs / ours",
    ],
    rows.map(({ net, variant: way, tf32, read, unread }) => {
      const own = ours.get(net) ?? NaN;
      return [`(${net})`, way, tf32 ? "on" : "off", digits(read), digits(unread), digits(own), digits(unread / own)];
    }),
  );
  const failed = failures.map((failure) => `\n- ${failure}`).join("");
  return { data: { description, rows, failures }, text: `${description}\n\n${table}\n${failed}` };
}
