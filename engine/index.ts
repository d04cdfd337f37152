/**
 * Evenkeel's engine: tensors over a traced graph, derivatives as graphs, compiled programs on several devices.
 * Safe in a page; files on a disk are in `node.ts`, and all that has to do with files is in `io/`.
 */
import "./ops/fluent.ts";
import "./program/evaluate.ts";

export type { Device, DeviceName, KernelTime } from "./devices/device.ts";
export { deviceNames } from "./devices/device.ts";
export { atOnce, eventLoopTurn, inTurns, throwIfAborted } from "./devices/eventLoop.ts";
export {
  createDevice,
  defaultDevice,
  type DeviceChoice,
  type DeviceOptions,
  disposeDevices,
  getDevice,
  chooseAutomatically,
  resolveDeviceName,
} from "./devices/select.ts";
export type { TuningTable } from "./devices/gpujs/webgpuOptions.ts";
export type { AutomaticDevice, Workload } from "./devices/calibration.ts";
export { describeBytes } from "./describeBytes.ts";
export { describeCount } from "./describeCount.ts";
export { type ErrorCode, EvenkeelError, printable, messageOf } from "./errors.ts";
export {
  parseSafetensors,
  SafetensorsFile,
  type SafetensorsOptions,
  serializeSafetensors,
  type StoredTensor,
  toFloat32,
  toFloat64,
  toInt32,
  type WritableTensor,
} from "./io/index.ts";
export { checkpoint } from "./grad/checkpoint.ts";
export { type Cotangent, type Cotangents, type CustomRule, customVjp } from "./grad/customVjp.ts";
export { jvp } from "./grad/jvp.ts";
export { scan, type ScanOptions } from "./grad/scan.ts";
export { grad, valueAndGrad, valueAndGradWithAux, vjp } from "./grad/grad.ts";
export type { DType, TensorData } from "./graph/dtype.ts";
export type { Shape } from "./graph/shape.ts";
export {
  isTensor,
  type NestedArray,
  type NumberArray,
  Tensor,
  tensor,
  type TensorLike,
  type TensorOptions,
} from "./graph/tensor.ts";
export * from "./ops/index.ts";
export {
  type Arguments,
  compile,
  type Compiled,
  type CompiledStep,
  type CompileOptions,
  compileStep,
} from "./program/compile.ts";
export type { DispatchCounts, KindCounts } from "./kernel/dispatchCounts.ts";
export type { KernelKind } from "./kernel/kernelKind.ts";
export {
  describeDispatches,
  describeMemory,
  explain,
  type Explanation,
  type ExplainedBuffer,
  type ExplainedKernel,
  type ExplainOptions,
} from "./program/explain.ts";
export { evaluate } from "./program/evaluate.ts";
export { evaluateNow } from "./program/evaluateNow.ts";
export { gigaflopsPerSecond, intensity, type KernelCosts, kernelCosts } from "./program/kernelCosts.ts";
export { PendingResult, readResults } from "./program/pendingResult.ts";
export { estimateOf } from "./program/estimate.ts";
export { type MappedBuffer, type MemoryMap, memoryMap } from "./program/memoryMap.ts";
export { memoryOf, type MemoryShare, type ProgramMemory } from "./program/memory.ts";
export {
  type Format16,
  pack16,
  type Packed16,
  type PackedTree,
  unpack16,
  type UnpackedTree,
} from "./program/pack16.ts";
export { createState, State } from "./program/state.ts";
export * from "./random/index.ts";
export { fillTree, mapTree, type Tree, treeLeaves, type TreeLeaf } from "./tree.ts";
