/** Files of other programs: the reference's pickled networks. Safe in a page; nothing of a file is ever run. */
export { type NetworkPickle, type PickledObject, type PlainData, readNetworkPickle } from "./networkPickle.ts";
