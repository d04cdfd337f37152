import * as z from "zod";
import { EvenkeelError } from "../../engine/index.ts";
import {
  checkBaselineBlock,
  checkGroupNorm,
  checkPositional,
  checkResampleFilters,
  isResampleFilter,
  type Part,
} from "./baselineParts.ts";
import type { Kind } from "./kind.ts";
import { edm, networkWithLoss } from "./networkOptions.ts";
import { checkLossOfAnswer, checkPreconditioning } from "./scalars.ts";
import { checkNetwork } from "./unet.ts";

/** Checks of parts, by the first part of their names. */
const partChecks: Readonly<Record<string, (part: Part, name: string, options: unknown) => Promise<void>>> = {
  group_norm: checkGroupNorm,
  positional_embedding: checkPositional,
  block: checkBaselineBlock,
};

/** The first paper's preconditioning, loss and layers. Cases without options of their own are known by their names. */
async function checkParts(part: Part): Promise<void> {
  const { fixture, checks, device } = part;
  const options = fixture.hasMetadata("cases") ? fixture.metadata("cases", z.record(z.string(), z.unknown())) : {};
  for (const name of new Set([...Object.keys(options), ...fixture.groupsUnder("")])) {
    await checks.part(name, async () => {
      if (name === "precond") return checkPreconditioning(fixture, checks, device);
      if (name === "loss") return checkLossOfAnswer(fixture, checks, device, edm);
      const check = partChecks[name.split(".")[0] ?? ""];
      if (check === undefined) {
        throw new EvenkeelError("file", `no check knows this case; there are ${Object.keys(partChecks).join(", ")}.`);
      }
      return check(part, name, options[name] ?? {});
    });
  }
}

/** The first paper's whole network, configuration A: raw, preconditioned, its loss and gradient. */
async function checkWhole({ fixture, checks, device }: Part): Promise<void> {
  const { network: config, loss } = networkWithLoss(fixture, "weights/", edm);
  checkResampleFilters(fixture, checks, "weights/", config.unet.resampleFilter);
  const run =
    config.unet.augmentDim > 0 && fixture.has("augment_labels")
      ? { augmentLabels: fixture.tensor("augment_labels") }
      : {};
  const context = { fixture, checks, device, config, dialect: edm, isOther: isResampleFilter, run };
  await checkNetwork(context, loss);
}

/** Files of whole networks. */
export const baselineNetworks: Kind = {
  prefix: "edm_baseline_adm",
  extension: ".safetensors",
  // Of single numbers: the objective, in which the errors of all elements add up.
  tolerances: { output: 1e-5, gradient: 2e-5, scalar: 1e-4 },
  async check(fixture, checks, device) {
    await checkWhole({ fixture, checks, device });
  },
};

/** Files of the network's parts; of whole networks too, if their name doesn't tell. */
export const baselines: Kind = {
  prefix: "edm_baseline_",
  extension: ".safetensors",
  tolerances: { output: 3e-6, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    const part: Part = { fixture, checks, device };
    await (fixture.hasGroup("weights/") ? checkWhole(part) : checkParts(part));
  },
};
