/** A training run: the loop, and what it keeps in its folder, wherever that lies. Safe in a page; what else a disk has is in `node.ts`. */
export { copyRun, type TravelOptions, type TravelReport } from "./copyRun.ts";
export { exportRun } from "./exportRun.ts";
export { gridRows } from "./gridRows.ts";
export { gridBatch, gridLayout, gridSeconds, gridSteps } from "./runGrids.ts";
export { type RunListener, RunWatch, type RunWatchOptions, type Standing } from "./runWatch.ts";
export { importRun } from "./importRun.ts";
export { type DrawnGrid, gridCost, type GridGuidance, type GridLayout, GridSampler, gridScale } from "./sampleGrid.ts";
export { type MeanState, readStats, RunningMean, type StatsEntry, StatsLog, statsFileName } from "./statsLog.ts";
export { type RunGate, StepGate } from "./stepGate.ts";
export {
  checkSameRun,
  type RunIntervals,
  type RunObserver,
  type RunOptions,
  type RunResult,
  runTraining,
} from "./trainingRun.ts";
