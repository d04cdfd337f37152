import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { z } from "zod";
import { EvenkeelError } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import { messageOf } from "./imageSource.ts";

/** The vendors of emoji images that npm has as `emoji-datasource-NAME`. */
export const emojiVendors = ["google", "twitter"] as const;

export type EmojiVendor = (typeof emojiVendors)[number];

const listSchema = z.array(z.looseObject({ image: z.string(), category: z.string() }));

/** Parts of other emoji: skin tones and hair. */
const notPictures = "Component";

/**
 * The emoji images of npm packages as a data set: on white, averaged down to `resolution`, one class for each category. The Google set is
 * under the Apache licence 2.0, the Twitter set under CC BY 4.0.
 * @throws EvenkeelError `file` if a package isn't installed, `value` if 64 is no multiple of the resolution.
 */
export async function loadEmoji(vendors: readonly EmojiVendor[], resolution: number): Promise<ImageDataset> {
  const side = 64;
  if (!Number.isInteger(resolution) || resolution < 1 || side % resolution !== 0) {
    throw new EvenkeelError("value", `emoji are ${side}x${side}; a resolution of ${resolution} doesn't divide that.`);
  }
  const images: { readonly path: string; readonly category: string }[] = [];
  for (const vendor of vendors) images.push(...(await listEmoji(vendor)));
  const classNames = [...new Set(images.map(({ category }) => category))].sort();
  const size = 3 * resolution ** 2;
  const pixels = new Uint8Array(images.length * size);
  for (const [i, { path }] of images.entries()) {
    const { data, info } = await sharp(path)
      .ensureAlpha()
      .toColourspace("srgb")
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.width !== side || info.height !== side) {
      throw new EvenkeelError("file", `${path} is ${info.width}x${info.height}, expected ${side}x${side}.`);
    }
    pixels.set(averageOnWhite(data, side, resolution), i * size);
  }
  const labels = images.map(({ category }) => classNames.indexOf(category));
  return createDataset({
    name: `emoji of ${vendors.join(" and ")}`,
    channels: 3,
    resolution,
    pixels,
    labels,
    classNames,
  });
}

async function listEmoji(vendor: EmojiVendor): Promise<{ path: string; category: string }[]> {
  const name = `emoji-datasource-${vendor}`;
  let folder: string;
  let list: z.infer<typeof listSchema>;
  try {
    folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    list = listSchema.parse(JSON.parse(await readFile(join(folder, "emoji.json"), "utf8")));
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      `the package ${name} can't be read; npm install ${name}@16 brings it. ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
  return list
    .filter((emoji) => emoji.category !== notPictures && emoji[`has_img_${vendor}`] === true)
    .map(({ image, category }) => ({ path: join(folder, "img", vendor, "64", image), category }));
}

/** RGBA pixels on white, the mean of each square of pixels: [3, resolution, resolution]. */
function averageOnWhite(rgba: Uint8Array, side: number, resolution: number): Uint8Array {
  const block = side / resolution;
  const result = new Uint8Array(3 * resolution ** 2);
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < resolution; y++) {
      for (let x = 0; x < resolution; x++) {
        let sum = 0;
        for (let inner = 0; inner < block ** 2; inner++) {
          const pixel = (y * block + Math.floor(inner / block)) * side + x * block + (inner % block);
          const opacity = (rgba[pixel * 4 + 3] ?? 0) / 255;
          sum += (rgba[pixel * 4 + channel] ?? 0) * opacity + 255 * (1 - opacity);
        }
        result[(channel * resolution + y) * resolution + x] = Math.round(sum / block ** 2);
      }
    }
  }
  return result;
}
