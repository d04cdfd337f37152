/** Images as a page shows them. */
import type { ImageLabel } from "../../diffusion/sample/index.ts";

/** Grey or colour: of latents, which have four channels, the first three stand for colours. */
export function shownChannels(channels: number): 1 | 3 {
  return channels < 3 ? 1 : 3;
}

/** What an image was to show. */
export function labelText(label: ImageLabel, classNames: readonly string[] | null): string {
  if (label === null) return "no label";
  if (typeof label !== "number") return "label vector";
  return classNames?.[label] ?? `class ${label}`;
}
