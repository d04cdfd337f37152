import { EvenkeelError } from "../../engine/index.ts";

/**
 * Heads of attention over so many channels: as many of at least `channelsPerHead` as fit, all of equal size. None where the channels are
 * fewer than one head has: there the published networks have no attention, and no weights of it.
 * @throws EvenkeelError `shape` for channels that don't divide into the heads.
 */
export function attentionHeads(channels: number, channelsPerHead: number): number {
  const heads = Math.floor(channels / channelsPerHead);
  if (heads > 0 && channels % heads !== 0) {
    throw new EvenkeelError(
      "shape",
      `attention: ${channels} channels don't divide into ${heads} heads. Choose another channelsPerHead.`,
    );
  }
  return heads;
}
