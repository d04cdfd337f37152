/** What happens inside a network while it trains, and what it means. Safe in a page; files by path are in `node.ts`. */
export { type AttentionMap, attentionMaps, AttentionProbe } from "./attentionMaps.ts";
export { examineDynamics, examineRun, type RunRecord } from "./doctor/examine.ts";
export type { Finding, Severity } from "./doctor/finding.ts";
export type { LossPoint } from "./doctor/losses.ts";
export { dynamicsFileName, DynamicsLog, readDynamicsFile } from "./dynamicsFile.ts";
export { type Dynamics, type DynamicsHeader, type DynamicsSample, parseDynamics } from "./format.ts";
export { curvesByPlace, layerCurve, type PlaceCurve, placeOfLayer } from "./places.ts";
export { DynamicsProbe } from "./probe.ts";
export { DynamicsRecorder, type RecorderOptions, type RecorderProgress } from "./recorder.ts";
export { type ReadingKind, readingKinds, type ReadingNames } from "./readings.ts";
export type { BinMeans } from "./sigmaBins.ts";
