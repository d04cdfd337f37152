/** The guides that `evenkeel sample` is asked for: as they are written, found and loaded. */
import { type Guide, guideLabels, isNoGuidance, parseGuideWeight } from "../diffusion/sample/index.ts";
import { type Device, EvenkeelError } from "../engine/index.ts";
import {
  dropoutGuide,
  type FindNetwork,
  type FoundNetwork,
  type GuideChoice,
  type LoadedNetwork,
  type SampleSettings,
  selfGuide,
} from "./sampleSettings.ts";

/** A guide whose network, the main one or another, was found and fits. */
export type FoundGuide = GuideChoice & { readonly labels: Guide["labels"]; readonly found: FoundNetwork };

/**
 * A guide with how far answers are pushed away from it, `early.safetensors=1.5`, `dropout=0.3:0,3:0.4`: D + push (D - D_guide), so that
 * 0 is none and a weight of w is a push of w - 1.
 * @throws EvenkeelError `value` for what isn't that.
 */
export function parseGuide(text: string): GuideChoice {
  const at = text.lastIndexOf("=");
  const name = text.slice(0, Math.max(0, at));
  if (name === "") {
    throw new EvenkeelError(
      "value",
      `guidance: "${text}" is no guide with its push. Examples: early.safetensors=1.5, ${selfGuide}=0.5, ${dropoutGuide}=0.4.`,
    );
  }
  const push = parseGuideWeight(text.slice(at + 1));
  const weightOf = (pushed: number): number => pushed + 1;
  return { name, weight: typeof push === "number" ? weightOf(push) : push.map(([s, each]) => [s, weightOf(each)]) };
}

/** Guides that do something. */
export function chosenGuides({ gnet, guidance, guides = [] }: SampleSettings): readonly GuideChoice[] {
  const first = gnet === undefined ? [] : [{ name: gnet, weight: guidance }];
  return [...first, ...guides].filter(({ weight }) => !isNoGuidance(weight));
}

/** Looks for the guides' networks. @throws EvenkeelError `value` if they don't fit the main one, `file` if they can't be read. */
export async function findGuides(
  settings: SampleSettings,
  main: FoundNetwork,
  find: FindNetwork,
): Promise<readonly FoundGuide[]> {
  const networks = new Map<string, FoundNetwork>();
  const guides: FoundGuide[] = [];
  for (const choice of chosenGuides(settings)) {
    const { name } = choice;
    const isMain = name === selfGuide || name === dropoutGuide;
    const found = isMain ? main : (networks.get(name) ?? (await find(name)));
    networks.set(name, found);
    if (name === dropoutGuide && settings.dropout === undefined && main.config.unet.dropout === 0) {
      throw new EvenkeelError(
        "value",
        `sample: ${settings.net} was trained without dropout, so that a guide "${dropoutGuide}" has no probability to take from it. ` +
          "Give one by --dropout, such as --dropout 0.1.",
      );
    }
    const labels =
      name === dropoutGuide
        ? "same"
        : guideLabels({ ...main, name: settings.net }, name === selfGuide ? selfGuide : { ...found, name });
    guides.push({ ...choice, labels, found });
  }
  return guides;
}

/**
 * Reads the guides' weights, each network's once.
 * @param loaded what has been loaded, to be disposed of by the caller; networks are added.
 */
export async function loadGuides(
  guides: readonly FoundGuide[],
  loaded: Map<FoundNetwork, LoadedNetwork>,
  dropout: number | undefined,
  device: Device,
): Promise<readonly Guide[]> {
  const ready: Guide[] = [];
  for (const { name, weight, labels, found } of guides) {
    const network = loaded.get(found) ?? (await found.load(device));
    loaded.set(found, network);
    const denoiser = name === dropoutGuide ? network.withDropout(dropout) : network.denoiser;
    ready.push({ denoiser, weight, labels });
  }
  return ready;
}
