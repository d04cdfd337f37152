export { type ConvertOptions, convertDataset, type Transform, transforms } from "./node/convert.ts";
export { type EmojiVendor, emojiVendors, loadEmoji } from "./node/emoji.ts";
export { fingerprint } from "./node/fingerprint.ts";
export { openDataset } from "./node/openDataset.ts";
export { writeDataset } from "./node/writeDataset.ts";
export { type IdxArray, parseIdx } from "./node/idxFile.ts";
