/** Diffusion models in files: the names to begin with, as in `index.ts`. Only for Node; each room's `node.ts` has all that it offers. */
export { openDataset } from "./data/node.ts";
export { readDynamics } from "./dynamics/node.ts";
export { reconstructFiles } from "./ema/node.ts";
export { writeImageGrid } from "./sample/node.ts";
export { readSnapshot, writeSnapshot } from "./snapshot/node.ts";
