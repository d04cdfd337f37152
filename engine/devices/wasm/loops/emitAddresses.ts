/**
 * Addresses of a kernel's loads and of its store. Loads with the same strides share one pointer, which each loop
 * advances by a constant; what is left of an address is an immediate of the load.
 */
import { at } from "../../../graph/shape.ts";
import type { Affine, Kernel, Scalar } from "../../../kernel/kernel.ts";
import { childrenOf, rootsOf, scalarsOf } from "../../../kernel/scalar.ts";
import { i32, type Local, op } from "../assembler/index.ts";
import type { EmitContext, Point } from "./emitContext.ts";

/** Accesses that one pointer serves: same buffer, same strides. The pointer stands `offset` elements into the buffer. */
type Group = {
  readonly key: string;
  readonly operand: number;
  readonly coefficients: readonly number[];
  readonly offset: number;
  /** Whether the pointer is within memory also where inner axes are left out of it. */
  readonly solid: boolean;
};

/** The pointer of a group, and the axes standing at a constant that it already accounts for. */
type Pointer = { readonly local: Local; readonly settled: ReadonlySet<number> };

/**
 * An address as a pointer plus a constant number of bytes (which may be negative). Immediates are added without
 * wrapping round, so they are right only for a pointer within memory (`solid`).
 */
export type Address = { readonly pointer: Local; readonly bytes: number; readonly solid: boolean };

/** Memory that a kernel touches: the operand's number (results have those after the last) and where. */
export type Access = { readonly operand: number; readonly at: Affine };

export class Addresses {
  readonly #context: EmitContext;
  readonly #groups: ReadonlyMap<string, Group>;
  readonly #bases: readonly Local[];
  #pointers = new Map<string, Pointer>();

  /** @param bases the buffers' addresses: operands, then results */
  constructor(context: EmitContext, bases: readonly Local[]) {
    this.#context = context;
    this.#bases = bases;
    this.#groups = groupsOf(context.kernel);
  }

  /** The address of an access at `point`. Axes that stand at a constant count into the constant part. */
  address(access: Access, point: Point): Address {
    const group = this.#group(access);
    const { pointer, bytes } = this.#pointer(group);
    let elements = access.at.offset - group.offset;
    access.at.coefficients.forEach((coefficient, axis) => {
      if (coefficient !== 0) elements += coefficient * (point[axis] ?? 0);
    });
    // A buffer's address is within memory, and so is a pointer that accounts for all axes: it points to an element.
    const whole =
      !this.#pointers.has(group.key) ||
      access.at.coefficients.every((coefficient, axis) => {
        return coefficient === 0 || this.#context.state(axis).variable !== null || pointer.settled.has(axis);
      });
    return { pointer: pointer.local, bytes: bytes + 4 * elements, solid: whole || group.solid };
  }

  /** Pushes an address; returns the immediate offset that the access has to add. */
  push({ pointer, bytes, solid }: Address): number {
    const { f } = this.#context;
    f.get(pointer);
    if (bytes === 0 || (bytes > 0 && solid)) return bytes;
    f.op("i32.add", i32(bytes));
    return 0;
  }

  /**
   * For a loop over `axis` from `start`: gives those `accesses` that move with it pointers of their own while `body` is
   * written. `body` calls `advance` where the axis moves on by `count` elements.
   */
  loop(
    axis: number,
    start: Local | number,
    accesses: readonly Access[],
    body: (advance: (count: number) => void) => void,
  ): void {
    const { f } = this.#context;
    const outer = this.#pointers;
    const groups = new Map(accesses.map((access) => this.#group(access)).map((group) => [group.key, group]));
    const moving: { readonly pointer: Local; readonly stride: number }[] = [];
    this.#pointers = new Map(outer);
    for (const group of groups.values()) {
      const stride = 4 * at(group.coefficients, axis);
      if (stride === 0) continue;
      const from = this.#pointer(group);
      const pointer = f.local("i32", "pointer");
      const bytes = from.bytes + (typeof start === "number" ? start * stride : 0);
      f.set(pointer, bytes === 0 ? from.pointer.local : op("i32.add", from.pointer.local, i32(bytes)));
      if (typeof start !== "number") f.set(pointer, op("i32.add", pointer, op("i32.mul", start, i32(stride))));
      this.#pointers.set(group.key, { local: pointer, settled: new Set(this.#constantAxes()) });
      moving.push({ pointer, stride });
    }
    body((count) => {
      for (const { pointer, stride } of moving) f.set(pointer, op("i32.add", pointer, i32(count * stride)));
    });
    this.#pointers = outer;
  }

  #group(access: Access): Group {
    const group = this.#groups.get(loneKey(access)) ?? this.#groups.get(sharedKey(access));
    if (group === undefined)
      throw new RangeError(`kernel ${this.#context.kernel.name}: an address appeared from nowhere`);
    return group;
  }

  /** Where a group's pointer is, and what is missing for the axes that stand at a constant. */
  #pointer(group: Group): { readonly pointer: Pointer; readonly bytes: number } {
    const pointer = this.#pointers.get(group.key) ?? this.#base(group);
    let elements = this.#pointers.has(group.key) ? 0 : group.offset;
    for (const axis of this.#constantAxes()) {
      if (!pointer.settled.has(axis)) elements += at(group.coefficients, axis) * this.#context.state(axis).constant;
    }
    return { pointer, bytes: 4 * elements };
  }

  #base({ operand }: Group): Pointer {
    const local = this.#bases[operand];
    if (local === undefined) throw new RangeError(`kernel ${this.#context.kernel.name} has no operand ${operand}`);
    return { local, settled: new Set() };
  }

  #constantAxes(): readonly number[] {
    return this.#context.states.flatMap((state, axis) => (state?.variable === null ? [axis] : []));
  }
}

const sharedKey = ({ operand, at }: Access): string => `${operand} ${at.coefficients.join()}`;
const loneKey = (access: Access): string => `${sharedKey(access)} at ${access.at.offset}`;

/**
 * Loads that run whenever the body does share a pointer at the smallest of their offsets, which is an element they read.
 * Others (within regions, in what is stored of a fold) get a pointer for each offset: elsewhere their address may not exist.
 */
function groupsOf(kernel: Kernel): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group>();
  const always: Access[] = [];
  const seen = new Set<Scalar>();
  const visit = (scalar: Scalar): void => {
    if (seen.has(scalar)) return;
    seen.add(scalar);
    if (scalar.kind === "load" || scalar.kind === "gather") always.push(scalar);
    if (scalar.kind !== "region") childrenOf(scalar).forEach(visit);
  };
  const { reduction, stores } = kernel;
  for (const root of reduction === null ? stores.map(({ value }) => value) : [reduction.body]) visit(root);
  for (const access of always) {
    const key = sharedKey(access);
    const offset = Math.min(access.at.offset, groups.get(key)?.offset ?? Number.POSITIVE_INFINITY);
    // The element with the inner axes at 0 is one that is read.
    groups.set(key, { key, operand: access.operand, coefficients: access.at.coefficients, offset, solid: true });
  }
  const shared = new Set(always.map(loneKey));
  const rest = scalarsOf(...rootsOf(kernel)).filter((scalar) => scalar.kind === "load" || scalar.kind === "gather");
  const results = stores.map((store, index): Access => ({ operand: kernel.operands.length + index, at: store.at }));
  for (const access of [...rest, ...results]) {
    const key = loneKey(access);
    const solid = access.at.offset >= 0 && access.at.coefficients.every((coefficient) => coefficient >= 0);
    if (!shared.has(key)) groups.set(key, { ...access.at, key, operand: access.operand, solid });
  }
  return groups;
}
