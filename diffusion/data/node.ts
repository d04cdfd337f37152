/** Data sets in files of many kinds; only for Node. */
export { type ConvertOptions, convertDataset } from "./node/convert.ts";
export { damagedPictures } from "./node/damagedPictures.ts";
export { type EmojiVendor, emojiVendors, findEmojiPackage, loadEmoji } from "./node/emoji.ts";
export { readLabelVectors } from "./node/labelVectors.ts";
export { holdsLatents, type LatentFacts, latentFacts } from "./node/latentFacts.ts";
export { openDataset, openTrainingData } from "./node/openDataset.ts";
export { type Survey, surveyPictures } from "./node/survey.ts";
export { type Transform, transforms } from "./node/transforms.ts";
export { writeDataset } from "./node/writeDataset.ts";
