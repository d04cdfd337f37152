import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { DecodedPicture } from "../../../diffusion/data/index.ts";
import type { GivenFile } from "../../../engine/io/index.ts";

/** All files of a folder, as a page is given them that it is dropped on. */
export async function picked(folder: string): Promise<GivenFile[]> {
  const names = await readdir(folder, { recursive: true });
  const files: GivenFile[] = [];
  // What lies behind links, too, which isn't listed.
  const add = async (path: string): Promise<void> => {
    const kind = await stat(join(folder, path));
    if (kind.isFile()) files.push({ path, blob: new Blob([new Uint8Array(await readFile(join(folder, path)))]) });
  };
  for (const name of names) await add(name);
  return files;
}

/** Decodes pictures as a page does: upright, in sRGB, with their opacity. */
export async function decode(bytes: Uint8Array): Promise<DecodedPicture> {
  const image = sharp(bytes, { failOn: "warning" }).rotate().toColourspace("srgb").ensureAlpha();
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height, channels: 4 };
}
