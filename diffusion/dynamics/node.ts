/** The files of a run's dynamics by their paths; only for Node. */
export { readDynamics } from "./readDynamics.ts";
