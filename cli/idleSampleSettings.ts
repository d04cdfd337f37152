import { resolve } from "node:path";
import { isNoGuidance } from "../diffusion/sample/index.ts";
import { chosenGuides } from "./sampleGuides.ts";
import { dropoutGuide, type SampleSettings } from "./sampleSettings.ts";

/** Settings of `evenkeel sample` that change nothing beside the others, a line each. */
export function idleSettings(settings: SampleSettings): readonly string[] {
  const { net, gnet, guidance, guides = [], dropout, interval, grid, outdir, subdirs, steps = 32 } = settings;
  const { sigmaMin = 0.002, sigmaMax = 80, rho = 7, sChurn = 0, sMin = 0, sMax = Infinity, sNoise = 1 } = settings;
  const idle: string[] = [];
  const say = (isIdle: boolean, options: string, why: string): void => {
    if (isIdle) idle.push(`${options} changes nothing: ${why}`);
  };
  const chosen = chosenGuides(settings);
  const isGuided = chosen.length > 0;
  say(gnet !== undefined && isNoGuidance(guidance), "--gnet", "--guidance is 1, which is none");
  for (const { name, weight } of guides) say(isNoGuidance(weight), `--guide ${name}`, "its push is 0, which is none");
  say(
    chosen.some(({ name }) => resolve(name) === resolve(net)),
    gnet === undefined ? "--guide" : "--guidance",
    "the guide is the network itself; self guides by it without labels, dropout with dropout on",
  );
  const isDropping = chosen.some(({ name }) => name === dropoutGuide);
  say(dropout !== undefined && !isDropping, "--dropout", `there is no guide ${dropoutGuide}`);
  say(dropout === 0 && isDropping, `the guide ${dropoutGuide}`, "--dropout is 0, which is the network itself");
  say(interval !== undefined && !isGuided, "--interval", "there is no guidance (--gnet and --guidance, or --guide)");
  const isConsistency = settings.solver === "consistency";
  say(settings.renoise !== undefined && !isConsistency, "--renoise", "it is for --solver consistency");
  const isStepped = steps !== 32 || sigmaMin !== 0.002 || rho !== 7 || sChurn !== 0;
  say(
    isConsistency && isStepped,
    "--steps, --sigma_min, --rho or --S_churn",
    "--solver consistency has the steps of --renoise",
  );
  const lowest = isConsistency ? ((settings.renoise ?? [0.8]).at(-1) ?? sigmaMax) : steps === 1 ? sigmaMax : sigmaMin;
  if (interval !== undefined && isGuided) {
    const [lo, hi] = interval;
    say(lo >= sigmaMax || hi < lowest, "--guidance", `no step starts at a noise level above ${lo} and up to ${hi}`);
  }
  const isBounded = sMin !== 0 || sMax !== Infinity || sNoise !== 1;
  say(sChurn === 0 && isBounded, "--S_min, --S_max or --S_noise", "--S_churn is 0");
  say(
    !isConsistency && sChurn > 0 && (sMin > sigmaMax || sMax < lowest),
    "--S_churn",
    `no step starts within ${sMin} to ${sMax}`,
  );
  const isShaped = sigmaMin !== 0.002 || rho !== 7;
  say(!isConsistency && steps === 1 && isShaped, "--sigma_min or --rho", "a single step goes from --sigma_max to 0");
  const isDrawn = settings.gridColumns !== undefined || settings.gridScale !== 1;
  say(grid === undefined && isDrawn, "--grid-columns or --grid-scale", "there is no --grid");
  say(subdirs && outdir === undefined, "--subdirs", "there is no --outdir");
  return idle;
}
