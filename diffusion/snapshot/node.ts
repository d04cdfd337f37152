export { foreignFilesOf } from "./foreignFile.ts";
export { findSnapshot, type FoundSnapshot, readSnapshot } from "./readSnapshot.ts";
export { writeSnapshot } from "./writeSnapshot.ts";
