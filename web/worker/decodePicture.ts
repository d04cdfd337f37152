import type { DecodedPicture } from "../../diffusion/data/index.ts";

/** Decodes a picture by the browser: upright, in sRGB, its opacity not multiplied in. @throws DOMException for what it can't decode. */
export async function decodePicture(bytes: Uint8Array): Promise<DecodedPicture> {
  const blob = new Blob([new Uint8Array(bytes)]);
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  try {
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (context === null) throw new Error("the browser has no canvas in workers");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height, { colorSpace: "srgb" });
    const pixels = new Uint8Array(data.buffer);
    return { width, height, channels: 4, data: pixels, isAnimation: await isAnimated(bytes) };
  } finally {
    bitmap.close();
  }
}

/** Whether a GIF or WebP has further pictures; false where the browser can't tell. */
async function isAnimated(bytes: Uint8Array): Promise<boolean> {
  const type = typeOf(bytes);
  if (type === null || typeof ImageDecoder === "undefined") return false;
  const decoder = new ImageDecoder({ data: new Uint8Array(bytes), type });
  try {
    await decoder.tracks.ready;
    await decoder.completed;
    return (decoder.tracks.selectedTrack?.frameCount ?? 1) > 1;
  } finally {
    decoder.close();
  }
}

function typeOf(bytes: Uint8Array): string | null {
  const word = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (word(0) === "GIF8") return "image/gif";
  return word(0) === "RIFF" && word(8) === "WEBP" ? "image/webp" : null;
}
