import { type AutomaticDevice, chooseAutomatically, type Device, defaultDevice, printable } from "../engine/index.ts";

/** What `--device` takes, for commands' help. */
export const deviceHelp = `oracle, wasm, cpu, webgpu, webgl2 or auto, the faster of wasm and a GPU, measured (default: EVENKEEL_DEVICE, else ${defaultDevice})`;

/** What the option says, or else EVENKEEL_DEVICE; undefined if neither does. */
export function choiceOf(wanted: string | undefined): string | undefined {
  return wanted ?? (process.env["EVENKEEL_DEVICE"] || undefined);
}

/**
 * One line that says where a command computes and why there.
 * @param wanted as the option says; undefined without it
 * @param automatic what was chosen for the command's own work, if `auto` was
 */
export async function describeDevice(
  { description }: Device,
  wanted: string | undefined,
  automatic?: AutomaticDevice,
): Promise<string> {
  const [choice, fromEnvironment] = [choiceOf(wanted), choiceOf(undefined)];
  const reasons: string[] = [];
  if (choice === undefined) reasons.push("the default; --device auto takes a GPU if one is faster");
  else if (wanted === undefined) reasons.push("as EVENKEEL_DEVICE says");
  else if (fromEnvironment !== undefined && fromEnvironment !== wanted) {
    const other = printable(fromEnvironment);
    reasons.push(`as the option or the run's own settings say; EVENKEEL_DEVICE, which says ${other}, isn't asked then`);
  }
  if (choice === "auto") reasons.push(`auto: ${(automatic ?? (await chooseAutomatically())).reason}`);
  return reasons.length === 0 ? description : `${description} (${reasons.join("; ")})`;
}
