export type { Fail, PickleContext } from "./context.ts";
export { maximumValues, type PickleFunction, type PickleWorld, readPickle } from "./machine.ts";
export { exactInteger, PickleReader } from "./reader.ts";
export {
  keyProblem,
  PickleDict,
  PickleForeign,
  PickleGlobal,
  PickleInstance,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from "./values.ts";
