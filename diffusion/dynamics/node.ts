/** The files of a run's dynamics. */
export { DynamicsLog, dynamicsFileName, readDynamics } from "./node/dynamicsFile.ts";
export { DynamicsRecorder, type RecorderOptions, type RecorderProgress } from "./node/recorder.ts";
