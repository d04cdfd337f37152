export { type ConvertOptions, convertDataset } from "./node/convert.ts";
export { type EmojiVendor, emojiVendors, findEmojiPackage, loadEmoji } from "./node/emoji.ts";
export { fingerprint } from "./node/fingerprint.ts";
export { type IdxArray, parseIdx } from "./node/idxFile.ts";
export { readLabelVectors } from "./node/labelVectors.ts";
export { type Transform, transforms } from "./node/makeSquare.ts";
export { describeNotice, type Effect, type Notice, Notices, onOneLine } from "./node/notices.ts";
export { openDataset } from "./node/openDataset.ts";
export { writeDataset } from "./node/writeDataset.ts";
