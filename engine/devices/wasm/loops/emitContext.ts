/** What the code generator knows at one place of a kernel's loop nest: axis positions, values in locals, pointers. */
import type { Kernel, Scalar } from "../../../kernel/kernel.ts";
import { childrenOf, scalarsOf } from "../../../kernel/scalar.ts";
import type { FunctionBuilder, Local } from "../assembler/index.ts";
import { type Nest, nestOf } from "./nest.ts";
import type { Schedule } from "./schedule.ts";

/** Where an axis stands inside its loop. The code at this place works on `unroll` points, `step` elements apart. */
export type AxisState = {
  /** The loop variable, or null if the axis stands at `constant`. */
  readonly variable: Local | null;
  readonly constant: number;
  readonly unroll: number;
  /** 4 on the vector axis, else 1. */
  readonly step: number;
  /** Vector lanes that hold elements: 4, or fewer in the last vector of the vector axis. */
  readonly lanes: number;
};

/** One of the points that code is unrolled for: its distance from the axis state, in elements, by axis. */
export type Point = readonly number[];

/** The bit for the folded value among the axis bits of `dependencies`. */
export const accumulatorBit = 1 << 30;

export class EmitContext {
  readonly f: FunctionBuilder;
  readonly kernel: Kernel;
  readonly schedule: Schedule;
  readonly nest: Nest;
  /** The state of each axis whose loop is open. */
  readonly states: (AxisState | undefined)[];
  /** Locals with the folded value, by point. */
  readonly accumulators = new Map<string, Local>();
  #scopes = [new Map<Scalar, Map<string, Local>>()];
  readonly #dependencies = new Map<Scalar, number>();

  constructor(f: FunctionBuilder, kernel: Kernel, schedule: Schedule) {
    this.f = f;
    this.kernel = kernel;
    this.schedule = schedule;
    this.nest = nestOf(kernel, schedule.tiling);
    this.states = kernel.axes.map(() => undefined);
  }

  /** The state of an axis whose loop is open. */
  state(axis: number): AxisState {
    const state = this.states[axis];
    if (state === undefined)
      throw new RangeError(`kernel ${this.kernel.name}: axis ${axis} is used outside of its loop`);
    return state;
  }

  /** Elements the vector of a place holds. 1 if nothing is vectorised along a parallel axis. */
  get lanes(): number {
    const { vector } = this.nest;
    return vector === null ? 1 : (this.states[vector]?.lanes ?? 1);
  }

  /** Runs `body` with values that it puts into locals forgotten afterwards: its code may not run, or run again. */
  scope(body: () => void): void {
    this.#scopes.push(new Map());
    body();
    this.#scopes.pop();
  }

  /** The axes that `scalar` depends on, as bits. */
  dependencies(scalar: Scalar): number {
    const known = this.#dependencies.get(scalar);
    if (known !== undefined) return known;
    let bits = 0;
    for (const child of childrenOf(scalar)) bits |= this.dependencies(child);
    switch (scalar.kind) {
      case "load":
      case "gather":
      case "index":
        scalar.at.coefficients.forEach((coefficient, axis) => {
          if (coefficient !== 0) bits |= 1 << axis;
        });
        break;
      case "region":
        bits |= 1 << scalar.axis;
        break;
      case "accumulator":
        bits |= accumulatorBit;
        this.kernel.axes.forEach(({ role }, axis) => {
          if (role === "parallel") bits |= 1 << axis;
        });
        break;
      default:
        break;
    }
    this.#dependencies.set(scalar, bits);
    return bits;
  }

  /** The local that holds `scalar` at `point`, if it was computed before on every way to this place. */
  find(scalar: Scalar, point: Point): Local | undefined {
    const key = this.#pointKey(scalar, point);
    for (let scope = this.#scopes.length - 1; scope >= 0; scope--) {
      const local = this.#scopes[scope]?.get(scalar)?.get(key);
      if (local !== undefined) return local;
    }
    return undefined;
  }

  remember(scalar: Scalar, point: Point, local: Local): void {
    const scope = this.#scopes.at(-1);
    if (scope === undefined) return;
    const versions = scope.get(scalar) ?? new Map<string, Local>();
    versions.set(this.#pointKey(scalar, point), local);
    scope.set(scalar, versions);
  }

  /** Equal for points at which `scalar` has the same value. Most points stand at 0, which takes no text. */
  #pointKey(scalar: Scalar, point: Point): string {
    const bits = this.dependencies(scalar);
    let key = "";
    for (let axis = 0; axis < point.length; axis++) {
      const offset = point[axis] ?? 0;
      if (offset !== 0 && (bits >> axis) & 1) key += `${axis}:${offset},`;
    }
    return key;
  }

  /** The points of the unrolled axes among `bits`, over the loops that are open. */
  points(bits: number): readonly Point[] {
    let points: number[][] = [this.kernel.axes.map(() => 0)];
    this.states.forEach((state, axis) => {
      if (state === undefined || state.unroll === 1 || ((bits >> axis) & 1) === 0) return;
      points = points.flatMap((point) =>
        Array.from({ length: state.unroll }, (_, index) => point.with(axis, index * state.step)),
      );
    });
    return points;
  }

  /** Whether several of the points unrolled here share the value of `scalar`. */
  isShared(scalar: Scalar): boolean {
    const bits = this.dependencies(scalar);
    for (let axis = 0; axis < this.states.length; axis++) {
      const state = this.states[axis];
      if (state !== undefined && state.unroll > 1 && ((bits >> axis) & 1) === 0) return true;
    }
    return false;
  }
}

/** How many other expressions (and roots) use each expression of the roots. */
export function countUses(roots: readonly Scalar[]): ReadonlyMap<Scalar, number> {
  const uses = new Map<Scalar, number>();
  const count = (scalar: Scalar): void => void uses.set(scalar, (uses.get(scalar) ?? 0) + 1);
  roots.forEach(count);
  for (const scalar of scalarsOf(...roots)) childrenOf(scalar).forEach(count);
  return uses;
}
