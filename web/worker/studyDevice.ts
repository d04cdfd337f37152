/** The device on which stored networks are looked at, beside training: kept as long as its worker is. */
import { createRunDevice } from "../../diffusion/settings/index.ts";
import type { Device } from "../../engine/index.ts";

let kept: Promise<Device> | undefined;

export function studyDevice(): Promise<Device> {
  if (kept === undefined) {
    kept = createRunDevice("wasm", { deterministic: false });
    kept.catch(() => (kept = undefined));
  }
  return kept;
}
