/** Code of a whole kernel: loops over parallel axes, the reduction inside them, the epilogue, the store. */
import type { DType } from "../../graph/dtype.ts";
import type { Kernel, ReduceOp, Scalar } from "../../kernel/kernel.ts";
import { scalarsOf } from "../../kernel/scalar.ts";
import {
  type Code,
  type FunctionReference,
  i32x4,
  type Local,
  memory,
  type ModuleBuilder,
  op as instruction,
  shuffle32,
} from "./assembler.ts";
import { type Access, Addresses } from "./emitAddresses.ts";
import { accumulatorBit, countUses, EmitContext, type Point } from "./emitContext.ts";
import { restrict, type Segment, segmentsOf } from "./emitRegions.ts";
import { ScalarEmitter } from "./emitScalar.ts";
import type { JoinedKernel, Store } from "./joinSteps.ts";
import { emitLoop } from "./loops.ts";
import { literal } from "./math/index.ts";
import type { PlainOpcode } from "./opcodes.ts";
import { type EmitOptions, kernelParameters } from "./phase.ts";
import type { Schedule } from "./schedule.ts";

/**
 * Adds the function of a normalised kernel to `module`. Its parameters low..high are the part of the schedule's split axis to
 * compute.
 */
export function emitKernel(
  module: ModuleBuilder,
  name: string,
  described: JoinedKernel,
  schedule: Schedule,
  options: EmitOptions,
): FunctionReference {
  // Nothing of a body that is never folded may be computed, not even its addresses.
  const kernel = isEmptyReduction(described) ? withoutBody(described) : described;
  return module.define(name, kernelParameters, [], (f, table, low, high) => {
    if (kernel.axes.some(({ role, size }) => role === "parallel" && size === 0)) return;
    const bases = [...kernel.operands, kernel.result, ...kernel.also].map((_, index) =>
      f.let("i32", "base", memory("i32.load", 4 * index, table)),
    );
    const context = new EmitContext(f, kernel, schedule);
    const results = [kernel, ...kernel.also].map(({ result }) => result);
    const nest = new Nest(context, new Addresses(context, bases), results, { low, high }, options);
    nest.parallel(0, [kernel.body, ...kernel.also.map(({ body }) => body)], kernel.reduction?.epilogue ?? null);
  });
}

class Nest {
  readonly #context: EmitContext;
  readonly #addresses: Addresses;
  readonly #scalars: ScalarEmitter;
  readonly #results: readonly Store["result"][];
  readonly #share: { readonly low: Local; readonly high: Local };
  readonly #relaxed: boolean;
  readonly #reduceAxes: readonly number[];
  readonly #accumulators: Local[] = [];

  constructor(
    context: EmitContext,
    addresses: Addresses,
    results: readonly Store["result"][],
    share: { low: Local; high: Local },
    options: EmitOptions,
  ) {
    this.#context = context;
    this.#addresses = addresses;
    this.#results = results;
    this.#scalars = new ScalarEmitter(context, addresses);
    this.#share = share;
    this.#relaxed = options.relaxed;
    this.#reduceAxes = context.kernel.axes.flatMap(({ role }, axis) => (role === "reduce" ? [axis] : []));
  }

  /**
   * The loops over the parallel axes from `level` of the schedule's order on.
   * @param bodies one for each result; a single one if it is folded
   */
  parallel(level: number, bodies: readonly Scalar[], epilogue: Scalar | null): void {
    const { schedule } = this.#context;
    const roots = epilogue === null ? bodies : [...bodies, epilogue];
    const axis = schedule.order[level];
    if (axis === undefined) {
      this.#point(bodies, epilogue);
      return;
    }
    const inner = bitsOf([...schedule.order.slice(level), ...this.#reduceAxes]);
    for (const segment of this.#segments(axis, roots)) {
      const cutBodies = bodies.map((body) => this.#cut(body, axis, segment));
      const cutEpilogue = epilogue && this.#cut(epilogue, axis, segment);
      const cutRoots = cutEpilogue === null ? cutBodies : [...cutBodies, cutEpilogue];
      this.#context.scope(() => {
        for (const body of cutBodies) this.#scalars.hoist(body, inner);
        if (cutEpilogue !== null) this.#scalars.hoist(cutEpilogue, inner | accumulatorBit);
        const accesses = [...accessesOf(cutRoots), ...this.#results.map((_, index) => this.#result(index))];
        this.#loop(axis, segment, accesses, () => this.parallel(level + 1, cutBodies, cutEpilogue));
      });
    }
  }

  #result(index: number): Access & Store["result"] {
    const result = this.#results[index];
    if (result === undefined) throw new RangeError(`no result ${index}`);
    return { ...result, operand: this.#context.kernel.operands.length + index };
  }

  /** Segments of an axis between which regions on it change; the whole axis if these are tested instead. */
  #segments(axis: number, roots: readonly Scalar[]): readonly Segment[] {
    const { kernel, schedule } = this.#context;
    const size = kernel.axes[axis]?.size ?? 0;
    return segmentsOf(schedule.branching.has(axis) ? [] : roots, axis, size);
  }

  #cut(scalar: Scalar, axis: number, segment: Segment): Scalar {
    const { flattened, branching } = this.#context.schedule;
    return branching.has(axis) && !flattened.has(axis) ? scalar : restrict(scalar, axis, segment);
  }

  #loop(axis: number, segment: Segment, accesses: readonly Access[], body: () => void): void {
    const { schedule } = this.#context;
    emitLoop(
      this.#context,
      this.#addresses,
      {
        axis,
        segment,
        unroll: schedule.unroll.get(axis) ?? 1,
        step: axis === schedule.vector ? 4 : 1,
        share: axis === schedule.split ? this.#share : null,
        accesses,
      },
      body,
    );
  }

  /** All points of one pass of the parallel loops. */
  #point(bodies: readonly Scalar[], epilogue: Scalar | null): void {
    const { kernel } = this.#context;
    const points = this.#context.points(-1);
    const [body] = bodies;
    if (body === undefined) throw new RangeError("a kernel without a body");
    if (kernel.reduction === null || epilogue === null) {
      const isSweep = bodies.length > 1;
      this.#scalars.uses = countUses(isSweep ? [...bodies, ...bodies] : bodies);
      for (const point of points) {
        // Everything is read before anything is written: a result may take the memory of an operand.
        if (isSweep) bodies.forEach((each) => this.#evaluate(each, point));
        bodies.forEach((each, index) => this.#store(each, point, index));
      }
      return;
    }
    const folded = this.#reduction(kernel.reduction.op, body, points);
    points.forEach((point, index) => {
      const local = folded[index];
      if (local !== undefined) this.#context.accumulators.set(point.join(), local);
    });
    this.#scalars.uses = countUses([epilogue]);
    for (const point of points) this.#store(epilogue, point, 0);
  }

  /** Folds `body` over the reduce axes at each of `points`; gives locals with the results in every lane that counts. */
  #reduction(op: ReduceOp, body: Scalar, points: readonly Point[]): readonly Local[] {
    const { f, schedule } = this.#context;
    const { dtype } = body;
    const { vector } = schedule;
    const vectors = vector !== null && this.#reduceAxes.includes(vector) ? (schedule.unroll.get(vector) ?? 1) : 0;
    const chains = Math.max(1, vectors);
    for (let index = 0; index < points.length * chains; index++) f.set(this.#accumulator(index), identity(op, dtype));
    if (!isEmptyReduction(this.#context.kernel)) this.#reduce(0, op, body, points);
    const fold = foldOpcode(op, dtype);
    return points.map((_, index) => {
      const total = this.#accumulator(index);
      for (let chain = 1; chain < chains; chain++) {
        f.set(total, instruction(fold, total, this.#accumulator(chain * points.length + index)));
      }
      if (vectors > 0) {
        for (const lanes of [
          [2, 3, 0, 1],
          [1, 0, 3, 2],
        ] as const) {
          const swapped = f.let("v128", "swapped", shuffle32(lanes, total, total));
          f.set(total, instruction(fold, total, swapped));
        }
      }
      return total;
    });
  }

  #accumulator(index: number): Local {
    const local = this.#accumulators[index] ?? this.#context.f.local("v128", "accumulator");
    this.#accumulators[index] = local;
    return local;
  }

  #reduce(level: number, op: ReduceOp, body: Scalar, points: readonly Point[]): void {
    const { kernel, schedule } = this.#context;
    const axis = this.#reduceAxes[level];
    if (axis === undefined) {
      this.#accumulate(op, body, points);
      return;
    }
    const inner = bitsOf(this.#reduceAxes.slice(level));
    const walk = (segment: Segment, emit: (body: Scalar) => void): void => {
      const cut = this.#cut(body, axis, segment);
      this.#context.scope(() => {
        this.#scalars.hoist(cut, inner);
        emit(cut);
      });
    };
    const next = (cut: Scalar): void => this.#reduce(level + 1, op, cut, points);
    if (schedule.flattened.has(axis)) {
      for (let index = 0; index < (kernel.axes[axis]?.size ?? 0); index++) {
        walk({ start: index, stop: index + 1 }, (cut) => {
          this.#context.states[axis] = { variable: null, constant: index, unroll: 1, step: 1, lanes: 1 };
          this.#context.scope(() => next(cut));
          this.#context.states[axis] = undefined;
        });
      }
      return;
    }
    for (const segment of this.#segments(axis, [body])) {
      walk(segment, (cut) => this.#loop(axis, segment, accessesOf([cut]), () => next(cut)));
    }
  }

  #accumulate(op: ReduceOp, body: Scalar, points: readonly Point[]): void {
    const { f, schedule } = this.#context;
    const { vector } = schedule;
    const { dtype } = body;
    this.#scalars.uses = countUses([body]);
    const folded = vector !== null && this.#reduceAxes.includes(vector) ? this.#context.state(vector) : null;
    for (let chain = 0; chain < (folded?.unroll ?? 1); chain++) {
      points.forEach((parallelPoint, index) => {
        const point =
          vector === null || folded === null ? parallelPoint : parallelPoint.with(vector, chain * folded.step);
        const accumulator = this.#accumulator(chain * points.length + index);
        const fused =
          this.#relaxed && op === "sum" && dtype === "f32" && body.kind === "binary" && body.op === "multiply";
        if (fused && (folded === null || folded.lanes === 4) && this.#context.find(body, point) === undefined) {
          this.#scalars.value(body.x, point);
          this.#scalars.value(body.y, point);
          f.op("f32x4.relaxed_madd", accumulator);
          f.set(accumulator);
          return;
        }
        f.get(accumulator);
        this.#scalars.value(body, point);
        if (folded !== null && folded.lanes < 4) {
          // Lanes beyond the end hold whatever is there.
          f.emit(identity(op, dtype));
          f.op("v128.bitselect", laneMask(folded.lanes));
        }
        f.op(foldOpcode(op, dtype));
        f.set(accumulator);
      });
    }
  }

  /** Computes a value that is used again into the local that keeps it. */
  #evaluate(value: Scalar, point: Point): void {
    this.#scalars.value(value, point);
    this.#context.f.op("drop");
  }

  #store(value: Scalar, point: Point, index: number): void {
    const { f, schedule, lanes } = this.#context;
    const { vector } = schedule;
    const result = this.#result(index);
    const address = this.#addresses.address(result, point);
    const stride = vector === null ? 0 : (result.at.coefficients[vector] ?? 0);
    const push = (): void => {
      this.#scalars.value(value, point);
      if (result.dtype === "bool") f.op("v128.and", i32x4(1));
    };
    if (lanes === 4 && stride === 1) {
      const offset = this.#addresses.push(address);
      push();
      f.memory("v128.store", offset);
      return;
    }
    push();
    const stored = f.let("v128", "stored");
    for (let lane = 0; lane < lanes; lane++) {
      const offset = this.#addresses.push({ ...address, bytes: address.bytes + 4 * stride * lane });
      f.memoryLane("v128.store32_lane", offset, lane, stored);
    }
  }
}

function isEmptyReduction(kernel: Kernel): boolean {
  return kernel.axes.some(({ role, size }) => role === "reduce" && size === 0);
}

function withoutBody(kernel: JoinedKernel): JoinedKernel {
  return { ...kernel, body: { kind: "literal", dtype: kernel.body.dtype, value: 0 } };
}

const bitsOf = (axes: readonly number[]): number => axes.reduce((bits, axis) => bits | (1 << axis), 0);

function accessesOf(roots: readonly Scalar[]): readonly Access[] {
  return scalarsOf(...roots).filter((scalar) => scalar.kind === "load" || scalar.kind === "gather");
}

/** What a fold starts from. */
function identity(op: ReduceOp, dtype: DType): Code {
  if (op === "sum" || dtype === "u32" || dtype === "bool") return literal(0, dtype === "bool" ? "u32" : dtype);
  return dtype === "f32" ? literal(Number.NEGATIVE_INFINITY, "f32") : literal(-(2 ** 31), "i32");
}

function foldOpcode(op: ReduceOp, dtype: DType): PlainOpcode {
  switch (dtype) {
    case "f32":
      // f32x4.max gives NaN if either side is.
      return op === "sum" ? "f32x4.add" : "f32x4.max";
    case "i32":
      return op === "sum" ? "i32x4.add" : "i32x4.max_s";
    case "u32":
      return op === "sum" ? "i32x4.add" : "i32x4.max_u";
    case "bool":
      return "v128.or";
  }
}

function laneMask(lanes: number): Code {
  return i32x4(-1, lanes > 1 ? -1 : 0, lanes > 2 ? -1 : 0, 0);
}
