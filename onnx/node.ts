/** Models in the ONNX format from files on a disk. Only for Node. */
export { readOnnx } from "./node/readOnnx.ts";
