export {
  randomBernoulli,
  randomBits,
  randomCategorical,
  randomNormal,
  randomPermutation,
  randomUniform,
} from "./distributions.ts";
export { randomGamma } from "./gamma.ts";
export { foldIn, keyAt, randomKey, splitKey } from "./key.ts";
export { threefry } from "./threefry.ts";
export { randomTruncatedNormal } from "./truncatedNormal.ts";
