import { writeFileSync } from "node:fs";
import path from "node:path";
import { countNetwork, DenoiserProgram } from "../../diffusion/network/index.ts";
import { type GeneratedBatch, generateImages } from "../../diffusion/sample/index.ts";
import type { Device } from "../../engine/index.ts";
import { timed } from "../contender.ts";
import { interleave, type InterleaveOptions, type Lane } from "../interleave.ts";
import { torchName } from "../peers/torch.ts";
import type { NamedParameters } from "../../nn/index.ts";
import type { Row } from "../row.ts";
import type { Quantity } from "../work.ts";
import type { Net } from "./networks.ts";
import { drawArrays, giveArrays, type StepPeers } from "./training.ts";

const steps = 32;
const images = 16;

/**
 * Images of the same arrays and noise agree to this: 63 evaluations, each with an error of about 1e-6, and a flow that pulls
 * neighbours together as often as it drives them apart.
 */
const tolerance = 1e-3;

async function sample(program: DenoiserProgram, net: Net): Promise<GeneratedBatch> {
  const { imageChannels, imageResolution, labelDim } = net.network.unet;
  const batches = generateImages({
    denoiser: program,
    imageShape: [imageChannels, imageResolution, imageResolution],
    labelDim,
    seeds: Array.from({ length: images }, (_, seed) => seed),
    labelOf: (seed) => seed % labelDim,
    batch: images,
    networkBatch: images,
    steps,
  });
  for await (const batch of batches) return batch;
  throw new Error("no batch of images");
}

export type OwnSampling = { readonly lane: Lane; readonly arrays: NamedParameters; readonly program: DenoiserProgram };

/** Our sampler on a device, from seeds to pixels on the host. */
export async function ownSampling(net: Net, device: Device, name: string): Promise<OwnSampling> {
  const arrays = await drawArrays(net, device);
  const program = await DenoiserProgram.create(net.network, arrays, device);
  const measure = (times: number): Promise<number> =>
    timed(times, async () => {
      await sample(program, net);
    });
  return { lane: { name, measure }, arrays, program };
}

/** What it is called, and its arithmetic. */
export function samplingWork(net: Net): Pick<Row, "name" | "measure"> & { readonly quantity: Quantity } {
  return {
    name: `${steps}-step sampling of ${images} images, net (${net.name})`,
    measure: "seconds",
    quantity: { amount: (2 * countNetwork(net.network).macs * images * (2 * steps - 1)) / 1e9, unit: "GFLOP" },
  };
}

/** A row for 16 images in 32 steps of Heun's rule, from their seeds to the pixels on the host. */
export async function measureSampling(
  group: string,
  net: Net,
  { device, torch }: StepPeers,
  options: InterleaveOptions,
): Promise<Row> {
  const { lane: own, arrays, program } = await ownSampling(net, device, "evenkeel wasm");
  const row = { group, ...samplingWork(net) };
  if ("missing" in torch) {
    const measurements = await interleave([own], options);
    program.dispose();
    return { ...row, measurements, absent: [{ contender: torchName, reason: torch.missing }] };
  }
  const ours = await sample(program, net);
  writeFileSync(path.join(torch.folder, "noise"), ours.noise);
  const { network } = net;
  const work = { kind: "sampling", network, steps, shape: ours.shape, classes: ours.chosen };
  const theirs = await torch.prepare({ work, ...(await giveArrays(torch, arrays)) });
  const [pixels] = await theirs.results();
  const away = ours.images.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (pixels?.[i] ?? NaN))), 0);
  if (!(away <= tolerance)) throw new Error(`${torchName} disagrees on ${row.name}: pixels differ by ${away}`);
  const lane = { name: torchName, measure: (times: number) => theirs.measure(times) };
  const measurements = await interleave([own, lane], options);
  program.dispose();
  await theirs.dispose();
  return { ...row, measurements, absent: [] };
}
