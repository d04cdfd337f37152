/** All that a run needs to go on with the same bits, in one file. Safe in a page. */
export {
  type Checkpoint,
  type CheckpointInfo,
  checkSameSettings,
  differingSettings,
  isCheckpointName,
  newestCheckpoint,
  readCheckpointInfo,
  readNewestCheckpoint,
  writeCheckpoint,
} from "./checkpoint.ts";
export { type RawNetwork, readRawNetwork } from "./rawNetwork.ts";
