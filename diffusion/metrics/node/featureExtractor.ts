import { EvenkeelError } from "../../../engine/index.ts";
import { nearestName } from "../../nearestName.ts";
import { nsfwjsFeatures, onnxFeatures, onnxPresets } from "../../features/node.ts";
import type { FeatureExtractor, FeatureOptions } from "../features.ts";
import { pixelFeatures } from "../pixelFeatures.ts";
import { classifierFileFeatures } from "./classifierFile.ts";

/** The pictures that features are wanted of; all are alike. */
export type PictureSize = { readonly channels: number; readonly resolution: number };

type Kind = {
  /** How it is written on a command line. */
  readonly usage: string;
  readonly summary: string;
  /** Refuses pictures that it isn't for, before anything is made. */
  readonly check?: (size: PictureSize) => void;
  /** `file` is what stands after the colon; "" if there is none. */
  readonly make: (file: string, size: PictureSize, options: FeatureOptions) => Promise<FeatureExtractor>;
};

/** Every kind of features by its name: the one place where they are listed. */
const kinds: Readonly<Record<string, Kind>> = {
  pixels: {
    usage: "pixels",
    summary: "raw pixels of small images",
    check: ({ channels, resolution }) => void pixelFeatures(channels, resolution),
    make: async (_file, { channels, resolution }) => pixelFeatures(channels, resolution),
  },
  classifier: {
    usage: "classifier:FILE",
    summary: "a classifier trained by npx evenkeel metrics classifier",
    make: async (file, _size, options) => classifierFileFeatures(file, options),
  },
  "nsfwjs-mobilenet": {
    usage: "nsfwjs-mobilenet",
    summary: "MobileNetV2 1.4 of the npm package nsfwjs, 1792 numbers",
    make: async (_file, _size, options) => nsfwjsFeatures("nsfwjs-mobilenet", options),
  },
  "nsfwjs-mobilenet-small": {
    usage: "nsfwjs-mobilenet-small",
    summary: "MobileNetV2 1.0 of nsfwjs, 1280 numbers, twice as fast",
    make: async (_file, _size, options) => nsfwjsFeatures("nsfwjs-mobilenet-small", options),
  },
  "nsfwjs-inception": {
    usage: "nsfwjs-inception",
    summary: "InceptionV3 of nsfwjs, 2048 numbers, a tenth as fast; not FID",
    make: async (_file, _size, options) => nsfwjsFeatures("nsfwjs-inception", options),
  },
  "onnx-inception": {
    usage: "onnx-inception:FILE",
    summary: "FID's InceptionV3 as ONNX, through onnxruntime-node",
    make: async (file) => onnxFeatures(file, onnxPresets.inception),
  },
  "onnx-dinov2": {
    usage: "onnx-dinov2:FILE",
    summary: "a DINOv2 as ONNX, through onnxruntime-node",
    make: async (file) => onnxFeatures(file, onnxPresets.dinov2),
  },
};

/**
 * What can be asked for, a line each.
 * @example console.log(listFeatures()[0]); // pixels raw pixels of small images
 */
export function listFeatures(): readonly string[] {
  const width = Math.max(...Object.values(kinds).map(({ usage }) => usage.length));
  return Object.values(kinds).map(({ usage, summary }) => `${usage.padEnd(width)} ${summary}`);
}

/**
 * Refuses what no extractor can be made of, without making one; what is in its file is found out then.
 * @throws EvenkeelError `value` for a name that isn't known (with the nearest one) or lacks its file, and for pictures that it isn't for.
 * @example requireFeatures("pixels", { channels: 3, resolution: 16 }); // there are such: nothing happens
 */
export function requireFeatures(name: string, size: PictureSize): void {
  kindOf(name).kind.check?.(size);
}

/** What a name asks for, and the file after its colon; "" if there is none. */
function kindOf(name: string): { readonly kind: Kind; readonly file: string } {
  const colon = name.indexOf(":");
  const [word, file] = colon < 0 ? [name, ""] : [name.slice(0, colon), name.slice(colon + 1)];
  const kind = Object.hasOwn(kinds, word) ? kinds[word] : undefined;
  if (kind === undefined) {
    const known = Object.values(kinds).map(({ usage }) => usage);
    const near = nearestName(word, Object.keys(kinds));
    const end = near === null ? "." : `; did you mean ${near}?`;
    throw new EvenkeelError("value", `features ${name}: there are none of this name, only ${known.join(", ")}${end}`);
  }
  if (kind.usage.includes(":") !== (file !== "")) {
    throw new EvenkeelError("value", `features ${name}: write ${kind.usage}.`);
  }
  return { kind, file };
}

/**
 * The extractor of a name such as `nsfwjs-mobilenet` or `classifier:FILE`, for pictures of a size.
 * @throws EvenkeelError `value` for a name that isn't known or lacks its file, `file` for a file that can't be used.
 * @example
 * ```ts
 * import { getDevice } from "evenkeel/engine";
 *
 * const size = { channels: 1, resolution: 2 };
 * const extractor = await featureExtractor("pixels", size, { device: await getDevice("wasm") });
 * console.log(extractor.dimension, extractor.describe()); // 4 the pixels of images of 1x2x2, from -1 to 1
 * ```
 */
export async function featureExtractor(
  name: string,
  size: PictureSize,
  options: FeatureOptions,
): Promise<FeatureExtractor> {
  const { kind, file } = kindOf(name);
  return kind.make(file, size, options);
}
