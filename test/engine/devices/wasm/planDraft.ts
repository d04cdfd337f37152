/** Small plans by hand: each step adds up what it reads. */
import type { DType } from "../../../../engine/graph/dtype.ts";
import { at as item, rowMajorStrides } from "../../../../engine/graph/shape.ts";
import type { Kernel, Scalar } from "../../../../engine/kernel/kernel.ts";
import type { Plan, PlanBuffer, PlanStep } from "../../../../engine/kernel/plan.ts";

/** A buffer and where a point reads it: an offset and what each axis adds; row-major over the axes if not said. */
export type Read = {
  readonly of: number;
  readonly offset?: number;
  readonly at?: readonly number[];
  /** By an index that is read at the same place. */
  readonly gathers?: true;
};

export type StepOptions = {
  /** Sizes of axes over which maxima are taken. */
  readonly reduce?: readonly number[];
  /** What an epilogue adds to a maximum. */
  readonly after?: readonly Read[];
  /** Expressions made longer, each by one. */
  readonly longer?: number;
  /** Puts the sum into another expression. */
  readonly wrap?: (body: Scalar) => Scalar;
  /** Puts what comes after a maximum into another expression. */
  readonly wrapAfter?: (epilogue: Scalar) => Scalar;
};

export class PlanDraft {
  readonly #buffers: PlanBuffer[] = [];
  readonly #steps: PlanStep[] = [];
  readonly #aliases: (number | null)[] = [];
  #arena = 0;

  input(length: number, dtype: DType = "f32"): number {
    const index = this.#buffers.filter(({ role }) => role.kind === "input").length;
    return this.#add(length, { kind: "input", index }, dtype);
  }

  constant(length: number): number {
    return this.#add(length, { kind: "constant", data: Float32Array.from({ length }, (_, index) => index) });
  }

  /** @param over the input whose memory it takes */
  output(length: number, over: number | null = null): number {
    this.#aliases.push(over);
    return this.#add(length, { kind: "output", index: this.#aliases.length - 1 });
  }

  /** @param offset bytes from the begin of the arena; behind all others if not said */
  temporary(length: number, offset = this.#arena): number {
    this.#arena = Math.max(this.#arena, offset + 64 * Math.ceil(length / 16));
    return this.#add(length, { kind: "temporary", slot: 0, offset });
  }

  /** A step over parallel axes of the given sizes; gives the buffer that it writes. */
  step(sizes: readonly number[], reads: readonly (Read | number)[], result: number, options: StepOptions = {}): number {
    const {
      reduce = [],
      after = [],
      longer = 0,
      wrap = (body: Scalar) => body,
      wrapAfter = (epilogue: Scalar) => epilogue,
    } = options;
    const all = [...sizes, ...reduce];
    const operands: number[] = [];
    const load = (read: Read | number, over: readonly number[]): Scalar => {
      const { of, offset = 0, at = rowMajorStrides(over), gathers } = typeof read === "number" ? { of: read } : read;
      if (!operands.includes(of)) operands.push(of);
      const operand = operands.indexOf(of);
      const { dtype, length } = item(this.#buffers, of);
      const affine = { offset, coefficients: all.map((_, axis) => at[axis] ?? 0) };
      const value: Scalar = { kind: "load", dtype, operand, at: affine };
      if (gathers === undefined) return dtype === "f32" ? value : { kind: "cast", dtype: "f32", x: value };
      const index: Scalar = { kind: "cast", dtype: "i32", x: value };
      return {
        kind: "gather",
        dtype,
        operand,
        at: { offset: 0, coefficients: all.map(() => 0) },
        index,
        stride: 1,
        size: length,
      };
    };
    const add = (x: Scalar, y: Scalar): Scalar => ({ kind: "binary", dtype: "f32", op: "add", x, y });
    const sum = (scalars: readonly Scalar[]): Scalar =>
      scalars.length === 0 ? { kind: "literal", dtype: "f32", value: 1 } : scalars.reduce(add);
    let whole = sum(reads.map((read) => load(read, all)));
    for (let link = 0; link < longer; link++) whole = { kind: "unary", dtype: "f32", op: "negate", x: whole };
    const body = wrap(whole);
    const accumulator: Scalar = { kind: "accumulator", dtype: "f32" };
    const epilogue = wrapAfter(sum([accumulator, ...after.map((read) => load(read, sizes))]));
    const strides = rowMajorStrides(sizes);
    const { dtype, length } = item(this.#buffers, result);
    const kernel: Kernel = {
      name: `step_${this.#steps.length}`,
      axes: all.map((size, axis) => ({ role: axis < sizes.length ? "parallel" : "reduce", size })),
      operands: operands.map((buffer) => ({
        dtype: item(this.#buffers, buffer).dtype,
        length: item(this.#buffers, buffer).length,
      })),
      reduction: reduce.length === 0 ? null : { op: "max", body },
      stores: [
        {
          value: reduce.length === 0 ? body : epilogue,
          dtype,
          length,
          at: { offset: 0, coefficients: all.map((_, axis) => strides[axis] ?? 0) },
        },
      ],
      flops: 1,
      bytes: 4 * (length + operands.reduce((total, buffer) => total + item(this.#buffers, buffer).length, 0)),
    };
    this.#steps.push({ kernel, operands, results: [result] });
    return result;
  }

  plan(): Plan {
    return {
      buffers: this.#buffers,
      steps: this.#steps,
      slots: [this.#arena],
      inputs: this.#buffers.filter(({ role }) => role.kind === "input").length,
      outputs: this.#aliases.length,
      aliases: this.#aliases,
    };
  }

  #add(length: number, role: PlanBuffer["role"], dtype: DType = "f32"): number {
    return this.#buffers.push({ dtype, length, role }) - 1;
  }
}
