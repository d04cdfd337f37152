/** Code for scalar expressions, four points at a time: every value is a v128, bools are masks. */
import type { Affine, Scalar } from "../../../kernel/kernel.ts";
import { childrenOf } from "../../../kernel/scalar.ts";
import type { DType } from "../../../graph/dtype.ts";
import type { UnaryOp } from "../../../graph/node.ts";
import { type Code, i32, i32x4, lane, type Local, op, shuffle32 } from "../assembler/index.ts";
import type { Address, Addresses } from "./emitAddresses.ts";
import { countUses, type EmitContext, type Point } from "./emitContext.ts";
import {
  emitBinary,
  emitCast,
  emitCompare,
  emitLiteral,
  emitSelect,
  emitShift,
  emitThreefry,
  emitThreefryBlock,
  emitUnary,
  longInPlace,
  threefry,
} from "../math/index.ts";

type Threefry = Extract<Scalar, { readonly kind: "threefry" }>;

export class ScalarEmitter {
  readonly #context: EmitContext;
  readonly #addresses: Addresses;
  /** How often each expression is used in what is being written now. */
  uses: ReadonlyMap<Scalar, number> = new Map();

  constructor(context: EmitContext, addresses: Addresses) {
    this.#context = context;
    this.#addresses = addresses;
  }

  /** Pushes the value of `scalar` at `point`; what is needed more than once is kept in a local. */
  value(scalar: Scalar, point: Point): void {
    const { f } = this.#context;
    if (scalar.kind === "accumulator") {
      const accumulator = this.#context.accumulators.get(point.join());
      if (accumulator === undefined) throw new RangeError("an accumulator is used before its reduction");
      f.get(accumulator);
      return;
    }
    const known = this.#context.find(scalar, point);
    if (known !== undefined) {
      f.get(known);
      return;
    }
    this.#produce(scalar, point);
    const reused = (this.uses.get(scalar) ?? 0) > 1 || this.#context.isShared(scalar);
    if (scalar.kind === "literal" || !reused) return;
    const local = f.local("v128", scalar.kind);
    f.tee(local);
    this.#context.remember(scalar, point, local);
  }

  /** Computes into locals the parts of `scalar` that depend on none of the axes `inner`, before a loop over these. */
  hoist(scalar: Scalar, inner: number): void {
    const { f } = this.#context;
    this.uses = countUses([scalar]);
    const seen = new Set<Scalar>();
    const visit = (expression: Scalar): void => {
      if (seen.has(expression) || expression.kind === "literal") return;
      seen.add(expression);
      const bits = this.#context.dependencies(expression);
      if ((bits & inner) === 0) {
        for (const point of this.#context.points(bits)) {
          if (this.#context.find(expression, point) !== undefined) continue;
          const local = f.local("v128", expression.kind);
          this.#produce(expression, point);
          f.set(local);
          this.#context.remember(expression, point, local);
        }
        return;
      }
      // A branch of a region may not be computable everywhere.
      if (expression.kind !== "region") childrenOf(expression).forEach(visit);
    };
    visit(scalar);
  }

  #produce(scalar: Scalar, point: Point): void {
    const { f } = this.#context;
    const push = (...values: readonly Scalar[]): void => {
      for (const value of values) this.value(value, point);
    };
    switch (scalar.kind) {
      case "load":
        this.#elements(this.#addresses.address(scalar, point), this.#stride(scalar.at), scalar.dtype);
        return;
      case "gather":
        this.#gather(scalar, point);
        return;
      case "literal":
        emitLiteral(f, scalar.value, scalar.dtype);
        return;
      case "index":
        this.#index(scalar.at, scalar.dtype, point);
        return;
      case "unary":
        push(scalar.x);
        this.#unary(scalar.op, scalar.x.dtype);
        return;
      case "binary":
        push(scalar.x, scalar.y);
        emitBinary(f, scalar.op, scalar.dtype);
        return;
      case "compare":
        push(scalar.x, scalar.y);
        emitCompare(f, scalar.op, scalar.x.dtype);
        return;
      case "select":
        push(scalar.condition, scalar.x, scalar.y);
        emitSelect(f);
        return;
      case "cast":
        push(scalar.x);
        emitCast(f, scalar.x.dtype, scalar.dtype);
        return;
      case "shift":
        push(scalar.x);
        emitShift(f, scalar.direction, scalar.amount, scalar.dtype === "i32" ? "i32" : "u32");
        return;
      case "threefry":
        this.#threefry(scalar, point);
        return;
      case "region":
        this.#region(scalar, point);
        return;
      case "within":
        throw new Error("a border within the factor of a product, for a device that reads these from memory");
      case "accumulator":
        // `value` knows the local.
        this.value(scalar, point);
        return;
    }
  }

  /** Both words of a block cost as much as one: if the other is wanted too, it is kept. Of two vectors both are made, side by side. */
  #threefry(scalar: Threefry, point: Point): void {
    const { f } = this.#context;
    const inputs = ["key0", "key1", "counter0", "counter1"] as const;
    const isTwin = (other: Scalar): boolean =>
      other.kind === "threefry" &&
      other.word !== scalar.word &&
      inputs.every((input) => other[input] === scalar[input]);
    const twin = [...this.uses.keys()].find(isTwin);
    const neighbour = this.#neighbourOf(scalar, point);
    if (neighbour === null) {
      for (const input of inputs) this.value(scalar[input], point);
      if (twin === undefined) {
        emitThreefry(f, scalar.word);
        return;
      }
      emitThreefryBlock(f);
    } else {
      // Written out in place, as a call of so many operands takes as long as a third of it.
      const blocks = [point, neighbour].map((place) => {
        const localOf = (input: (typeof inputs)[number]): Local => {
          const local = f.local("v128", input);
          this.value(scalar[input], place);
          f.set(local);
          return local;
        };
        return {
          key0: localOf("key0"),
          key1: localOf("key1"),
          counter0: localOf("counter0"),
          counter1: localOf("counter1"),
        };
      });
      threefry(f, ...blocks);
    }
    const keep = (place: Point): Local => {
      const word1 = f.let("v128", "word1");
      const word0 = f.let("v128", "word0");
      const [wanted, other] = scalar.word === 0 ? [word0, word1] : [word1, word0];
      if (twin !== undefined) this.#context.remember(twin, place, other);
      return wanted;
    };
    if (neighbour !== null) this.#context.remember(scalar, neighbour, keep(neighbour));
    f.get(keep(point));
  }

  /** The other one of two vectors along the axis of lanes, where `scalar` isn't the same in both. */
  #neighbourOf(scalar: Scalar, point: Point): Point | null {
    const { nest, states } = this.#context;
    const state = nest.vector === null ? undefined : states[nest.vector];
    if (nest.vector === null || state?.unroll !== 2) return null;
    if (((this.#context.dependencies(scalar) >> nest.vector) & 1) === 0) return null;
    return point.with(nest.vector, point[nest.vector] === 0 ? state.step : 0);
  }

  /** Long functions are written out where they are the work of the inner loop, and called where code is repeated. */
  #unary(operation: UnaryOp, dtype: DType): void {
    const { f, lanes, states } = this.#context;
    const repeated = lanes < 4 || states.some((state) => state !== undefined && state.unroll > 1);
    if (!repeated || !longInPlace.has(operation)) {
      emitUnary(f, operation, dtype);
      return;
    }
    f.call(
      f.module.define(`each_${operation}_${dtype}`, ["v128"], ["v128"], (g, x) => {
        g.get(x);
        emitUnary(g, operation, dtype);
      }),
    );
  }

  /** How far `at` moves from lane to lane, in elements. */
  #stride(at: Affine): number {
    const { vector } = this.#context.nest;
    return vector === null ? 0 : (at.coefficients[vector] ?? 0);
  }

  /** Pushes the elements from `address` on, `stride` elements apart. */
  #elements(address: Address, stride: number, dtype: DType): void {
    const { f, lanes } = this.#context;
    const addresses = this.#addresses;
    if (stride === 0 || lanes === 1) {
      f.memory("v128.load32_splat", addresses.push(address));
    } else if (stride === 1) {
      // The last vector may read beyond the end, into the slack that every buffer has; those lanes are not used.
      f.memory("v128.load", addresses.push(address));
    } else if (stride === -1 && lanes === 4) {
      f.memory("v128.load", addresses.push({ ...address, bytes: address.bytes - 12 }));
      const forward = f.let("v128", "forward");
      f.emit(shuffle32([3, 2, 1, 0], forward, forward));
    } else if (stride === 2) {
      // Every other element of what lies there; the slack is long enough for what isn't used.
      f.memory("v128.load", addresses.push(address));
      const near = f.let("v128", "near");
      if (lanes > 2) f.memory("v128.load", addresses.push({ ...address, bytes: address.bytes + 16 }));
      const far = lanes > 2 ? f.let("v128", "far") : near;
      f.emit(shuffle32([0, 2, 4, 6], near, far));
    } else {
      const vector = f.local("v128", "lanes");
      f.memory("v128.load32_zero", addresses.push(address));
      f.set(vector);
      for (let index = 1; index < lanes; index++) {
        const offset = addresses.push({ ...address, bytes: address.bytes + 4 * stride * index });
        f.get(vector);
        f.memoryLane("v128.load32_lane", offset, index);
        f.set(vector);
      }
      f.get(vector);
    }
    if (dtype === "bool") f.op("i32x4.ne", i32x4(0));
  }

  #gather(scalar: Extract<Scalar, { readonly kind: "gather" }>, point: Point): void {
    const { f, lanes, nest } = this.#context;
    const address = this.#addresses.address(scalar, point);
    const stride = this.#stride(scalar.at);
    const { vector } = nest;
    const uniform = vector === null || ((this.#context.dependencies(scalar.index) >> vector) & 1) === 0;
    this.value(scalar.index, point);
    f.op("i32x4.max_s", i32x4(0));
    f.op("i32x4.min_s", i32x4(scalar.size - 1));
    f.op("i32x4.mul", i32x4(4 * scalar.stride));
    const offsets = f.let("v128", "offsets");
    const pointerOf = (index: number): Code =>
      op("i32.add", address.pointer, lane("i32x4.extract_lane", index, offsets));
    if (uniform) {
      const pointer: Local = f.let("i32", "row", pointerOf(0));
      this.#elements({ ...address, pointer }, stride, scalar.dtype);
      return;
    }
    const gathered = f.local("v128", "gathered");
    for (let index = 0; index < lanes; index++) {
      const pointer = f.let("i32", "row", pointerOf(index));
      const offset = this.#addresses.push({ ...address, pointer, bytes: address.bytes + 4 * stride * index });
      if (index === 0) {
        f.memory("v128.load32_zero", offset);
      } else {
        f.get(gathered);
        f.memoryLane("v128.load32_lane", offset, index);
      }
      f.set(gathered);
    }
    f.get(gathered);
    if (scalar.dtype === "bool") f.op("i32x4.ne", i32x4(0));
  }

  #index(at: Affine, dtype: DType, point: Point): void {
    const { f } = this.#context;
    let constant = at.offset;
    const terms: Code[] = [];
    at.coefficients.forEach((coefficient, axis) => {
      if (coefficient === 0) return;
      const state = this.#context.state(axis);
      constant += coefficient * ((state.variable === null ? state.constant : 0) + (point[axis] ?? 0));
      if (state.variable !== null) terms.push(op("i32.mul", state.variable, i32(coefficient)));
    });
    const stride = this.#stride(at);
    const steps = i32x4(constant, constant + stride, constant + 2 * stride, constant + 3 * stride);
    const [first, ...others] = terms;
    if (first === undefined) {
      f.emit(steps);
    } else {
      f.op(
        "i32x4.splat",
        others.reduce((sum, term) => op("i32.add", sum, term), first),
      );
      f.op("i32x4.add", steps);
    }
    if (dtype === "f32") f.op("f32x4.convert_i32x4_s");
    if (dtype === "bool") f.op("i32x4.ne", i32x4(0));
  }

  /** A region whose axis was not cut into segments: a branch. Never on the vector axis, so all lanes go one way. */
  #region(scalar: Extract<Scalar, { readonly kind: "region" }>, point: Point): void {
    const { f } = this.#context;
    // What both ways need is computed before they part, else code doubles with every region inside a region.
    const outside = alwaysComputed(scalar.outside);
    for (const common of alwaysComputed(scalar.inside)) {
      if (!outside.has(common) || common.kind === "literal" || common.kind === "accumulator") continue;
      if (this.#context.find(common, point) !== undefined) continue;
      const local = f.local("v128", common.kind);
      this.#produce(common, point);
      f.set(local);
      this.#context.remember(common, point, local);
    }
    const { variable, constant } = this.#context.state(scalar.axis);
    const offset = (variable === null ? constant : 0) + (point[scalar.axis] ?? 0) - scalar.start;
    const distance = variable === null ? i32(offset) : op("i32.add", variable, i32(offset));
    f.op("i32.lt_u", distance, i32(Math.max(0, scalar.stop - scalar.start)));
    f.if(
      () => this.#context.scope(() => this.value(scalar.inside, point)),
      () => this.#context.scope(() => this.value(scalar.outside, point)),
      "v128",
    );
  }
}

/** What is computed wherever `root` is, inner expressions first: not what only one branch of a region needs. */
function alwaysComputed(root: Scalar): ReadonlySet<Scalar> {
  const known = new Map<Scalar, ReadonlySet<Scalar>>();
  const visit = (scalar: Scalar): ReadonlySet<Scalar> => {
    const done = known.get(scalar);
    if (done !== undefined) return done;
    const parts = childrenOf(scalar).map(visit);
    const [first, ...rest] = parts;
    const inner =
      scalar.kind === "region"
        ? [...(first ?? [])].filter((part) => rest.every((other) => other.has(part)))
        : parts.flatMap((part) => [...part]);
    const all = new Set([...inner, scalar]);
    known.set(scalar, all);
    return all;
  };
  return visit(root);
}
