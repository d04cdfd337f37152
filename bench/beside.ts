/** The device `webgpu` beside `wasm` on the same work, in turns: what a card is worth on this machine. */
import { probeWebgpu } from "../engine/devices/gpujs/webgpuDevice.ts";
import { createDevice, type Device } from "../engine/index.ts";
import { deviceContender } from "./evenkeel.ts";
import { interleave, type InterleaveOptions, type Lane } from "./interleave.ts";
import { measureWork, type Row } from "./row.ts";
import { softwareWarning } from "./softwareWarning.ts";
import { measurementTable } from "./table.ts";
import { nameOf, type Work } from "./work.ts";
import { netA, quantityOfStep } from "./works/networks.ts";
import { ownSampling, samplingWork } from "./works/sampling.ts";
import { ownTraining } from "./works/training.ts";

const names = { webgpu: "evenkeel webgpu", wasm: "evenkeel wasm" } as const;

type Devices = { readonly webgpu: Device; readonly wasm: Device };

/** A row that can be measured on both devices. */
export type BesideJob = {
  readonly name: string;
  readonly run: (devices: Devices, options: InterleaveOptions) => Promise<Row>;
};

/** The job of an operation or a small program. Results are compared before anything is measured. */
export function workJob(work: Work): BesideJob {
  return {
    name: nameOf(work),
    run: ({ webgpu, wasm }, options) =>
      measureWork("beside", work, [deviceContender(names.webgpu, webgpu), deviceContender(names.wasm, wasm)], options),
  };
}

type Ready = { readonly lane: Lane; readonly dispose: () => void };

async function inTurns(
  row: Pick<Row, "name" | "measure" | "quantity">,
  { webgpu, wasm }: Devices,
  prepare: (device: Device, name: string) => Promise<Ready>,
  options: InterleaveOptions,
): Promise<Row> {
  const ready = [await prepare(webgpu, names.webgpu), await prepare(wasm, names.wasm)];
  const measurements = await interleave(
    ready.map(({ lane }) => lane),
    options,
  );
  for (const one of ready) one.dispose();
  return { group: "beside", ...row, measurements, absent: [] };
}

const step = { name: `training step (${netA.name})`, measure: "seconds", quantity: quantityOfStep(netA) } as const;
const sampling = samplingWork(netA);

/** Everything that is measured, in order. */
export const besideJobs: readonly BesideJob[] = [
  ...[256, 512, 1024, 2048].map((size) => workJob({ kind: "matmul", size })),
  ...(
    [
      [32, 64],
      [16, 128],
    ] as const
  ).flatMap(([resolution, channels]) =>
    [false, true].map((gradients) => workJob({ kind: "conv", batch: 16, channels, resolution, kernel: 3, gradients })),
  ),
  workJob({ kind: "attention", batch: 16, heads: 4, tokens: 256, gradients: true }),
  workJob({ kind: "convNet", batch: 8, channels: 64, resolution: 16 }),
  workJob({ kind: "chain", length: 2 ** 24, functions: "arithmetic" }),
  workJob({ kind: "chain", length: 2 ** 24, functions: "smooth" }),
  workJob({ kind: "reduce", rows: 4096, columns: 4096, axis: 1 }),
  { name: step.name, run: (devices, options) => inTurns(step, devices, (...on) => ownTraining(netA, ...on), options) },
  {
    name: sampling.name,
    run: (devices, options) =>
      inTurns(
        sampling,
        devices,
        async (...on) => {
          const { lane, program } = await ownSampling(netA, ...on);
          return { lane, dispose: () => program.dispose() };
        },
        options,
      ),
  },
];

/**
 * Measures the jobs on `webgpu` and `wasm` in turns.
 * @param say told of each row as it comes
 * @returns the table, with what is to be known of the adapter
 * @throws EvenkeelError `device` if there is no WebGPU here
 */
export async function measureBeside(
  jobs: readonly BesideJob[],
  threads: number,
  options: InterleaveOptions,
  say: (text: string) => void,
): Promise<string> {
  // Of a software adapter tiles take long to be made, and their times say nothing.
  const { software } = await probeWebgpu();
  const webgpu = await createDevice("webgpu", { webgpu: { autotune: !software } });
  const wasm = await createDevice("wasm", { wasm: { threads, relaxed: true } });
  const { adapter } = webgpu.traits;
  const isSoftware = adapter?.isSoftware ?? false;
  const warning = isSoftware ? [softwareWarning(adapter?.name ?? "this adapter")] : [];
  for (const text of [`${names.webgpu}: ${webgpu.description}`, `${names.wasm}: ${wasm.description}`, ...warning])
    say(text);
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const { name, run } of jobs) {
    try {
      rows.push(await run({ webgpu, wasm }, options));
      say(`${name}: measured`);
    } catch (error) {
      failures.push(`- ${name} FAILED: ${error instanceof Error ? error.message : String(error)}`);
      say(failures.at(-1) ?? "");
    }
  }
  webgpu.dispose();
  wasm.dispose();
  return [measurementTable(rows, !isSoftware), ...warning, ...(failures.length > 0 ? [failures.join("\n")] : [])].join(
    "\n\n",
  );
}
