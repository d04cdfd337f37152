export { type Fail, type PickleWorld, readPickle } from "./machine.ts";
export { PickleReader } from "./reader.ts";
export {
  PickleDict,
  PickleForeign,
  PickleGlobal,
  PickleInstance,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from "./values.ts";
