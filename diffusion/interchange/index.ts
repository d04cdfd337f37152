/** Files of other programs: what they are, and the reference's pickled networks. Safe in a page; nothing of a file is ever run. */
export { foreignKind, foreignWeights, foreignHeadBytes } from "./fileKind.ts";
export { type NetworkPickle, type PickledObject, readEdm2Pickle } from "./networkPickle.ts";
export type { PlainData, PlainRecord } from "./plainData.ts";
