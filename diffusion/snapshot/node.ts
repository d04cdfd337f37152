export { readSnapshot } from "./readSnapshot.ts";
export { writeSnapshot } from "./writeSnapshot.ts";
