import { z } from "zod";
import { EvenkeelError, type StoredTensor } from "../../engine/index.ts";
import { compareProfiles, formatSigmaRel, powerProfile, reconstruct } from "../ema/index.ts";
import { listSnapshots } from "../ema/node.ts";
import { compareCoefficients } from "./emaScalars.ts";
import type { Kind } from "./kind.ts";
import { requireSameNames } from "./snapshot.ts";

/** Roundings of sums in another order may fall to the neighbour. */
const ulps = 1;

const numbers = z.array(z.number());

/** Post-hoc averages of the snapshots in the folder beside the file, which has the file's name. */
export const postHocChains: Kind = {
  prefix: "phema_chain",
  extension: ".safetensors",
  tolerances: { output: 1e-5, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks) {
    const times = fixture.metadata("in_nimg", numbers);
    const widths = fixture.metadata("in_stds", numbers);
    const wantedWidths = fixture.metadata("out_std", numbers);
    const wantedTime = fixture.metadata("out_nimg", z.number());

    const folder = fixture.path.replace(/\.safetensors$/, "");
    const found = await listSnapshots(folder, { sigmaRels: widths });
    const snapshots = found
      .filter(({ profile }) => times.includes(profile.nimg))
      .toSorted((a, b) => compareProfiles(a.profile, b.profile));
    if (snapshots.length !== times.length * widths.length) {
      throw new EvenkeelError(
        "file",
        `${folder} has ${snapshots.length} snapshots of the wanted times and widths, expected ${times.length * widths.length}.`,
      );
    }
    const inNimg = snapshots.map(({ profile }) => profile.nimg);
    const inStd = snapshots.map(({ profile }) => (profile.kind === "power" ? profile.sigmaRel : NaN));
    checks.values("in_nimg", inNimg, fixture.stored("in_nimg"), "output", 0);
    checks.values("in_std", inStd, fixture.stored("in_std"), "output", 0);

    const wanted = wantedWidths.map((width) => powerProfile(wantedTime, width));
    const results = await reconstruct(snapshots, wanted);
    const fits = results.map(({ fit }) => fit);
    compareCoefficients(checks, "coefs", fits, fixture.stored("coefs"));
    for (const [i, { weights }] of results.entries()) {
      const prefix = `phema-${formatSigmaRel(wantedWidths[i] ?? NaN)}/`;
      const truth = fixture.storedUnder(prefix);
      requireSameNames(weights, truth, prefix);
      for (const [name, stored] of truth) {
        checks.halfFloats(prefix + name, weights.get(name) as StoredTensor, stored, ulps);
      }
    }
  },
};
