import { EvenkeelError } from "../../errors.ts";
import { allocateData, type DType, dtypeOfData, type TensorData } from "../../graph/dtype.ts";
import type { DeviceBuffer } from "../device.ts";
import type { LinearMemory } from "./memory.ts";

/** A range of a device's memory, four bytes an element; bool is 0 or 1. */
export class WasmBuffer implements DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
  readonly memory: LinearMemory;
  /** Byte address; null once it is freed. */
  address: number | null;

  constructor(memory: LinearMemory, dtype: DType, length: number, address: number) {
    this.memory = memory;
    this.dtype = dtype;
    this.length = length;
    this.address = address;
  }
}

/**
 * The buffer as one of this memory that is not freed, and its address.
 * @throws EvenkeelError `device` for a buffer of another device, `disposed` for one that was freed
 */
export function ownBuffer(
  operation: string,
  memory: LinearMemory,
  buffer: DeviceBuffer,
): { readonly own: WasmBuffer; readonly address: number } {
  if (!(buffer instanceof WasmBuffer) || buffer.memory !== memory) {
    throw new EvenkeelError(
      "device",
      `${operation}: the buffer (${buffer.dtype}, ${buffer.length} elements) belongs to another device. ` +
        "Download it there and upload it here.",
    );
  }
  const { address } = buffer;
  if (address === null) {
    throw new EvenkeelError(
      "disposed",
      `${operation}: the buffer (${buffer.dtype}, ${buffer.length} elements) was freed.`,
    );
  }
  return { own: buffer, address };
}

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

/** @throws EvenkeelError `dtype` or `shape` if `data` doesn't fill a buffer of this kind. */
export function checkData(operation: string, buffer: DeviceBuffer, data: TensorData): void {
  if (dtypeOfData(data) !== buffer.dtype) {
    throw new EvenkeelError(
      "dtype",
      `${operation}: the buffer has dtype ${buffer.dtype}, the data is a ${data.constructor.name} (${dtypeOfData(data)}).`,
    );
  }
  if (data.length !== buffer.length) {
    throw new EvenkeelError(
      "shape",
      `${operation}: the buffer has ${buffer.length} elements, the data ${data.length}. They must be equal.`,
    );
  }
}
