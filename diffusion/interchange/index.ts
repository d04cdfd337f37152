/** Files of other programs: the reference's pickled networks. Safe in a page; nothing of a file is ever run. */
export { type NetworkPickle, type PickledObject, readNetworkPickle } from "./networkPickle.ts";
export type { PlainData, PlainRecord } from "./plainData.ts";
