import type { GivenSettings } from "../worker/messages.ts";
import { given } from "./lab.ts";

/** Chooses one option of the experiment; undefined leaves it to the preset. */
export function choose(name: keyof GivenSettings, value: unknown): void {
  const { [name]: _, ...others } = given.value;
  given.value = value === undefined ? others : { ...others, [name]: value };
}
