import { EvenkeelError } from "../engine/index.ts";
import { readStored } from "./storedJson.ts";
import { writeText } from "./train/writeText.ts";

/**
 * Keeps in a file what all runs of a folder have in common, or checks that it is what is kept there.
 * @param command whose folder it is, for messages
 * @throws EvenkeelError `value` that names what differs, `file` for a file that can't be read.
 */
export async function keepPlan(command: string, path: string, plan: Readonly<Record<string, unknown>>): Promise<void> {
  const kept = await readStored<Readonly<Record<string, unknown>>>(path, []);
  if (kept === null) return writeText(path, `${JSON.stringify(plan, null, 2)}\n`);
  for (const [name, value] of Object.entries(plan)) {
    const [before, now] = [kept[name], value].map((each) => (each === undefined ? "absent" : JSON.stringify(each)));
    if (before === now) continue;
    throw new EvenkeelError(
      "value",
      `${command}: ${path} was begun with ${name} ${before}, and now it is ${now}: its runs could not be compared. Take the ` +
        "same value, or another folder.",
    );
  }
}
