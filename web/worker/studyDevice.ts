/** The device on which stored networks are looked at, beside training: kept as long as its worker is. */
import { createRunDevice } from "../../diffusion/settings/index.ts";
import type { Device } from "../../engine/index.ts";

let kept: Promise<Device> | undefined;

export function studyDevice(): Promise<Device> {
  if (kept === undefined) {
    // Half of the cores: a run that trains meanwhile waits for its slowest thread in every step, and so would these networks.
    const threads = Math.max(1, Math.floor(navigator.hardwareConcurrency / 2));
    kept = createRunDevice("wasm", { deterministic: false, threads });
    kept.catch(() => (kept = undefined));
  }
  return kept;
}
