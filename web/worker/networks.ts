/** Networks that are sampled: of runs, and of files that somebody gave. */
import { newestCheckpoint, readRawNetwork } from "../../diffusion/checkpoint/index.ts";
import { type SeenLabels, seenLabels } from "../../diffusion/data/index.ts";
import { type AverageChoice, formatSigmaRel, guideAverage } from "../../diffusion/ema/index.ts";
import { countNetwork, type NetworkConfig, tensorsOfWeights } from "../../diffusion/network/index.ts";
import { splitForRun, trainingOptions } from "../../diffusion/settings/index.ts";
import { findStoredSnapshot, type FoundSnapshot } from "../../diffusion/snapshot/index.ts";
import { EvenkeelError } from "../../engine/index.ts";
import { blobFile } from "../../engine/io/index.ts";
import type { NamedParameters } from "../../nn/index.ts";
import { openDataset } from "./datasets.ts";
import { runSettings } from "./runSettings.ts";
import { withAverages } from "./storedAverages.ts";
import { runFolder } from "./storage.ts";
import type { HeldFile, NetworkChoice, NetworkFacts } from "./studyMessages.ts";

/** What is known of a network before its weights. */
type KnownNetwork = {
  readonly title: string;
  /** For the names of files: `emoji16-G-0.100`. */
  readonly fileName: string;
  readonly network: NetworkConfig;
  readonly nimg: number;
  readonly classNames: readonly string[] | null;
  readonly seenLabels: SeenLabels | null;
};

/** A network with its weights. */
export type LoadedNetwork = KnownNetwork & {
  /** The same for the same weights. */
  readonly key: string;
  readonly weights: NamedParameters;
};

/** Files that were given, by their numbers; their weights are read when they are sampled. */
const held = new Map<number, { readonly name: string; readonly found: FoundSnapshot }>();

/** Looks at a file and holds it. @throws EvenkeelError `file` for what is no network. */
export async function holdFile(name: string, blob: Blob): Promise<HeldFile> {
  const found = await findStoredSnapshot(blobFile(name, blob));
  const file = held.size + 1;
  held.set(file, { name, found });
  return { file, name };
}

/** What a network is, without sampling it. */
export async function describeNetwork(choice: NetworkChoice): Promise<NetworkFacts> {
  const known = await knownNetwork(choice);
  const { unet } = known.network;
  return {
    title: known.title,
    resolution: unet.imageResolution,
    channels: unet.imageChannels,
    labelDim: unet.labelDim,
    classNames: known.classNames,
    parameters: countNetwork(known.network).parameters,
    nimg: known.nimg,
    times: choice.kind === "average" ? await withAverages(choice.run, async ({ times }) => times) : [],
    dropsLabels: choice.kind === "file" ? null : (await runSettings(choice.run))["label-dropout"] > 0,
    guide: await earlierAverage(choice),
  };
}

/** The average that guides a network of the same run best; null if there is none. */
export async function earlierAverage(
  choice: NetworkChoice,
): Promise<(AverageChoice & { readonly kind: "average"; readonly run: string }) | null> {
  if (choice.kind === "file") return null;
  const { run } = choice;
  const checkpoint = choice.kind === "raw" ? await newestCheckpoint(await runFolder(run)) : null;
  return withAverages(run, async ({ times, profiles }) => {
    const nimg = choice.kind === "raw" ? checkpoint : (choice.nimg ?? times.at(-1));
    if (nimg === null || nimg === undefined) return null;
    // Raw weights have no length: the shortest that is stored is nearest to them.
    const shortest = Math.min(...profiles.flatMap((each) => (each.kind === "power" ? [each.sigmaRel] : [])));
    const earlier = guideAverage(times, { nimg, sigmaRel: choice.kind === "raw" ? shortest : choice.sigmaRel });
    return earlier === null ? null : { kind: "average", run, ...earlier };
  });
}

/** Reads a network's weights, or makes them. */
export async function loadNetwork(choice: NetworkChoice, signal: AbortSignal): Promise<LoadedNetwork> {
  const known = await knownNetwork(choice);
  const of = (key: string, weights: NamedParameters): LoadedNetwork => ({ ...known, key, weights });
  switch (choice.kind) {
    case "average": {
      const { run, sigmaRel } = choice;
      const weights = await withAverages(run, (averages) => averages.average(sigmaRel, known.nimg, signal));
      return of(`${run} ${sigmaRel} ${known.nimg}`, weights);
    }
    case "raw": {
      const raw = await readRawNetwork(await runFolder(choice.run), known.network);
      if (raw === null) throw noCheckpoint(choice.run);
      return { ...of(`${choice.run} ${raw.nimg}`, raw.weights), nimg: raw.nimg };
    }
    case "file": {
      const { name, found } = heldFile(choice.file);
      return of(`file ${choice.file}`, tensorsOfWeights(found.network, await found.readWeights(), name));
    }
  }
}

async function knownNetwork(choice: NetworkChoice): Promise<KnownNetwork> {
  switch (choice.kind) {
    case "average":
      return withAverages(choice.run, async (averages) => {
        const { network, classNames, seenLabels: seen, nimg: newest } = averages.info;
        const nimg = choice.nimg ?? newest;
        return {
          title: `${choice.run}, sigma_rel ${Number(choice.sigmaRel.toPrecision(3))} after ${nimg.toLocaleString("en")} images`,
          fileName: `${choice.run}-${String(nimg)}-${formatSigmaRel(Number(choice.sigmaRel.toPrecision(3)))}`,
          network,
          nimg,
          classNames,
          seenLabels: seen ?? null,
        };
      });
    case "raw": {
      const nimg = await newestCheckpoint(await runFolder(choice.run));
      if (nimg === 0) throw noCheckpoint(choice.run);
      const settings = await runSettings(choice.run);
      const { training: images } = splitForRun(await openDataset(settings.data), settings);
      const { network } = trainingOptions(settings, images);
      const isLabelled = network.unet.labelDim > 0;
      return {
        title: `${choice.run}, raw weights after ${nimg.toLocaleString("en")} images`,
        fileName: `${choice.run}-${String(nimg)}-raw`,
        network,
        nimg,
        classNames: isLabelled ? images.classNames : null,
        seenLabels: isLabelled ? seenLabels(images) : null,
      };
    }
    case "file": {
      const { name, found } = heldFile(choice.file);
      const { network, nimg, classNames, seenLabels: seen } = found;
      const fileName = name.replace(/\.(safetensors|pkl)$/i, "");
      return { title: name, fileName, network, nimg, classNames, seenLabels: seen ?? null };
    }
  }
}

function heldFile(file: number): { readonly name: string; readonly found: FoundSnapshot } {
  const found = held.get(file);
  if (found === undefined) throw new EvenkeelError("file", "This file isn't held any more. Choose it again.");
  return found;
}

function noCheckpoint(run: string): EvenkeelError {
  return new EvenkeelError(
    "file",
    `${run} has no checkpoint yet, and so no raw weights. Train on, or stop it: it writes one then.`,
  );
}
