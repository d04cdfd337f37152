import { EvenkeelError } from "../../../engine/index.ts";
import type { FeatureExtractor, FeatureOptions } from "../features.ts";
import { pixelFeatures } from "../pixelFeatures.ts";
import { classifierFileFeatures } from "./classifierFile.ts";

/** The pictures that features are wanted of; all are alike. */
export type PictureSize = { readonly channels: number; readonly resolution: number };

type Kind = {
  /** How it is written on a command line. */
  readonly usage: string;
  readonly summary: string;
  /** `file` is what stands after the colon; "" if there is none. */
  readonly make: (file: string, size: PictureSize, options: FeatureOptions) => Promise<FeatureExtractor>;
};

/** Every kind of features by its name: the one place where they are listed. */
const kinds: Readonly<Record<string, Kind>> = {
  pixels: {
    usage: "pixels",
    summary: "raw pixels of small images",
    make: async (_file, { channels, resolution }) => pixelFeatures(channels, resolution),
  },
  classifier: {
    usage: "classifier:FILE",
    summary: "a classifier trained by evenkeel metrics classifier",
    make: async (file, _size, options) => classifierFileFeatures(file, options),
  },
};

/** What can be asked for, a line each. */
export function listFeatures(): readonly string[] {
  return Object.values(kinds).map(({ usage, summary }) => `${usage.padEnd(16)} ${summary}`);
}

/**
 * The extractor of a name such as `mobilenet` or `classifier:FILE`, for pictures of a size.
 * @throws EvenkeelError `value` for a name that isn't known or lacks its file, `file` for a file that can't be used.
 */
export async function featureExtractor(
  name: string,
  size: PictureSize,
  options: FeatureOptions,
): Promise<FeatureExtractor> {
  const colon = name.indexOf(":");
  const [word, file] = colon < 0 ? [name, ""] : [name.slice(0, colon), name.slice(colon + 1)];
  const kind = Object.hasOwn(kinds, word) ? kinds[word] : undefined;
  if (kind === undefined) {
    const known = Object.values(kinds).map(({ usage }) => usage);
    throw new EvenkeelError("value", `features ${name}: there are none of this name, only ${known.join(", ")}.`);
  }
  if (kind.usage.includes(":") !== (file !== "")) {
    throw new EvenkeelError("value", `features ${name}: write ${kind.usage}.`);
  }
  return kind.make(file, size, options);
}
