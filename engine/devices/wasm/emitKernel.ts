/** Code of a whole kernel: loops over parallel axes, the reduction inside them, the epilogue, the store. */
import type { Kernel, ReduceOp, Scalar } from "../../kernel/kernel.ts";
import { scalarsOf } from "../../kernel/scalar.ts";
import {
  type FunctionBuilder,
  type FunctionReference,
  i32x4,
  type Local,
  memory,
  type ModuleBuilder,
} from "./assembler.ts";
import { Accumulators, type LongSum } from "./emitAccumulators.ts";
import { type Access, Addresses } from "./emitAddresses.ts";
import { accumulatorBit, countUses, EmitContext, type Point } from "./emitContext.ts";
import { restrict, type Segment, segmentsOf } from "./emitRegions.ts";
import { ScalarEmitter } from "./emitScalar.ts";
import type { JoinedKernel, Store } from "./joinSteps.ts";
import { type Chunk, emitLoop } from "./loops.ts";
import { type EmitOptions, kernelParameters } from "./phase.ts";
import type { Schedule } from "./schedule.ts";
import { type SumChunk, sumChunkOf, sumLength } from "./sumChunk.ts";

/**
 * Which reduce points a result is the fold of, instead of all: at the start of a function makes what writes `body` for each of them
 * at a place, with the reduce axes standing there, in chunks if it is a sum of float32.
 */
export type ReducePoints = (
  f: FunctionBuilder,
  table: Local,
) => (
  context: EmitContext,
  addresses: Addresses,
  accesses: readonly Access[],
  body: () => void,
  long: LongSum | null,
) => void;

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
  reducePoints: ReducePoints | null = null,
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
    const points = reducePoints === null ? null : reducePoints(f, table);
    const nest = new Nest(context, new Addresses(context, bases), results, { low, high }, options, points);
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
  readonly #chunk: SumChunk | null;
  readonly #reducePoints: ReturnType<ReducePoints> | null;

  constructor(
    context: EmitContext,
    addresses: Addresses,
    results: readonly Store["result"][],
    share: { low: Local; high: Local },
    options: EmitOptions,
    reducePoints: ReturnType<ReducePoints> | null,
  ) {
    this.#context = context;
    this.#reducePoints = reducePoints;
    this.#addresses = addresses;
    this.#results = results;
    this.#scalars = new ScalarEmitter(context, addresses);
    this.#share = share;
    this.#relaxed = options.relaxed;
    this.#chunk = reducePoints === null ? sumChunkOf(context.kernel, context.schedule) : null;
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

  #loop(
    axis: number,
    segment: Segment,
    accesses: readonly Access[],
    body: () => void,
    chunk: Chunk | null = null,
  ): void {
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
        chunk,
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
    const { f, kernel, schedule } = this.#context;
    const { vector } = schedule;
    const isFoldedVector = vector !== null && this.#reduceAxes.includes(vector);
    const isLong = this.#reducePoints !== null && isFloatSum(kernel);
    const accumulators = new Accumulators(f, {
      op,
      dtype: body.dtype,
      points: points.length,
      vectors: isFoldedVector ? (schedule.unroll.get(vector) ?? 1) : 0,
      fillsLanes: vector !== null,
      chunks: isLong ? "ofLong" : this.#chunk === null ? "none" : "all",
    });

    if (this.#reducePoints !== null) {
      const accumulate = (): void => this.#accumulate(accumulators, body, points);
      const long = isLong ? accumulators.longSum(sumLength) : null;
      this.#reducePoints(this.#context, this.#addresses, accessesOf([body]), accumulate, long);
    } else if (!isEmptyReduction(kernel)) this.#reduce(0, accumulators, body, points);
    return accumulators.results();
  }

  #reduce(level: number, accumulators: Accumulators, body: Scalar, points: readonly Point[]): void {
    const { kernel, schedule } = this.#context;
    const axis = this.#reduceAxes[level];
    if (axis === undefined) {
      this.#accumulate(accumulators, body, points);
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
    const next = (cut: Scalar): void => this.#reduce(level + 1, accumulators, cut, points);
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
    const chunk: Chunk | null =
      this.#chunk?.axis === axis
        ? {
            blocks: this.#chunk.blocks,
            begin: () => accumulators.begin(),
            end: () => accumulators.endChunk(),
          }
        : null;
    for (const segment of this.#segments(axis, [body])) {
      walk(segment, (cut) => this.#loop(axis, segment, accessesOf([cut]), () => next(cut), chunk));
    }
  }

  #accumulate(accumulators: Accumulators, body: Scalar, points: readonly Point[]): void {
    const { f, schedule, kernel } = this.#context;
    const { vector } = schedule;
    this.#scalars.uses = countUses([body]);
    const folded = vector !== null && this.#reduceAxes.includes(vector) ? this.#context.state(vector) : null;
    for (let chain = 0; chain < (folded?.unroll ?? 1); chain++) {
      points.forEach((parallelPoint, index) => {
        const point =
          vector === null || folded === null ? parallelPoint : parallelPoint.with(vector, chain * folded.step);
        const accumulator = accumulators.register(chain, index);
        const fused = this.#relaxed && isFloatSum(kernel) && body.kind === "binary" && body.op === "multiply";
        if (fused && (folded === null || folded.lanes === 4) && this.#context.find(body, point) === undefined) {
          this.#scalars.value(body.x, point);
          this.#scalars.value(body.y, point);
          f.op("f32x4.relaxed_madd", accumulator);
          f.set(accumulator);
          return;
        }
        f.get(accumulator);
        this.#scalars.value(body, point);
        accumulators.fold(folded?.lanes ?? 4);
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

function isFloatSum({ reduction, body }: Kernel): boolean {
  return reduction?.op === "sum" && body.dtype === "f32";
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
