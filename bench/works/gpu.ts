/** What training steps ask of a GPU, counted rather than measured: plans need no adapter, and a software adapter counts like a real one. */
import { describeDenoiser } from "../../diffusion/network/index.ts";
import { Trainer } from "../../diffusion/training/index.ts";
import { stepFunctions } from "../../diffusion/training/stepFunctions.ts";
import { stepTemplate } from "../../diffusion/training/stepTemplate.ts";
import type { DeviceLimits } from "../../engine/devices/device.ts";
import { createWebgpuDevice, probeWebgpu, type WorkCounts } from "../../engine/devices/gpujs/webgpuDevice.ts";
import { promisedLimits, webgpuLimits } from "../../engine/devices/gpujs/webgpuLimits.ts";
import { type DispatchCounts, dispatchCounts } from "../../engine/kernel/dispatchCounts.ts";
import { kernelKinds } from "../../engine/kernel/kernelKind.ts";
import type { Plan } from "../../engine/kernel/plan.ts";
import { planFor } from "../../engine/program/planFor.ts";
import { flattenParameters, type ParameterSpec } from "../../nn/index.ts";
import { type ProductReads, productReads } from "./productReads.ts";
import { batchOf, type Net, netA, netB, tinyNet, trainingOptions } from "./networks.ts";

/** The same net with activations of 16 bits. */
export const halved = (net: Net): Net => ({
  ...net,
  network: { ...net.network, unet: { ...net.network.unet, activations: "float16" } },
});

/** The plan of a net's training step for a device with these limits. */
export async function planOfStep(net: Net, limits: DeviceLimits): Promise<Plan> {
  const options = trainingOptions(net);
  const functions = stepFunctions(options, flattenParameters<ParameterSpec>(describeDenoiser(options.network)));
  if (functions.kind !== "whole") throw new TypeError(`net (${net.name}) is trained in parts`);
  const { state, batch, schedule, yes } = stepTemplate(options);
  return (await planFor(functions.step, [state, batch, schedule, yes], limits, true)).plan;
}

/** What the counts of a step could come down to if everything is fused that can be. */
type Floor = Pick<DispatchCounts, "dispatches" | "levels" | "barriers" | "bytes">;

const counted: readonly { readonly net: Net; readonly floor: Floor }[] = [
  { net: netA, floor: { dispatches: 134, levels: 80, barriers: 79, bytes: 370e6 } },
  { net: netB, floor: { dispatches: 289, levels: 178, barriers: 177, bytes: 2400e6 } },
];

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

const temporaries = ({ slots }: Plan): string =>
  `${megabytes(slots.reduce((sum, bytes) => sum + bytes, 0))} in ${slots.length} buffers`;

/** A net, and the plans of its step. */
type Planned = { readonly net: Net; readonly floor: Floor; readonly plan: Plan; readonly half: Plan };

/** A line of the table for each count, its cells a net's count and floor in turn. */
function planTable(nets: readonly Planned[]): string {
  const columns = nets.map(({ floor, plan, half }) => {
    return {
      floor,
      plan,
      half,
      counts: dispatchCounts(plan),
      halfCounts: dispatchCounts(half),
      reads: productReads(plan),
    };
  });
  type Column = (typeof columns)[number];
  const line = (what: string, own: (column: Column) => string, least?: (floor: Floor) => string): string =>
    `| ${what} | ${columns.map((column) => `${own(column)} | ${least?.(column.floor) ?? ""}`).join(" | ")} |`;
  const number = (what: string, count: keyof Floor): string =>
    line(
      what,
      ({ counts }) => String(counts[count]),
      (floor) => String(floor[count]),
    );
  const reads = (what: string, own: (reads: ProductReads) => string): string =>
    line(what, (column) => own(column.reads));
  return [
    `| a training step | ${nets.map(({ net }) => `(${net.name}) | floor`).join(" | ")} |`,
    `|---|${nets.map(() => "---|---|").join("")}`,
    number("dispatches", "dispatches"),
    line("different kernels", ({ counts }) => String(counts.kernels)),
    number("levels: longest chain of values", "levels"),
    line("... of memory that is used again", ({ counts }) => String(counts.levelsInMemory)),
    number("barriers by buffers' last uses in the step", "barriers"),
    line("... also in steps before, as Dawn on Vulkan", ({ counts }) => String(counts.barriersAgain)),
    line("... that are enough in this order", ({ counts }) => String(counts.fewestBarriers)),
    line(
      "bytes bound",
      ({ counts }) => megabytes(counts.bytes),
      ({ bytes }) => megabytes(bytes),
    ),
    line("arrays bound", ({ counts }) => String(counts.bindings)),
    line("temporaries", ({ plan }) => temporaries(plan)),
    line("with activations of 16 bits: dispatches", ({ halfCounts }) => String(halfCounts.dispatches)),
    line("... bytes bound", ({ halfCounts }) => megabytes(halfCounts.bytes)),
    line("... temporaries", ({ half }) => temporaries(half)),
    line("state written in place", ({ plan }) => {
      const isInPlace = plan.aliases.filter((alias) => alias !== null).length;
      return `${isInPlace} of ${plan.outputs} results`;
    }),
    line("GFLOP", ({ counts }) => (counts.flops / 1e9).toFixed(1)),
    reads("numbers from storage for a multiply-add of a product", ({ stored }) => stored.toFixed(3)),
    reads("... instructions that load them", ({ loads }) => loads.toFixed(4)),
    reads("... the share read in fours", ({ inFours }) => `${(100 * inFours).toFixed(1)}%`),
    reads("... numbers from a workgroup's memory", ({ staged }) => staged.toFixed(2)),
    ...kernelKinds.map((wanted) =>
      line(`kind: ${wanted}`, ({ counts }) => {
        const found = counts.kinds.find(({ kind }) => kind === wanted);
        if (found === undefined) return "0";
        const share = (100 * found.flops) / counts.flops;
        return `${found.dispatches}, ${share.toFixed(1)}% of flops, ${megabytes(found.bytes)}`;
      }),
    ),
  ].join("\n");
}

const perStep: readonly { readonly what: keyof WorkCounts; readonly says: string; readonly floor: string }[] = [
  { what: "dispatches", says: "dispatches", floor: "" },
  { what: "submits", says: "submits", floor: "1" },
  { what: "readbacks", says: "readbacks", floor: "1" },
  { what: "uploads", says: "uploads", floor: "1" },
  { what: "pipelines", says: "pipelines made", floor: "0 after the first" },
];

/** What the steps of a small net ask of this machine's adapter, or why nothing was counted. */
async function stepsTable(steps: number): Promise<string> {
  const probe = await probeWebgpu();
  if (!probe.available)
    return `Steps that are run: not counted, there is no WebGPU here (${probe.reason ?? "no reason given"}).`;
  const device = await createWebgpuDevice();
  const trainer = await Trainer.create(trainingOptions(tinyNet), device);
  const batch = batchOf(tinyNet);
  const taken = [device.counts];
  for (let step = 0; step < steps; step++) {
    await trainer.step(batch);
    taken.push(device.counts);
  }
  trainer.dispose();
  device.dispose();
  const differences = (what: keyof WorkCounts): string[] =>
    taken.slice(1).map((after, step) => String(after[what] - (taken[step]?.[what] ?? NaN)));
  const numbers = Array.from({ length: steps }, (_, step) => `step ${step + 1}`);
  return [
    `| net (${tinyNet.name}), run on ${probe.description} | ${numbers.join(" | ")} | floor |`,
    `|---|${"---|".repeat(steps + 1)}`,
    ...perStep.map(({ what, says, floor }) => `| ${says} | ${differences(what).join(" | ")} | ${floor} |`),
  ].join("\n");
}

/** All of it as text: plans for the limits that every WebGPU adapter has, and steps that are run if there is an adapter. */
export async function describeGpuWork(): Promise<string> {
  const limits = webgpuLimits(promisedLimits, "own");
  const nets: Planned[] = [];
  for (const { net, floor } of counted) {
    nets.push({ net, floor, plan: await planOfStep(net, limits), half: await planOfStep(halved(net), limits) });
  }
  return `${planTable(nets)}\n\n${await stepsTable(4)}`;
}
