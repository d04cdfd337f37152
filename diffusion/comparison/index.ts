/** Deciding between two ways to train by pairs of runs that share their random numbers. Safe in a page. */
export { findBest, type FindBestOptions, type FoundBest } from "./findBest.ts";
export { judge, type Judgement, type JudgeOptions, type Verdict } from "./judge.ts";
export { type Pair, pairedInterval, type PairedInterval, type PairedScale } from "./pairedInterval.ts";
export { type Interval, sequentialInterval } from "./sequentialInterval.ts";
