/**
 * A plan as one module and a list of records that its threads walk: which steps go in bands of rows, where threads meet, how a run is
 * cut into slices, which threads compute it. Imports all other rooms.
 */
export { addKernel, buildingModule, type DistinctKernels, findingDistinct } from "./module.ts";
export { recordLayout } from "./moduleRun.ts";
export { layOut, type Part, type Records } from "./records.ts";
export { shortCost, ThreadChoice } from "./threadChoice.ts";
export { type Position, type Slice, Slicer } from "./slices.ts";
