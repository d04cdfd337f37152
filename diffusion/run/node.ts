/** What a run has on a disk beside its own files, and in a process. Only for Node. */
export { parseToml } from "../parseToml.ts";
export { EventFile, type SummaryValue } from "./eventFile.ts";
export { type FinishedGrid, type FinishedRun, finishRun, type FinishOptions } from "./finishRun.ts";
export { type LockOwner, RunLock } from "./runLock.ts";
export { findStartWeights, type StartWeights } from "./startWeights.ts";
export { type StopReason, StopSignals } from "./stopSignals.ts";
