/** An experiment as a link: the settings that were chosen, behind the `#` of the page's address. */
import type { GivenSettings } from "../worker/messages.ts";

/** `#preset=emoji16&config=A&lr=0.01`: numbers, lists and the like as JSON, words as they are. */
export function linkOf(settings: GivenSettings): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    parameters.set(name, typeof value === "string" && !isJson(value) ? value : JSON.stringify(value));
  }
  return `#${parameters.toString()}`;
}

/** What a link chose; null if it holds nothing. Names and values are checked by who makes a plan of them. */
export function readLink(hash: string): GivenSettings | null {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const settings: GivenSettings = Object.fromEntries(
    [...parameters].map(([name, text]) => [name, isJson(text) ? JSON.parse(text) : text]),
  );
  return Object.keys(settings).length === 0 ? null : settings;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
