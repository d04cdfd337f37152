/**
 * A device for testing the laws of devices: runs kernels by their definition, rounding every operation to float32. It can
 * be told to be wrong.
 */
import {
  binaryScalar,
  castScalar,
  compareScalar,
  shiftScalar,
  threefryScalar,
  unaryScalar,
} from "../../engine/devices/oracle/scalars.ts";
import type { DeviceBuffer, DeviceLimits, Executable, KernelDevice } from "../../engine/devices/device.ts";
import { allocateData, type DType, type TensorData } from "../../engine/graph/dtype.ts";
import { TaskQueue } from "../../engine/devices/taskQueue.ts";
import { at } from "../../engine/graph/shape.ts";
import type { Kernel } from "../../engine/kernel/kernel.ts";
import type { Plan, PlanStep, Stage } from "../../engine/kernel/plan.ts";
import { printKernel } from "../../engine/kernel/print.ts";
import { type Arithmetic, forEachPoint, placeOf, type RangeOf } from "../bounds/kernelPoints.ts";

/** Mistakes a reference device is to make. */
export type Mistakes = {
  readonly arithmetic?: Partial<Arithmetic<number>>;
  readonly kernel?: (kernel: Kernel) => Kernel;
  readonly step?: (step: PlanStep) => PlanStep;
  readonly plan?: (plan: Plan) => Plan;
  readonly result?: (values: TensorData) => void;
  readonly forgetsToFree?: boolean;
};

const toDtype = (value: number, dtype: DType): number => (dtype === "f32" ? Math.fround(value) : value);

/** Float32 as IEEE 754 has it, summing from the last term to the first. */
export const float32: Arithmetic<number> = {
  literal: (value, dtype) => toDtype(castScalar(value, "i32", dtype), dtype),
  index: (value, dtype) => toDtype(castScalar(value, "i32", dtype), dtype),
  unary: (op, dtype, x) => toDtype(unaryScalar(op, x, dtype), dtype),
  binary: (op, dtype, x, y) => toDtype(binaryScalar(op, x, y, dtype), dtype),
  compare: (op, _, x, y) => compareScalar(op, x, y),
  select: (condition, x, y) => (condition === 0 ? y : x),
  cast: (from, to, x) => toDtype(castScalar(x, from, to), to),
  shift: (direction, amount, dtype, x) => shiftScalar(direction, amount, x, dtype),
  threefry: (word, [key0, key1, counter0, counter1]) => threefryScalar(word, key0, key1, counter0, counter1),
  fold: (op, dtype, terms) => {
    const lowest = dtype === "f32" ? -Infinity : dtype === "i32" ? -(2 ** 31) : 0;
    return op === "sum"
      ? terms.reduceRight((total, term) => toDtype(binaryScalar("add", total, term, dtype), dtype), 0)
      : terms.reduceRight((most, term) => Math.max(most, term), lowest);
  },
  whole: (x) => x,
  readAt: (_, element) => element,
};

class ReferenceBuffer implements DeviceBuffer {
  readonly dtype: DType;
  readonly length: number;
  readonly values: TensorData;

  constructor(dtype: DType, length: number) {
    this.dtype = dtype;
    this.length = length;
    this.values = allocateData(dtype, length);
  }
}

const own = (buffer: DeviceBuffer): ReferenceBuffer => {
  if (!(buffer instanceof ReferenceBuffer)) throw new Error("a buffer of another device");
  return buffer;
};

/**
 * A device that interprets kernels one scalar after the other in float32: right, and slow. Told to make a mistake, it shows whether a law or
 * a search finds it. It is called `wasm`, whose accuracy it has.
 */
export class ReferenceDevice implements KernelDevice {
  /** Kernels. */
  readonly runs = "kernels";
  readonly name = "wasm";
  readonly description = "float32 interpreter of kernels";
  readonly traits = { adapter: null, threads: 1, fusedMultiplyAdd: false };
  readonly limits: DeviceLimits;
  readonly queue = new TaskQueue();
  readonly usable = true;
  readonly #mistakes: Mistakes;
  readonly #buffers = new Set<DeviceBuffer>();

  constructor(temporaries: DeviceLimits["temporaries"], mistakes: Mistakes = {}) {
    const inPlace = temporaries === "arena";
    this.limits = {
      operands: Infinity,
      results: inPlace ? Infinity : 4,
      arrays: inPlace ? Infinity : 10,
      joins: inPlace ? "rows" : "points",
      elements: Infinity,
      temporaries,
      overlap: !inPlace,
      batches: false,
      chains: !inPlace,
      inPlace,
      concurrency: 1,
      writtenInFours: null,
      factors: "stored",
      arithmetic: inPlace ? "scarce" : "plenty",
      layouts: "inOrder",
      scalars: Infinity,
      memory: Infinity,
    };
    this.#mistakes = mistakes;
  }

  allocate(dtype: DType, length: number): DeviceBuffer {
    const buffer = new ReferenceBuffer(dtype, length);
    this.#buffers.add(buffer);
    return buffer;
  }

  upload(buffer: DeviceBuffer, data: TensorData): void {
    own(buffer).values.set(data);
  }

  async download(buffers: readonly DeviceBuffer[]): Promise<TensorData[]> {
    return buffers.map((buffer) => own(buffer).values.slice());
  }

  move(from: readonly DeviceBuffer[], to: readonly DeviceBuffer[]): void {
    from.forEach((buffer, i) => {
      own(at(to, i)).values.set(own(buffer).values);
      // Nobody may rely on what is left.
      own(buffer).values.fill(99);
    });
  }

  free(buffer: DeviceBuffer): void {
    if (this.#mistakes.forgetsToFree !== true) this.#buffers.delete(buffer);
  }

  async compile(given: Plan): Promise<Executable> {
    const plan = this.#mistakes.plan?.(given) ?? given;
    const slots = plan.slots.map((bytes) => new ArrayBuffer(Math.ceil(bytes / 4) * 4));
    return {
      bytes: 0,
      run: async (inputs, outputs) => {
        const buffers = plan.buffers.map(({ dtype, length, role }): TensorData => {
          switch (role.kind) {
            case "input":
              return own(at(inputs, role.index)).values;
            case "output":
              return own(at(outputs, role.index)).values;
            case "constant":
              return role.data;
            case "temporary":
              return length === 0 ? allocateData(dtype, 0) : view(at(slots, role.slot), role.offset, dtype, length);
          }
        });
        for (const step of plan.steps) this.#runStep(this.#mistakes.step?.(step) ?? step, buffers);
        return [];
      },
      sources: () =>
        plan.steps.map(({ kernel }) => ({ kernel: kernel.name, language: "loops", text: printKernel(kernel) })),
      dispose: () => undefined,
    };
  }

  #runStep(step: PlanStep, buffers: readonly TensorData[]): void {
    if (step.stages === undefined) this.#runKernel(step.kernel, step, buffers);
    else this.#runRows(step.stages, buffers);
    for (const result of step.results) this.#mistakes.result?.(at(buffers, result));
  }

  /** All stages of a row before those of another: the last row first, every other one. */
  #runRows(stages: readonly Stage[], buffers: readonly TensorData[]): void {
    const { kernel, rows } = at(stages, 0);
    const sizes = rows.map((axis) => at(kernel.axes, axis).size);
    const count = sizes.reduce((product, size) => product * size, 1);
    const order = Array.from({ length: count }, (_, i) => count - 1 - i);
    for (const row of [...order.filter((i) => i % 2 === 0), ...order.filter((i) => i % 2 === 1)]) {
      let rest = row;
      const position = sizes.toReversed().map((size) => {
        const digit = rest % size;
        rest = (rest - digit) / size;
        return digit;
      });
      position.reverse();
      for (const stage of stages) {
        this.#runKernel(stage.kernel, stage.step, buffers, (axis, size) => {
          const place = position[stage.rows.indexOf(axis)];
          return place === undefined ? [0, size] : [place, place + 1];
        });
      }
    }
  }

  #runKernel(kernel: Kernel, { operands, results }: PlanStep, buffers: readonly TensorData[], rangeOf?: RangeOf): void {
    const sources = operands.map((operand) => at(buffers, operand));
    const targets = results.map((result) => at(buffers, result));
    const run = this.#mistakes.kernel?.(kernel) ?? kernel;
    forEachPoint(
      run,
      { ...float32, ...this.#mistakes.arithmetic },
      // A wrong address may be out of bounds, where a device finds anything.
      (operand, place) => at(sources, operand)[place] ?? 12345,
      (position, valueOf) => {
        const values = run.stores.map(({ value }) => valueOf(value));
        run.stores.forEach((store, index) => {
          at(targets, index)[placeOf(store.at, position)] = at(values, index);
        });
      },
      rangeOf,
    );
  }

  memory(): { readonly bytes: number; readonly buffers: number } {
    return { bytes: 4 * [...this.#buffers].reduce((sum, { length }) => sum + length, 0), buffers: this.#buffers.size };
  }

  dispose(): void {
    this.#buffers.clear();
  }
}

/** Typed memory within a slot. A bool takes a byte, so buffers that share a slot disagree about its bytes unless planned well. */
function view(slot: ArrayBuffer, offset: number, dtype: DType, length: number): TensorData {
  switch (dtype) {
    case "f32":
      return new Float32Array(slot, offset, length);
    case "i32":
      return new Int32Array(slot, offset, length);
    case "u32":
      return new Uint32Array(slot, offset, length);
    case "bool":
      return new Uint8Array(slot, offset, length);
  }
}
