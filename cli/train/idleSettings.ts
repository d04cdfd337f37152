import type { TrainingOptions } from "../../diffusion/training/index.ts";
import type { PlannedSettings } from "../../diffusion/settings/index.ts";

/**
 * Settings of a run that never take effect beside the others or with these data, a line each.
 * @param given the options of the command line: those that only a preset or a file has, where every setting is, aren't told of.
 */
export function idleTrainSettings(
  settings: PlannedSettings,
  { network: { unet } }: TrainingOptions,
  given: ReadonlySet<string>,
): readonly string[] {
  const idle: string[] = [];
  const say = (isIdle: boolean, what: string): void => {
    if (isIdle) idle.push(what);
  };
  const isTuned = settings.tune !== undefined;
  say(
    isTuned && settings.from === undefined,
    "the tuning begins with drawn weights: --from gives it those of a trained network",
  );
  for (const name of ["tune-stage", "tune-factor"] as const) {
    say(!isTuned && settings[name] !== undefined, `${name} changes nothing: there is no --tune`);
  }
  const isUnlabelled = unet.labelDim === 0;
  say(settings["label-dropout"] > 0 && isUnlabelled, "label-dropout changes nothing: the network takes no labels");
  say(settings["label-dropout"] === 1 && !isUnlabelled, "label-dropout is 1: no image shows its label to the network");
  const isGiven = (name: string): boolean => given.has(name);
  say(
    isGiven("validation") && settings.holdout === 0,
    "--validation measures magnitudes only: no images are held out (--holdout)",
  );
  say(isGiven("guidance") && settings.samples === 0, "--guidance changes nothing: --samples 0 draws no pictures");
  const device = settings.device ?? "wasm";
  const isWasm = device === "wasm" || device === "auto";
  say(isGiven("threads") && !isWasm, `--threads changes nothing: it is for the device wasm, and this is ${device}`);
  say(
    isGiven("deterministic") && !isWasm,
    `--deterministic changes nothing: it is for the device wasm, and this is ${device}`,
  );
  const steps = Math.ceil(settings.duration / settings.batch);
  say(
    isGiven("decay") && settings.schedule === "inverse-sqrt" && settings.decay >= steps,
    `--decay changes nothing: the run ends after ${steps} batches, before the rate falls`,
  );
  say(
    isGiven("decay") && settings.schedule !== "inverse-sqrt",
    `--decay changes nothing: it is for the schedule inverse-sqrt, and this is ${settings.schedule}`,
  );
  for (const name of ["status", "snapshot", "checkpoint", "samples", "validation"] as const) {
    const isLate = settings[name] > settings.duration;
    say(
      isGiven(name) && isLate,
      `--${name} ${settings[name]} comes at the end only: the run has ${settings.duration} images`,
    );
  }
  return idle;
}
