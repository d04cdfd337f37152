import { join } from "node:path";
import type { Device, Tensor } from "../../engine/index.ts";
import { formatSnapshotName, powerProfile } from "../ema/index.ts";
import { listSnapshots, reconstructFiles } from "../ema/node.ts";
import { tensorsOfWeights } from "../network/denoiserProgram.ts";
import { readSnapshot } from "../snapshot/readSnapshot.ts";
import { type GridLayout, GridSampler } from "./sampleGrid.ts";

/** What is made of a finished run. */
export type FinishOptions = {
  readonly outdir: string;
  /** Length of the average to sample from. */
  readonly sigmaRel: number;
  readonly layout: GridLayout;
  /** Weight of autoguidance: 1 is none. */
  readonly guidance: number;
  /** The guide is the run's own average after this share of it: less trained, of the same kind. */
  readonly guideShare: number;
  /** Length of the guide's average; longer than the main one's is better. */
  readonly guideSigmaRel: number;
  readonly device: Device;
};

export type FinishedRun = {
  /** The post-hoc average. */
  readonly network: string;
  /** Pictures without and with guidance. */
  readonly plainGrid: string;
  readonly guidedGrid: string;
  readonly plainSeconds: number;
  readonly guidedSeconds: number;
  /** Images the guide had seen. */
  readonly guideNimg: number;
};

/**
 * Makes the post-hoc average of a run from its snapshots, and two grids of samples of it: plain, and guided by the run's own earlier
 * self (autoguidance; Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself").
 */
export async function finishRun(options: FinishOptions): Promise<FinishedRun> {
  const { outdir, sigmaRel, layout, device, guidance } = options;
  const snapshots = await listSnapshots(outdir, { prefix: "network-snapshot" });
  const times = snapshots.map(({ profile }) => profile.nimg);
  const end = Math.max(...times);
  const guideNimg = nearest(times, end * options.guideShare);
  const fileOf = (prefix: string, nimg: number, length: number): string =>
    join(outdir, `${formatSnapshotName(prefix, nimg, length)}.safetensors`);
  const [network, guide] = [fileOf("phema", end, sigmaRel), fileOf("phema-guide", guideNimg, options.guideSigmaRel)];
  await reconstructFiles(snapshots, [
    { profile: powerProfile(end, sigmaRel), path: network },
    { profile: powerProfile(guideNimg, options.guideSigmaRel), path: guide },
  ]);
  const main = await readSnapshot(network);
  const sampler = new GridSampler(main.network, device, layout);
  const guideSampler = new GridSampler(main.network, device, layout);
  try {
    const weights = tensorsOfWeights(main.network, main.weights, network);
    const [plainGrid, guidedGrid] = [join(outdir, "samples-plain.png"), join(outdir, "samples-guided.png")];
    const plain = await sampler.write(plainGrid, weights);
    const guideWeights = await loadWeights(guide);
    const denoise = await guideSampler.denoiser(guideWeights);
    const guides = [{ denoise, weight: guidance, labels: "same" as const }];
    const guided = await sampler.write(guidedGrid, weights, { guides });
    return { network, plainGrid, guidedGrid, plainSeconds: plain.seconds, guidedSeconds: guided.seconds, guideNimg };
  } finally {
    sampler.dispose();
    guideSampler.dispose();
  }
}

async function loadWeights(path: string): Promise<Record<string, Tensor>> {
  const { network, weights } = await readSnapshot(path);
  return tensorsOfWeights(network, weights, path);
}

function nearest(times: readonly number[], wanted: number): number {
  return times.reduce((best, time) => (Math.abs(time - wanted) < Math.abs(best - wanted) ? time : best));
}
