import type { NsfwjsName } from "../../../diffusion/features/node.ts";
import { colourPictures, greyPicture, type Pictures } from "./pictures.ts";

/** What TensorFlow.js computed of one picture: the length of its vector, its norm, and every `stride`-th value. */
export type ExpectedVector = {
  readonly dimension: number;
  readonly norm: number;
  readonly stride: number;
  readonly values: readonly number[];
};

/** For each case, a vector for each picture. */
export type FeatureFixture = Readonly<Record<string, readonly ExpectedVector[]>>;

/** A network with pictures. */
export type FeatureCase = { readonly network: NsfwjsName; readonly pictures: () => Pictures };

/** What is compared with TensorFlow.js. */
export const featureCases: Readonly<Record<string, FeatureCase>> = {
  "MobileNetV2 1.4, colour": { network: "nsfwjs-mobilenet", pictures: colourPictures },
  "MobileNetV2 1.0, colour": { network: "nsfwjs-mobilenet-small", pictures: colourPictures },
  "MobileNetV2 1.0, grey and larger than its input": { network: "nsfwjs-mobilenet-small", pictures: greyPicture },
  "InceptionV3, colour": { network: "nsfwjs-inception", pictures: colourPictures },
};

/** Where the vectors are. */
export const fixturePath = new URL("tensorflowFeatures.json", import.meta.url);
