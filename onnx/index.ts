/**
 * Models in the ONNX format: those of PyTorch, TensorFlow and others as functions that can be compiled, run, and trained further, and
 * functions of ours as models for other programs. Safe in a page; files of a disk are in `node.ts`.
 */
export type { InputDescription, ModelInput } from "./build/inputs.ts";
export type { ElementType } from "./format/elementTypes.ts";
export { exportOnnx, type ExportOptions } from "./export/exportOnnx.ts";
export { externalLocations } from "./format/readModel.ts";
export {
  type ImportedModel,
  importOnnx,
  type ImportOptions,
  type ModelOutputs,
  type NamedTensors,
  type OutputDescription,
} from "./importOnnx.ts";
