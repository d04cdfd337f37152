import type { Kind } from "./kind.ts";
import { checkLossOfAnswer, checkPreconditioning } from "./scalars.ts";

/** The first paper's network and its parts. Only what it shares with the second is implemented yet: that is checked. */
export const baselines: Kind = {
  prefix: "edm_baseline_",
  extension: ".safetensors",
  isLater: true,
  tolerances: { output: 3e-6, gradient: 1e-5, scalar: 1e-5 },
  async check(fixture, checks, device) {
    // Files of whole networks have these groups too, with weights that they need.
    const isNetwork = fixture.hasGroup("weights/");
    if (!isNetwork && fixture.hasGroup("precond/")) {
      await checks.part("precond", () => checkPreconditioning(fixture, checks, device));
    }
    if (!isNetwork && fixture.hasGroup("loss/")) {
      await checks.part("loss", () => checkLossOfAnswer(fixture, checks, device));
    }
    checks.note(
      checks.deviations.length > 0
        ? "preconditioning and loss were checked; the ADM network's parts are not implemented yet"
        : "nothing was checked: the ADM network is not implemented yet",
    );
    fixture.setAside("");
  },
};
