/** The files of a run's dynamics; only for Node. */
export { dynamicsFileName, readDynamics } from "./node/dynamicsFile.ts";
export { DynamicsRecorder, type RecorderOptions, type RecorderProgress } from "./node/recorder.ts";
