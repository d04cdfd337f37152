export { crc32c, encodeEvent, EventFile, frameRecord, maskedCrc, type SummaryValue } from "./eventFile.ts";
export { finishRun, type FinishedRun, type FinishedGrid, type FinishOptions } from "./finishRun.ts";
export { gridRows, maximumRows } from "./gridRows.ts";
export { gridScale, gridCost, type GridGuidance, type GridLayout, GridSampler } from "./sampleGrid.ts";
export { type RunIntervals, type RunObserver, type RunOptions, type RunResult, runTraining } from "./trainingRun.ts";
export { RunLock } from "./runLock.ts";
export { type MeanState, readStats, RunningMean, type StatsEntry, StatsLog } from "./statsLog.ts";
export { type StopReason, StopSignals } from "./stopSignals.ts";
