/** All that a run needs to go on with the same bits, in one file; only for Node. */
export {
  type Checkpoint,
  type CheckpointInfo,
  checkSameSettings,
  readNewestCheckpoint,
  writeCheckpoint,
} from "./checkpoint.ts";
