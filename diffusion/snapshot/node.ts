export { findSnapshot, type FoundSnapshot, readSnapshot } from "./readSnapshot.ts";
export { writeSnapshot } from "./writeSnapshot.ts";
