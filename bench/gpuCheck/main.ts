/**
 * What a GPU says of the device `webgpu`: whether it computes rightly, how fast it can be, how fast training steps are, where their time
 * goes, and PyTorch beside them. `--out FOLDER` (or OUT) for gpuCheck.json and gpuCheck.md, `--only WORDS` some parts, `--seconds N` for
 * all of it, `--quick` a tiny net and few of everything, to see that it runs.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { acquireContext, type GpujsContext } from "../../engine/devices/gpujs/adapter.ts";
import { createWebgpuDevice } from "../../engine/devices/gpujs/webgpuDevice.ts";
import { allTiles, registerTile } from "../../engine/devices/gpujs/wgsl/product/index.ts";
import { median } from "../interleave.ts";
import { type Net, netA, netB, netC } from "../works/networks.ts";
import { checkLaws, checkLosses, checkSpecialValues } from "./correctness.ts";
import { describeAdapterPart, describeMachine } from "./machine.ts";
import { type Finding, Report } from "./report.ts";
import { measureRoofs, type Roofs } from "./roofs.ts";
import { measureStepOnGpu } from "./steps.ts";
import { smallSubject, type Subject, subjectOf } from "./subject.ts";
import { measureTorch } from "./torchPeer.ts";

const { values: options } = parseArgs({
  options: {
    out: { type: "string", default: process.env["OUT"] ?? "gpuCheck" },
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "350" },
    quick: { type: "boolean", default: false },
  },
});
const { quick } = options;

/** Of the sources, if the folder was prepared from a checkout. */
function commitHere(): string {
  try {
    return readFileSync(new URL("commit", import.meta.url), "utf8").trim();
  } catch {
    return "unknown";
  }
}

const title = `GPU check, commit ${commitHere()}, ${new Date().toISOString().slice(0, 10)}`;
const report = new Report(options.out, title, Number(options.seconds), (text) => console.log(text));
const wanted = options.only.toLowerCase().split(",");
const parts: { readonly name: string; readonly isWanted: boolean }[] = [];
const part = async (name: string, needs: number, run: () => Promise<Finding>): Promise<void> => {
  const isWanted = wanted.some((word) => name.toLowerCase().includes(word));
  parts.push({ name, isWanted });
  if (isWanted) await report.part(name, needs, run);
};

await part("machine", 0, describeMachine);
await part("adapter", 0, describeAdapterPart);

// Without roofs kernels have no shares: they are NaN where the part failed or was left out.
let roofs: Roofs = { gflops: NaN, gbs: NaN };
const steps = quick ? 2 : 20;

// Held to the end, so that pipelines are made once for all parts.
let lease: ReturnType<typeof acquireContext> | undefined;
const context = async (): Promise<GpujsContext> => {
  const held = await lease;
  // A part before may have lost it.
  if (held?.context.health.lost === false) return held.context;
  lease = acquireContext();
  return (await lease).context;
};

await part("roofs", 5, async () => {
  const sizes = quick
    ? { groups: 8, bytes: 2 ** 20, seconds: 0, count: 20 }
    : { groups: 4096, bytes: 2 ** 28, seconds: 0.1, count: 1000 };
  const found = await measureRoofs((await context()).device, sizes);
  roofs = found.roofs;
  return found;
});

const onDevice = async (
  use: (device: Awaited<ReturnType<typeof createWebgpuDevice>>) => Promise<Finding>,
): Promise<Finding> => {
  const device = await createWebgpuDevice();
  try {
    return await use(device);
  } finally {
    device.dispose();
  }
};
const runs = quick
  ? { kernels: 10, contractions: 2, plans: 2, programs: 10 }
  : { kernels: 300, contractions: 60, plans: 40, programs: 300 };
await part("correctness: laws", 20, () => onDevice((device) => checkLaws(device, runs)));
await part("correctness: NaN and infinity", 5, () => onDevice(checkSpecialValues));
await part("correctness: losses", 10, () =>
  onDevice((device) => checkLosses(device, quick ? smallSubject : subjectOf(netA), quick ? 2 : 5)),
);

const ours = new Map<string, number>();
const step = (name: string, subject: Subject, needs: number, times = steps, tunes = false): Promise<void> =>
  part(`step (${name})`, needs, async () => {
    const tiles = quick ? { products: 1, tiles: [registerTile] } : { products: 12, tiles: allTiles };
    const found = await measureStepOnGpu(subject, { context: await context(), roofs, steps: times, tunes, ...tiles });
    ours.set(name, median(found.times.unread));
    return found;
  });
const peer = (variant: "eager" | "compiled", nets: readonly Net[], needs: number): Promise<void> =>
  part(`peer: PyTorch ${variant}, ${nets.map(({ name }) => name).join(" ")}`, needs, () =>
    measureTorch(nets, variant, 5, ours),
  );
if (quick) {
  await step("small", smallSubject, 5);
} else {
  await step("a", subjectOf(netA), 30, steps, true);
  await step("b", subjectOf(netB), 40);
  await peer("eager", [netA, netB], 20);
  await step("c", subjectOf(netC), 60, 5);
  await peer("eager", [netC], 20);
  await peer("compiled", [netA], 60);
  await peer("compiled", [netB], 90);
}

if (parts.every(({ isWanted }) => !isWanted)) {
  console.error(`no part matches ${options.only}; there are\n${parts.map(({ name }) => `  ${name}`).join("\n")}`);
  process.exit(1);
}
const amiss = report.outcomes.filter((outcome) => outcome === "failed" || outcome === "wrong").length;
console.log(`${report.outcomes.length} parts, ${amiss} failed or wrong; ${options.out}/gpuCheck.md and gpuCheck.json`);
// What was given up may still be under way.
process.exit(amiss === 0 ? 0 : 1);
