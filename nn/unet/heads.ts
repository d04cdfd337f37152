import { EvenkeelError } from "../../engine/index.ts";

/**
 * Channels of one head: `channelsPerHead`, or more if the channels are no multiple of it, for there are as many heads as fit, of equal
 * size. That is the published codes' way, but for a level that is narrower than a head, where they silently have no attention.
 * @throws EvenkeelError `shape` for such a level, and for channels that don't divide into the heads.
 */
export function headChannels(channels: number, channelsPerHead: number): number {
  const heads = Math.floor(channels / channelsPerHead);
  if (heads < 1 || channels % heads !== 0) {
    const problem = heads < 1 ? `are fewer than a head has, ${channelsPerHead}` : `don't divide into ${heads} heads`;
    throw new EvenkeelError("shape", `attention: ${channels} channels ${problem}. Choose another channelsPerHead.`);
  }
  return channels / heads;
}
