/** Tensors in a device's memory: four bytes an element; bool is 0 or 1. */
import { allocateData, type DType, type TensorData } from "../../../graph/dtype.ts";
import type { LinearMemory } from "./memory.ts";

/** Copies host data to an address. */
export function writeData(memory: LinearMemory, address: number, data: TensorData): void {
  if (data instanceof Float32Array) memory.float32(address, data.length).set(data);
  else memory.int32(address, data.length).set(data);
}

/** Copies `length` elements from an address. */
export function readData(memory: LinearMemory, address: number, dtype: DType, length: number): TensorData {
  const data = allocateData(dtype, length);
  if (data instanceof Float32Array) data.set(memory.float32(address, length));
  else data.set(memory.int32(address, length));
  return data;
}
