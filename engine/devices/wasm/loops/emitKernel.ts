/** Code of a whole kernel: loops over parallel axes, the reduction inside them, the stores. */
import { at } from "../../../graph/shape.ts";
import { sameAffine } from "../../../kernel/affine.ts";
import type { Kernel, Reduction, Scalar, Store } from "../../../kernel/kernel.ts";
import { scalarsOf } from "../../../kernel/scalar.ts";
import {
  type Code,
  type FunctionBuilder,
  type FunctionReference,
  i32x4,
  lane,
  type Local,
  type ModuleBuilder,
  op,
} from "../assembler/index.ts";
import { Accumulators, type LongSum } from "./emitAccumulators.ts";
import { type Access, Addresses } from "./emitAddresses.ts";
import { accumulatorBit, countUses, EmitContext, type Point } from "./emitContext.ts";
import { restrict, type Segment, segmentsOf } from "./emitRegions.ts";
import { ScalarEmitter } from "./emitScalar.ts";
import { type Chunk, emitLoop } from "./loops.ts";
import { addressOf, type EmitOptions, kernelParameters } from "./phase.ts";
import type { Schedule } from "./schedule.ts";
import { type SumChunk, sumChunkOf, sumLength } from "./sumChunk.ts";

/**
 * Which reduce points a result is the fold of, instead of all: at the start of a function makes what writes the code for each of them
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
 * Adds the function of a normalised kernel to `module`. Its parameters low..high are the part of the axis that threads share to
 * compute.
 */
export function emitKernel(
  module: ModuleBuilder,
  name: string,
  described: Kernel,
  schedule: Schedule,
  options: EmitOptions,
  reducePoints: ReducePoints | null = null,
): FunctionReference {
  // Nothing that is never folded may be computed, not even its addresses.
  const kernel = isEmptyReduction(described) ? withoutBody(described) : described;
  return module.define(name, kernelParameters, [], (f, table, low, high) => {
    if (kernel.axes.some(({ role, size }) => role === "parallel" && size === 0)) return;
    const bases = [...kernel.operands, ...kernel.stores].map((_, index) => addressOf(f, table, index));
    const context = new EmitContext(f, kernel, schedule);
    const points = reducePoints === null ? null : reducePoints(f, table);
    const emitter = new KernelEmitter(context, bases, { low, high }, options, points);
    emitter.parallel(
      0,
      kernel.reduction?.body ?? null,
      kernel.stores.map(({ value }) => value),
    );
  });
}

class KernelEmitter {
  readonly #context: EmitContext;
  readonly #addresses: Addresses;
  /** The buffers' addresses: operands, then results. */
  readonly #bases: readonly Local[];
  readonly #scalars: ScalarEmitter;
  readonly #share: { readonly low: Local; readonly high: Local };
  readonly #relaxed: boolean;
  readonly #reduceAxes: readonly number[];
  readonly #chunk: SumChunk | null;
  readonly #reducePoints: ReturnType<ReducePoints> | null;
  /** Whether the code at this place runs only where something changes. */
  #isWithinChange = false;

  constructor(
    context: EmitContext,
    bases: readonly Local[],
    share: { low: Local; high: Local },
    options: EmitOptions,
    reducePoints: ReturnType<ReducePoints> | null,
  ) {
    this.#context = context;
    this.#reducePoints = reducePoints;
    this.#bases = bases;
    this.#addresses = new Addresses(context, bases);
    this.#scalars = new ScalarEmitter(context, this.#addresses);
    this.#share = share;
    this.#relaxed = options.relaxed;
    this.#chunk = reducePoints === null ? sumChunkOf(context.kernel, context.schedule) : null;
    this.#reduceAxes = context.kernel.axes.flatMap(({ role }, axis) => (role === "reduce" ? [axis] : []));
  }

  /**
   * The loops over the parallel axes from `level` of their order on.
   * @param body what is folded, if anything is
   * @param values what is stored
   */
  parallel(level: number, body: Scalar | null, values: readonly Scalar[]): void {
    const { kernel, nest } = this.#context;
    const roots = body === null ? values : [body, ...values];
    const axis = nest.order[level];
    if (axis === undefined) {
      if (kernel.reduction === null || body === null) this.#point(values);
      else this.#foldedPoint({ ...kernel.reduction, body }, values);
      return;
    }
    const inner = bitsOf([...nest.order.slice(level), ...this.#reduceAxes]);
    for (const segment of this.#segments(axis, roots)) {
      const cutBody = body && this.#cut(body, axis, segment);
      const cutValues = values.map((value) => this.#cut(value, axis, segment));
      this.#context.scope(() => {
        if (cutBody !== null) this.#scalars.hoist(cutBody, inner);
        for (const value of cutValues) this.#scalars.hoist(value, cutBody === null ? inner : inner | accumulatorBit);
        const cutRoots = cutBody === null ? cutValues : [cutBody, ...cutValues];
        const accesses = [...accessesOf(cutRoots), ...kernel.stores.map((_, index) => this.#result(index))];
        const loop = (): void =>
          this.#loop(axis, segment, accesses, () => this.parallel(level + 1, cutBody, cutValues));
        const changes = this.#isWithinChange ? null : this.#changes(cutValues, inner);
        if (changes === null) {
          loop();
          return;
        }
        this.#isWithinChange = true;
        this.#context.f.emit(changes);
        this.#context.f.if(() => this.#context.scope(loop));
        this.#isWithinChange = false;
      });
    }
  }

  /**
   * Whether anything changes at all points of the `inner` axes, if what is stored there is either something new or what the result holds
   * already: nothing does where that is so and the result has the memory of the operand. Null if it isn't known before their loops.
   */
  #changes(values: readonly Scalar[], inner: number): Code | null {
    const { kernel, nest } = this.#context;
    const [value, ...others] = values;
    if (kernel.reduction !== null || value?.kind !== "select" || others.length > 0) return null;
    const { condition, x, y } = value;
    const isKept = (scalar: Scalar): scalar is Extract<Scalar, { readonly kind: "load" }> =>
      scalar.kind === "load" && scalar.dtype === kernel.stores[0].dtype && sameAffine(scalar.at, kernel.stores[0].at);
    const kept = isKept(y) ? y : isKept(x) ? x : null;
    const bits = this.#context.dependencies(condition);
    const points = this.#context.points(bits);
    const known = this.#context.find(condition, at(points, 0));
    const isOfLanes = nest.vector !== null && ((bits >> nest.vector) & 1) === 1;
    if (kept === null || (bits & inner) !== 0 || isOfLanes || points.length > 1 || known === undefined) return null;
    const chosen = lane("i32x4.extract_lane", 0, known);
    const isElsewhere = op("i32.ne", at(this.#bases, kept.operand), at(this.#bases, kernel.operands.length));
    return op("i32.or", kept === y ? chosen : op("i32.eqz", chosen), isElsewhere);
  }

  #result(index: number): Access & Store {
    const { operands, stores } = this.#context.kernel;
    return { ...at(stores, index), operand: operands.length + index };
  }

  /** Segments of an axis between which regions on it change; the whole axis if these are tested instead. */
  #segments(axis: number, roots: readonly Scalar[]): readonly Segment[] {
    const { kernel, schedule } = this.#context;
    const size = at(kernel.axes, axis).size;
    return segmentsOf(schedule.branching.has(axis) ? [] : roots, axis, size);
  }

  #cut(scalar: Scalar, axis: number, segment: Segment): Scalar {
    const { nest, schedule } = this.#context;
    return schedule.branching.has(axis) && !nest.flattened.has(axis) ? scalar : restrict(scalar, axis, segment);
  }

  #loop(
    axis: number,
    segment: Segment,
    accesses: readonly Access[],
    body: () => void,
    chunk: Chunk | null = null,
  ): void {
    const { nest } = this.#context;
    emitLoop(
      this.#context,
      this.#addresses,
      {
        axis,
        segment,
        unroll: nest.unroll.get(axis) ?? 1,
        step: axis === nest.vector ? 4 : 1,
        share: axis === nest.split ? this.#share : null,
        accesses,
        chunk,
      },
      body,
    );
  }

  /** All points of one pass of the parallel loops. */
  #point(values: readonly Scalar[]): void {
    const isSweep = values.length > 1;
    this.#scalars.uses = countUses(isSweep ? [...values, ...values] : values);
    for (const point of this.#context.points(-1)) {
      // Everything is read before anything is written: a result may take the memory of an operand.
      if (isSweep) values.forEach((value) => this.#evaluate(value, point));
      values.forEach((value, index) => this.#store(value, point, index));
    }
  }

  /** The same of a kernel that folds. */
  #foldedPoint(reduction: Reduction, values: readonly Scalar[]): void {
    const points = this.#context.points(-1);
    const folded = this.#reduction(reduction, points);
    points.forEach((point, index) => this.#context.accumulators.set(point.join(), at(folded, index)));
    this.#point(values);
  }

  /** Folds over the reduce axes at each of `points`; gives locals with the results in every lane that counts. */
  #reduction({ op, body }: Reduction, points: readonly Point[]): readonly Local[] {
    const { f, kernel, nest } = this.#context;
    const { vector } = nest;
    const isFoldedVector = vector !== null && this.#reduceAxes.includes(vector);
    const isLong = this.#reducePoints !== null && op === "sum" && body.dtype === "f32";
    const accumulators = new Accumulators(f, {
      op,
      dtype: body.dtype,
      points: points.length,
      vectors: isFoldedVector ? (nest.unroll.get(vector) ?? 1) : 0,
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
    const { kernel, nest } = this.#context;
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
    if (nest.flattened.has(axis)) {
      for (let index = 0; index < at(kernel.axes, axis).size; index++) {
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
    const { f, nest, kernel } = this.#context;
    const { vector } = nest;
    this.#scalars.uses = countUses([body]);
    const folded = vector !== null && this.#reduceAxes.includes(vector) ? this.#context.state(vector) : null;
    for (let chain = 0; chain < (folded?.unroll ?? 1); chain++) {
      points.forEach((parallelPoint, index) => {
        const point =
          vector === null || folded === null ? parallelPoint : parallelPoint.with(vector, chain * folded.step);
        const accumulator = accumulators.register(chain, index);
        const isFloatSum = kernel.reduction?.op === "sum" && body.dtype === "f32";
        const fused = this.#relaxed && isFloatSum && body.kind === "binary" && body.op === "multiply";
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
    const { f, nest, lanes } = this.#context;
    const { vector } = nest;
    const result = this.#result(index);
    const address = this.#addresses.address(result, point);
    const stride = vector === null ? 0 : at(result.at.coefficients, vector);
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

function withoutBody(kernel: Kernel): Kernel {
  const { reduction } = kernel;
  if (reduction === null) return kernel;
  return { ...kernel, reduction: { ...reduction, body: { kind: "literal", dtype: reduction.body.dtype, value: 0 } } };
}

const bitsOf = (axes: readonly number[]): number => axes.reduce((bits, axis) => bits | (1 << axis), 0);

function accessesOf(roots: readonly Scalar[]): readonly Access[] {
  return scalarsOf(...roots).filter((scalar) => scalar.kind === "load" || scalar.kind === "gather");
}
