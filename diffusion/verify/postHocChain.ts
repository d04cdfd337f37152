import { existsSync } from "node:fs";
import { z } from "zod";
import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";
import {
  type AveragingProfile,
  compareProfiles,
  fitProfiles,
  formatSigmaRel,
  powerProfile,
  type PowerProfile,
  reconstruct,
} from "../ema/index.ts";
import { listSnapshots, type SnapshotFile } from "../ema/node.ts";
import type { Checks } from "./checks.ts";
import { Comparison } from "./comparison.ts";
import { compareCoefficients } from "./emaScalars.ts";
import type { Fixture } from "./fixture.ts";
import type { Kind } from "./kind.ts";
import { requireNames } from "./snapshot.ts";

/** Roundings of sums in another order may fall to the neighbour. */
const ulps = 1;

/** What is to be made of which snapshots: what the file leaves out follows from the folder and from the averages that are there. */
type Chain = {
  readonly stored: readonly PowerProfile[];
  readonly files: readonly SnapshotFile[];
  readonly wanted: readonly PowerProfile[];
};

const numbers = z.array(z.number());

async function describeChain(fixture: Fixture): Promise<Chain> {
  const optional = <T>(key: string, schema: z.ZodType<T>): T | undefined =>
    fixture.hasMetadata(key) ? fixture.metadata(key, schema) : undefined;
  const [times, widths] = [optional("in_nimg", numbers), optional("in_stds", numbers)];
  const folder = fixture.path.replace(/\.safetensors$/, "");
  const found = existsSync(folder) ? await listSnapshots(folder, { sigmaRels: widths }) : [];
  const files = found.filter(({ profile }) => times?.includes(profile.nimg) ?? true);
  const listed = times === undefined || widths === undefined ? undefined : profilesOf(times, widths);
  if (listed !== undefined && found.length > 0 && files.length !== listed.length) {
    throw new EvenkeelError(
      "file",
      `${folder} has ${files.length} snapshots of the wanted times and widths, expected ${listed.length}.`,
    );
  }
  const stored = files.length > 0 ? files.map(({ profile }) => profile).filter(isPower) : (listed ?? []);
  const end = optional("out_nimg", z.number()) ?? Math.max(...stored.map(({ nimg }) => nimg));
  if (stored.length > 0 && stored.every(({ nimg }) => nimg !== end)) {
    throw new EvenkeelError("file", `its averages are at ${end} images, where there is no snapshot.`);
  }
  const named = fixture.groupsUnder("phema-").map(Number);
  const wanted = (optional("out_std", numbers) ?? named).map((width) => powerProfile(end, width));
  // As in the published program, later ones take no part. Files list them with coefficients of 0, or not at all.
  const isUsed = ({ nimg }: AveragingProfile): boolean => nimg <= end;
  const sorted = stored.toSorted(compareProfiles);
  const used = sorted.filter(isUsed);
  const listedCount = ["in_nimg", "in_std", "coefs"].map((name) => fixture.shapeOf(name)?.[0]);
  return {
    stored: listedCount.includes(sorted.length) ? sorted : used,
    files: files.filter(({ profile }) => isUsed(profile)).toSorted((a, b) => compareProfiles(a.profile, b.profile)),
    wanted,
  };
}

function isPower(profile: AveragingProfile): profile is PowerProfile {
  return profile.kind === "power";
}

function profilesOf(times: readonly number[], widths: readonly number[]): PowerProfile[] {
  return times.flatMap((nimg) => widths.map((width) => powerProfile(nimg, width)));
}

async function checkAverages(fixture: Fixture, checks: Checks, { files, wanted }: Chain): Promise<void> {
  const groups = wanted.map((profile) => `phema-${formatSigmaRel(profile.sigmaRel)}/`);
  if (!groups.some((prefix) => fixture.hasGroup(prefix))) return;
  if (files.length === 0) throw new EvenkeelError("file", "has averages, and the folder of its name has no snapshots.");
  const isWide = groups.some((prefix) =>
    [...fixture.storedUnder(prefix).values()].some(({ dtype }) => dtype === "F32"),
  );
  const results = await reconstruct(files, wanted, { dtype: isWide ? "F32" : "F16" });
  for (const [i, { weights }] of results.entries()) {
    const prefix = groups[i] ?? "";
    const truth = fixture.storedUnder(prefix);
    requireNames(weights, truth, prefix);
    for (const [name, stored] of truth) {
      checks.sameFloats(prefix + name, weights.get(name) as StoredTensor, stored, ulps);
    }
  }
}

/** Post-hoc averages of the snapshots in the folder beside the file, which has the file's name. */
export const postHocChains: Kind = {
  prefix: "phema_chain",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks) {
    const chain = await describeChain(fixture);
    const found = new Comparison(fixture, checks);
    const inNimg = chain.stored.map(({ nimg }) => nimg);
    found.values("in_nimg", inNimg, "output", 0);
    const inStd = chain.stored.map(({ sigmaRel }) => sigmaRel);
    found.values("in_std", inStd, "output", 0);
    if (found.has("coefs")) {
      compareCoefficients(checks, "coefs", fitProfiles(chain.stored, chain.wanted), fixture.stored("coefs"));
    }
    await checks.part("", () => checkAverages(fixture, checks, chain));
  },
};
