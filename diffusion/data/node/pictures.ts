import type { Sharp } from "sharp";
import type { LabelOrigin } from "../files/labels.ts";
import { isAnimatedPng, namesAreOfFiles, openPictures, type Pictures, type StoredPicture } from "../files/pictures.ts";
import type { Reading } from "../files/reading.ts";
import { emojiClasses, type EmojiPackage, findEmojiPackage, listEmoji } from "./emoji.ts";
import { emojiList } from "./emojiList.ts";
import { withFiles } from "./imageSource.ts";
import type { Picture, PictureList } from "./makeSquares.ts";
import { sharp } from "./sharp.ts";

/** Pictures with their labels, for the library that decodes and resizes them. */
export type LabelledPictures = PictureList & Pick<Pictures, "isGrey" | "labels" | "classNames">;

/**
 * Does something with the pictures of a package of emoji, an IDX file, a NumPy array, or a folder or zip of images or of such files.
 * @throws EvenkeelError `file` if there are none; `value` if names are to be labels where pictures have none; what the task throws.
 */
export async function withPictures<T>(
  path: string,
  reading: Reading,
  labelsFrom: LabelOrigin,
  task: (pictures: LabelledPictures) => Promise<T>,
): Promise<T> {
  const emoji = await findEmojiPackage(path);
  if (emoji !== null) {
    if (labelsFrom === "names") throw namesAreOfFiles(path, "emoji have their classes");
    return task(await emojiPictures(emoji));
  }
  return withFiles(path, reading, async (source) => {
    const pictures = await openPictures(source, reading, labelsFrom);
    return task({ ...pictures, read: async (index) => pictureOf(await pictures.read(index)) });
  });
}

async function emojiPictures(emoji: EmojiPackage): Promise<LabelledPictures> {
  const files = await listEmoji(emoji);
  const classNames = emojiClasses(files);
  return {
    ...emojiList(files),
    isGrey: false,
    labels: files.map(({ category }) => classNames.indexOf(category)),
    classNames,
  };
}

function pictureOf(stored: StoredPicture): Picture {
  switch (stored.kind) {
    case "pixels": {
      const { data, ...raw } = stored.pixels;
      return { image: sharp(data, { raw }) };
    }
    case "file": {
      const { bytes } = stored;
      // A damaged picture is an error, not a picture with a grey half; but decoders warn of lesser things, too.
      const lenient = (): Sharp => sharp(bytes, { failOn: "error" });
      return { image: sharp(bytes, { failOn: "warning" }), lenient, isAnimation: isAnimatedPng(bytes) };
    }
  }
}
