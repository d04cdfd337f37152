import { EvenkeelError, messageOf } from "../../engine/index.ts";

/** Pixels of the picture for each of the drawing's. */
const density = 2;

/** A drawing as PNG, by the package sharp. @throws EvenkeelError `file` if that can't be loaded. */
export async function svgToPng(svg: string): Promise<Uint8Array> {
  const loading = import("sharp").catch((cause: unknown) => {
    throw new EvenkeelError(
      "file",
      `drawing a PNG needs the package sharp, which can't be loaded: ${messageOf(cause).split("\n")[0] ?? ""} ` +
        "`npm install sharp` brings it. A .svg file needs nothing.",
      { cause },
    );
  });
  const { default: sharp } = await loading;
  // 72 dots an inch are one pixel for each of the drawing's.
  return sharp(Buffer.from(svg), { density: 72 * density, limitInputPixels: false })
    .png()
    .toBuffer();
}
