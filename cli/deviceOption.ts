import { type Device, defaultDevice } from "../engine/index.ts";

/** What `--device` takes, for commands' help. */
export const deviceHelp = `oracle, wasm, cpu, webgpu, webgl2 or auto, a GPU if there is one (default: EVENKEEL_DEVICE, else ${defaultDevice})`;

/** One line that says where a command computes and why there. @param wanted as the option says; undefined without it. */
export function describeDevice({ name, description }: Device, wanted: string | undefined): string {
  const named = process.env["EVENKEEL_DEVICE"] || undefined;
  const choice = wanted ?? named;
  const reasons: string[] = [];
  if (choice === undefined) reasons.push("the default; --device auto takes a GPU if there is one");
  else if (wanted === undefined) reasons.push("as EVENKEEL_DEVICE says");
  if (choice === "auto") reasons.push(`auto found ${name === "webgpu" ? "a GPU" : "no GPU"}`);
  return reasons.length === 0 ? description : `${description} (${reasons.join("; ")})`;
}
