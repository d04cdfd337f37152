import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import * as z from "zod";
import { EvenkeelError, messageOf } from "../../../engine/index.ts";
import { createDataset, type ImageDataset } from "../dataset.ts";
import type { EmojiFile } from "./emojiFile.ts";
import { emojiList } from "./emojiList.ts";
import { readWhole } from "./imageSource.ts";
import { makeSquares } from "./makeSquares.ts";
import { type Reading, readingOf } from "../files/reading.ts";
import { loadSharp } from "./sharp.ts";

/** The vendors of emoji images that npm has as `emoji-datasource-NAME`. */
export const emojiVendors = ["google", "twitter"] as const;

/** Whose emoji are known. */
export type EmojiVendor = (typeof emojiVendors)[number];

/** A package of emoji: by its name alone, or the folder it lies in. */
export type EmojiPackage = { readonly vendor: EmojiVendor; readonly folder?: string | undefined };

const listSchema = z.array(z.looseObject({ image: z.string(), category: z.string() }));

const side = 64;

/** Parts of other emoji: skin tones and hair. */
const notPictures = "Component";

const white = [255, 255, 255] as const;

/**
 * The emoji images of npm packages as a data set: on white, averaged down to `resolution`, one class for each category. The Google set is
 * under the Apache licence 2.0, the Twitter set under CC BY 4.0.
 * @throws EvenkeelError `file` if a package isn't installed, `value` if 64 is no multiple of the resolution.
 * @example
 * ```ts
 * // Needs the packages `emoji-datasource-twitter` and `sharp`.
 * const { channels, resolution, classNames } = await loadEmoji(["twitter"], 16);
 * console.log(channels, resolution, classNames?.[0]); // 3 16 Activities
 * ```
 */
export async function loadEmoji(
  vendors: readonly EmojiVendor[],
  resolution: number,
  reading: Partial<Reading> = {},
): Promise<ImageDataset> {
  if (!Number.isInteger(resolution) || resolution < 1 || side % resolution !== 0) {
    throw new EvenkeelError("value", `emoji are ${side}x${side}; a resolution of ${resolution} doesn't divide that.`);
  }
  await loadSharp();
  const files: EmojiFile[] = [];
  for (const vendor of vendors) files.push(...(await listEmoji({ vendor })));
  const classNames = emojiClasses(files);
  const { pixels } = await makeSquares(emojiList(files), 3, {
    resolution,
    transform: "box",
    background: white,
    name: "emoji",
    maxImages: Infinity,
    isStrict: true,
    ...readingOf(reading),
  });
  return createDataset({
    name: `emoji of ${vendors.join(" and ")}`,
    channels: 3,
    resolution,
    pixels,
    labels: files.map(({ category }) => classNames.indexOf(category)),
    classNames,
  });
}

/** The categories of emoji, sorted: the classes of a data set of them. */
export function emojiClasses(files: readonly EmojiFile[]): string[] {
  return [...new Set(files.map(({ category }) => category))].sort();
}

/**
 * The package that a source means: its name, installed here, or a path that ends with its name. Null for other sources.
 * @example console.log(await findEmojiPackage("emoji-datasource-google"), await findEmojiPackage("photos")); // { vendor: 'google' } null
 */
export async function findEmojiPackage(source: string): Promise<EmojiPackage | null> {
  const name = /(?:^|[\\/])emoji-datasource-([a-z]+)[\\/]?$/.exec(source)?.[1];
  const vendor = emojiVendors.find((each) => each === name);
  if (vendor === undefined) return null;
  const isHere = await access(join(source, "emoji.json")).then(
    () => true,
    () => false,
  );
  if (isHere) return { vendor, folder: source };
  return /[\\/]/.test(source) ? null : { vendor };
}

/**
 * The emoji of a package in its order, without skin tones' variants and without parts of emoji.
 * @throws EvenkeelError `file` if the package isn't installed or isn't what it was.
 */
export async function listEmoji({ vendor, folder: known }: EmojiPackage): Promise<EmojiFile[]> {
  const name = `emoji-datasource-${vendor}`;
  let folder: string;
  let list: z.infer<typeof listSchema>;
  try {
    folder = known ?? dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    list = listSchema.parse(JSON.parse(new TextDecoder().decode(await readWhole(join(folder, "emoji.json")))));
  } catch (cause) {
    throw new EvenkeelError(
      "file",
      `the package ${name} can't be read; npm install ${name}@16 brings it. ${messageOf(cause)}`,
      { cause },
    );
  }
  return list
    .filter((emoji) => emoji.category !== notPictures && emoji[`has_img_${vendor}`] === true)
    .map(({ image, category }) => ({ path: join(folder, "img", vendor, String(side), image), category }));
}
