import type { Sharp } from "sharp";
import { makeSquare, type SquareOptions } from "./makeSquare.ts";

/** A picture with what messages call it. */
export type NamedPicture = { readonly image: Sharp; readonly name: string };

/** So many pictures are read at once, by the threads that decode them. */
const groupSize = 8;

/**
 * The first `count` pictures as [count, channels, resolution, resolution].
 * @throws EvenkeelError as `makeSquare` does.
 */
export async function makeSquares(
  read: (index: number) => Promise<NamedPicture>,
  count: number,
  channels: 1 | 3,
  options: SquareOptions,
  onImage: (done: number, total: number) => void = () => undefined,
): Promise<Uint8Array> {
  const size = channels * options.resolution ** 2;
  const pixels = new Uint8Array(count * size);
  let done = 0;
  for (let start = 0; start < count; start += groupSize) {
    const group = Array.from({ length: Math.min(groupSize, count - start) }, async (_, k) => {
      const { image, name } = await read(start + k);
      pixels.set(await makeSquare(image, name, options, channels), (start + k) * size);
      onImage(++done, count);
    });
    await Promise.all(group);
  }
  return pixels;
}
