import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Device, EvenkeelError, type Tensor } from "../../engine/index.ts";
import { diskFolder } from "../../engine/io/node.ts";
import { guideAverage, powerProfile, snapshotPlace, snapshotsIn } from "../ema/index.ts";
import { reconstructFiles } from "../ema/node.ts";
import { tensorsOfWeights } from "../network/index.ts";
import type { Guide } from "../sample/index.ts";
import { readSnapshot } from "../snapshot/node.ts";
import { writePng } from "../sample/node.ts";
import { type GridLayout, GridSampler } from "./sampleGrid.ts";

const [plainName, guidedName] = ["samples-plain.png", "samples-guided.png"];

/** What is made of a finished run. */
export type FinishOptions = {
  readonly outdir: string;
  /** Length of the average to sample from. */
  readonly sigmaRel: number;
  /** Null = no pictures. */
  readonly layout: GridLayout | null;
  /** Weight of autoguidance: 1 is none. */
  readonly guidance: number;
  readonly device: Device;
  /** Images that go through the network at once, at most. Default 24. */
  readonly networkBatch?: number;
  /** Told after each evaluation of the network: the picture's path, how many are done, and all. */
  readonly onEvaluation?: (path: string, done: number, total: number) => void;
};

/** A picture, and the seconds that sampling it took. */
export type FinishedGrid = { readonly path: string; readonly seconds: number };

/** What was made of a finished run. */
export type FinishedRun = {
  /** The post-hoc average. */
  readonly network: string;
  /** The picture without guidance. */
  readonly plain: FinishedGrid | null;
  /** With guidance, and how many images the guide had seen; or why there is none. */
  readonly guided: (FinishedGrid & { readonly guideNimg: number }) | { readonly missing: string };
};

/**
 * Makes the post-hoc average of a run from its snapshots, and grids of samples of it: plain, and guided by the run's own earlier self
 * (autoguidance; Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself"). There is no guided one where it would
 * be the plain one: at weight 1, or without a snapshot of an earlier time.
 * @throws EvenkeelError `file` for a folder without snapshots, and as `snapshotsIn`, `reconstructFiles` and `readSnapshot`.
 * @example
 * ```ts
 * import { getDevice, randomKey } from "evenkeel/engine";
 * import { flattenParameters, initializeParameters, type ParameterSpec } from "evenkeel/nn";
 * import { writeSnapshot } from "evenkeel/diffusion/node";
 * import { describeDenoiser } from "evenkeel/diffusion/network";
 * import { configurationNetwork } from "evenkeel/diffusion/presets";
 *
 * const network = configurationNetwork("G", { imageResolution: 4, imageChannels: 1, labelDim: 0, modelChannels: 8, channelMult: [1] });
 * const weights = initializeParameters(flattenParameters<ParameterSpec>(describeDenoiser(network)), randomKey(0));
 * const info = { network, nimg: 1000, sigmaRel: 0.1, classNames: null };
 * await writeSnapshot("network-snapshot-0000001-0.100.safetensors", info, new Map(Object.entries(weights)), "F32");
 * const layout = { rows: [null], columns: 2, steps: 2, scale: 8 };
 * const { plain } = await finishRun({ outdir: ".", sigmaRel: 0.1, layout, guidance: 1, device: await getDevice("wasm") });
 * console.log(plain?.path); // samples-plain.png
 * ```
 */
export async function finishRun(options: FinishOptions): Promise<FinishedRun> {
  const { outdir, sigmaRel, layout, device, guidance } = options;
  const folder = diskFolder(outdir);
  const snapshots = await snapshotsIn(folder, { prefix: "network-snapshot" });
  if (snapshots.length === 0) {
    throw new EvenkeelError(
      "file",
      `${outdir}: has no snapshot (network-snapshot-*.safetensors) taken after the start, and so no average can be made. ` +
        "Train longer, or name a folder of a run.",
    );
  }
  const times = snapshots.map(({ profile }) => profile.nimg);
  const end = Math.max(...times);
  const { path: network } = await snapshotPlace(folder, "phema", end, sigmaRel);
  const guide = guideAverage(times, { nimg: end, sigmaRel });
  const missing =
    layout === null
      ? "no pictures were asked for"
      : guidance === 1
        ? "a guidance of 1 is none"
        : guide === null
          ? `there is no snapshot from before ${end} images to guide by`
          : null;
  const guidePath =
    guide === null || missing !== null
      ? null
      : (await snapshotPlace(folder, "phema-guide", guide.nimg, guide.sigmaRel)).path;
  await reconstructFiles(snapshots, [
    { profile: powerProfile(end, sigmaRel), path: network },
    ...(guide === null || guidePath === null
      ? []
      : [{ profile: powerProfile(guide.nimg, guide.sigmaRel), path: guidePath }]),
  ]);
  if (layout === null) return { network, plain: null, guided: { missing: missing ?? "" } };
  const main = await readSnapshot(network);
  const sampler = new GridSampler(main.network, device, layout, options.networkBatch);
  const guideSampler = new GridSampler(main.network, device, layout, options.networkBatch);
  try {
    const weights = tensorsOfWeights(main.network, main.weights, network);
    const draw = async (name: string, guides: readonly Guide[]): Promise<FinishedGrid> => {
      const path = join(outdir, name);
      const tell = (done: number, total: number): void => options.onEvaluation?.(path, done, total);
      const { picture, seconds } = await sampler.draw(weights, { guides }, tell);
      await writePng(path, picture);
      return { path, seconds };
    };
    const plain = await draw(plainName, []);
    if (guide === null || guidePath === null) {
      // One of an earlier end would be taken for this one's.
      await rm(join(outdir, guidedName), { force: true });
      return { network, plain, guided: { missing: missing ?? "" } };
    }
    const denoiser = await guideSampler.denoiser(await loadWeights(guidePath));
    const guided = await draw(guidedName, [{ denoiser, weight: guidance, labels: "same" }]);
    return { network, plain, guided: { ...guided, guideNimg: guide.nimg } };
  } finally {
    sampler.dispose();
    guideSampler.dispose();
  }
}

async function loadWeights(path: string): Promise<Record<string, Tensor>> {
  const { network, weights } = await readSnapshot(path);
  return tensorsOfWeights(network, weights, path);
}
