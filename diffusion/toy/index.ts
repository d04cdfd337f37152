/** Data whose density and score are known exactly. */
export { createMixture, mixtureDensities, mixtureDensity, type Mixture, type MixtureDensity } from "./mixture.ts";
