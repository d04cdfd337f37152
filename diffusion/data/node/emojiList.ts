import type { EmojiFile } from "./emojiFile.ts";
import type { PictureList } from "./makeSquares.ts";
import { sharp } from "./sharp.ts";

/** The pictures of emoji. */
export function emojiList(files: readonly EmojiFile[]): PictureList {
  const nameOf = (index: number): string => files[index]?.path ?? "";
  return { count: files.length, nameOf, read: async (index) => ({ image: sharp(nameOf(index)) }) };
}
