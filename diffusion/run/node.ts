/** A training run: the loop, and the files of its folder. Only for Node. */
export { parseToml } from "../parseToml.ts";
export { EventFile, type SummaryValue } from "./eventFile.ts";
export { type FinishedGrid, type FinishedRun, finishRun, type FinishOptions } from "./finishRun.ts";
export { gridRows } from "./gridRows.ts";
export { RunLock } from "./runLock.ts";
export { gridCost, type GridGuidance, type GridLayout, GridSampler, gridScale } from "./sampleGrid.ts";
export { type MeanState, readStats, RunningMean, type StatsEntry, StatsLog } from "./statsLog.ts";
export { type StopReason, StopSignals } from "./stopSignals.ts";
export { type RunIntervals, type RunObserver, type RunOptions, type RunResult, runTraining } from "./trainingRun.ts";
