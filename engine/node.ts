/** The engine's files on a disk. Only for Node; all that has to do with files is in `io/`. */
export {
  type LazyTensor,
  openSafetensors,
  readSafetensors,
  type SafetensorsReader,
  writeSafetensors,
} from "./io/node.ts";
