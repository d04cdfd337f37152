/** Models of the toy data in files; only for Node. */
export { readToySnapshot, type ToySnapshot, writeToySnapshot } from "./node/toySnapshot.ts";
