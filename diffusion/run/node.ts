export { finishRun, type FinishedRun, type FinishOptions } from "./finishRun.ts";
export { defaultScale, type GridGuidance, type GridLayout, GridSampler } from "./sampleGrid.ts";
export { type RunIntervals, type RunObserver, type RunOptions, type RunResult, runTraining } from "./trainingRun.ts";
