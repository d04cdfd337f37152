/** Diffusion with files: data sets, snapshots, run folders. Only for Node; what works in a page is in `index.ts`. */
export * from "./ema/node.ts";
export * from "./sample/node.ts";
export * from "./verify/node.ts";
export * from "./data/node.ts";
export * from "./snapshot/node.ts";
export * from "./run/node.ts";
export * from "./metrics/node.ts";
export * from "./features/node.ts";
export * from "./toy/node.ts";
export * from "./dynamics/node.ts";
export { type Checkpoint, type CheckpointInfo, readNewestCheckpoint } from "./checkpoint/checkpoint.ts";
