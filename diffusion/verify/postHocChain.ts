import { existsSync } from "node:fs";
import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import { fromFloat16Bits, type StoredTensor, toFloat16Bits } from "../../engine/io/index.ts";
import {
  type AveragingProfile,
  compareProfiles,
  fitProfiles,
  formatSigmaRel,
  powerProfile,
  type PowerProfile,
  reconstruct,
  type SnapshotFile,
} from "../ema/index.ts";
import { listSnapshots } from "../ema/node.ts";
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

/** A list, or the only number of one. */
const numbers = z.union([z.array(z.number()), z.number().transform((only) => [only])]);

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
  const end = endOf(optional("out_nimg", numbers)) ?? Math.max(...stored.map(({ nimg }) => nimg));
  if (stored.length > 0 && stored.every(({ nimg }) => nimg !== end)) {
    throw new EvenkeelError("file", `its averages are at ${end} images, where there is no snapshot.`);
  }
  const named = fixture.groupsUnder("phema-").map(Number);
  const wanted = (optional("out_std", numbers) ?? named).map((width) => powerProfile(end, width));
  // As in the published program, later ones take no part. Files list them with coefficients of 0, or not at all.
  const isUsed = ({ nimg }: AveragingProfile): boolean => nimg <= end;
  const sorted = stored.toSorted(compareProfiles);
  const used = sorted.filter(isUsed);
  const averages = wanted.map(averageGroup);
  fixture.requireGroups(/^phema-/, averages);
  const listedCount = ["in_nimg", "in_std", "coefs"].map((name) => fixture.shapeOf(name)?.[0]);
  return {
    stored: listedCount.includes(sorted.length) ? sorted : used,
    files: files.filter(({ profile }) => isUsed(profile)).toSorted((a, b) => compareProfiles(a.profile, b.profile)),
    wanted,
  };
}

/** Averages of one file are all at one time. @throws EvenkeelError `file` for several. */
function endOf(times: readonly number[] = []): number | undefined {
  const different = new Set(times);
  if (different.size > 1) {
    throw new EvenkeelError("file", `its averages are at ${[...different].join(" and ")} images, expected one time.`);
  }
  return times[0];
}

function isPower(profile: AveragingProfile): profile is PowerProfile {
  return profile.kind === "power";
}

function profilesOf(times: readonly number[], widths: readonly number[]): PowerProfile[] {
  return times.flatMap((nimg) => widths.map((width) => powerProfile(nimg, width)));
}

function averageGroup({ sigmaRel }: PowerProfile): string {
  return `phema-${formatSigmaRel(sigmaRel)}`;
}

/** The profiles in the order of the file's rows where it tells both times and widths of each: any order is right. */
function orderOfRows(fixture: Fixture, stored: readonly PowerProfile[]): readonly PowerProfile[] {
  if (!fixture.has("in_nimg") || !fixture.has("in_std")) return stored;
  const [times, widths] = [fixture.numbers("in_nimg"), fixture.numbers("in_std")];
  const rest = [...stored];
  // Widths may be stored in fewer digits: the nearest of those of this time is meant, and compared after.
  const rows = Array.from(times, (nimg, row): PowerProfile | undefined => {
    const off = (profile: PowerProfile): number => Math.abs(profile.sigmaRel - (widths[row] ?? NaN));
    const [nearest] = rest.filter((profile) => profile.nimg === nimg).toSorted((a, b) => off(a) - off(b));
    if (nearest !== undefined) rest.splice(rest.indexOf(nearest), 1);
    return nearest;
  }).filter((profile) => profile !== undefined);
  return rows.length === stored.length ? rows : stored;
}

/** Whether float32 values are not just widened 16-bit ones. */
function isWiderThanHalf({ dtype, data }: StoredTensor): boolean {
  return dtype === "F32" && data.some((value) => fromFloat16Bits(toFloat16Bits(value)) !== value);
}

async function checkAverages(fixture: Fixture, checks: Checks, { files, wanted }: Chain): Promise<void> {
  const groups = wanted.map((profile) => `${averageGroup(profile)}/`);
  if (!groups.some((prefix) => fixture.hasGroup(prefix))) return;
  if (files.length === 0) throw new EvenkeelError("file", "has averages, and the folder of its name has no snapshots.");
  const isWide = groups.some((prefix) => [...fixture.storedUnder(prefix).values()].some(isWiderThanHalf));
  const results = await reconstruct(files, wanted, { dtype: isWide ? "F32" : "F16" });
  for (const [i, { weights }] of results.entries()) {
    const prefix = groups[i] ?? "";
    const truth = fixture.storedUnder(prefix);
    requireNames(weights, truth, prefix);
    for (const [name, stored] of truth) {
      checks.sameFloats(prefix + name, weights.get(name) as StoredTensor, isWide ? stored : asHalf(stored), ulps);
    }
  }
}

/** Float32 values that 16 bits hold exactly, in 16 bits. */
function asHalf(stored: StoredTensor): StoredTensor {
  return stored.dtype === "F32"
    ? { ...stored, dtype: "F16", data: Uint16Array.from(stored.data, toFloat16Bits) }
    : stored;
}

/** Post-hoc averages of the snapshots in the folder beside the file, which has the file's name. */
export const postHocChains: Kind = {
  prefix: "phema_chain",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks) {
    const chain = await describeChain(fixture);
    const found = new Comparison(fixture, checks);
    const stored = orderOfRows(fixture, chain.stored);
    const inNimg = stored.map(({ nimg }) => nimg);
    found.values("in_nimg", inNimg, "output", 0);
    const inStd = stored.map(({ sigmaRel }) => sigmaRel);
    found.values("in_std", inStd, "output", 0);
    if (found.has("coefs")) {
      compareCoefficients(checks, "coefs", fitProfiles(stored, chain.wanted), fixture.stored("coefs"));
    }
    await checks.part("", () => checkAverages(fixture, checks, chain));
  },
};
