import type { Device, DeviceBuffer } from "../devices/device.ts";
import { type DeviceChoice, getDevice } from "../devices/select.ts";
import { EvenkeelError, messageOf } from "../errors.ts";
import type { TensorData } from "../graph/dtype.ts";
import { makeNode } from "../graph/graph.ts";
import type { Node } from "../graph/node.ts";
import { at, sizeOf } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { knownData } from "../graph/uniform.ts";
import { type ArenaPlaces, placesTogether } from "../kernel/arenas.ts";
import type { ArenaPlace } from "../kernel/plan.ts";
import { describeValue, mapTree, treeLeaves, treeSignature } from "../tree.ts";
import { evaluate } from "./evaluate.ts";
import { Program } from "./program.ts";
import { outlineOf, requireConcrete } from "./trace.ts";

/**
 * A tree of tensors that lives on a device: parameters, optimizer moments, averages. Compiled functions take it in place of
 * the tree itself, and steps (`compileStep`) replace its values without a round trip through the host.
 * Owns device memory: dispose of it.
 *
 * A step or a write that fails leaves the state as it was, or broken if some of its leaves have been written over: then every
 * use but `write` and `dispose` throws EvenkeelError `state`, with the failure as its cause.
 */
export class State<T> {
  /** Where its values are. */
  readonly device: Device;
  /** The tree with its tensors' shapes and dtypes; the tensors' values are not those of the state. */
  readonly template: T;
  /** Shapes and dtypes of the leaves as one text: programs are kept by it. */
  readonly signature: string;
  #buffers: DeviceBuffer[];
  /** Second buffers of leaves that a step can't write in place. */
  readonly #spares: (DeviceBuffer | undefined)[];
  #broken: EvenkeelError | undefined;
  #disposed = false;

  /** @internal Use `createState`. */
  constructor(device: Device, template: T, buffers: DeviceBuffer[]) {
    this.device = device;
    this.template = template;
    this.signature = treeSignature(template);
    this.#buffers = buffers;
    this.#spares = buffers.map(() => undefined);
  }

  /** @internal The leaves' buffers in the order of `treeLeaves`. */
  get buffers(): readonly DeviceBuffer[] {
    this.requireUsable();
    return this.#buffers;
  }

  /** @internal Where a step writes the leaves: in place, or to spare buffers while the old values are still read. */
  targets(isInPlace: (leaf: number) => boolean): readonly DeviceBuffer[] {
    return this.buffers.map((buffer, leaf) => {
      if (isInPlace(leaf)) return buffer;
      return (this.#spares[leaf] ??= this.device.allocate(buffer.dtype, buffer.length));
    });
  }

  /** @internal Runs a program that writes the leaves to their `targets`; only then are these their values. */
  async replacing<R>(program: Pick<Program, "aliasOf" | "overwrites">, run: () => Promise<R>): Promise<R> {
    let result: R;
    try {
      result = await run();
    } catch (reason) {
      // A run that is aborted has not begun to write over its inputs.
      const isWhole = reason instanceof EvenkeelError && reason.code === "aborted";
      if (!isWhole && this.#buffers.some((_, leaf) => program.overwrites(leaf))) this.#break("a step", reason);
      throw reason;
    }
    this.#buffers = this.#buffers.map((buffer, leaf) => {
      if (program.aliasOf(leaf) !== undefined) return buffer;
      const target = this.#spares[leaf];
      if (target === undefined) throw new Error(`leaf ${leaf} of the state has no second buffer`);
      this.#spares[leaf] = buffer;
      return target;
    });
    return result;
  }

  /** The current values, copied to the host. */
  read(): Promise<T>;
  /**
   * Some of the current values: nothing else is copied.
   * @param select gives a tree of leaves of the state, such as `(s) => s.averages[1]`. It is called at once, with leaves that have no
   * values yet.
   * @throws EvenkeelError `value` if it gives something else.
   */
  read<R>(select: (state: T) => R): Promise<R>;
  async read(select?: (state: T) => unknown): Promise<unknown> {
    this.requireUsable();
    const selected = select === undefined ? this.template : select(this.template);
    const leaves = this.#leavesIn(selected);
    return this.device.queue.run(async () => {
      const { buffers } = this;
      const values = await this.device.download([...leaves.values()].map((leaf) => at(buffers, leaf)));
      const read = new Map(
        [...leaves.keys()].map(({ node, dtype, shape }, i) => {
          return [node, new Tensor(makeNode("constant", [], { dtype, shape, data: at(values, i) }))];
        }),
      );
      return mapTree(selected, ({ node }) => read.get(node) as Tensor);
    });
  }

  /** What of the state is in a selection: each leaf once, with its number. */
  #leavesIn(selected: unknown): ReadonlyMap<Tensor, number> {
    if (selected !== this.template && (typeof selected !== "object" || selected === null)) {
      throw new EvenkeelError(
        "value",
        `State.read: the selection gives ${describeValue(selected)}. Select leaves of the state, or a tree of them.`,
      );
    }
    const numbers = new Map(treeLeaves(this.template).map(({ tensor }, leaf) => [tensor, leaf]));
    return new Map(
      treeLeaves(selected).map(({ path, tensor }) => {
        const leaf = numbers.get(tensor);
        if (leaf !== undefined) return [tensor, leaf];
        throw new EvenkeelError(
          "value",
          `State.read: ${path === "" ? "what is selected" : `${path} of the selection`} is ${tensor.toString()}, no leaf of the state. ` +
            "Select leaves as they are, and compute with what is read.",
        );
      }),
    );
  }

  /**
   * Replaces the values, all of them or, if one can't be computed, none. Heals a broken state.
   * @throws EvenkeelError `shape` unless the tree is like the state's, and whatever computing its tensors throws.
   */
  async write(tree: T): Promise<void> {
    this.#requireAlive();
    if (treeSignature(tree) !== this.signature) {
      throw new EvenkeelError("shape", `State.write: ${differenceOf(this.template, tree)}`);
    }
    // Fetched before it is this write's turn: what isn't computed yet needs the device itself. One by one, so that nothing is still
    // running when one has failed.
    const values: TensorData[] = [];
    for (const { tensor } of treeLeaves(tree)) {
      values.push(await tensor.dataBy((lazy) => evaluate(lazy, this.device)));
    }
    return this.device.queue.run(async () => {
      this.#requireAlive();
      for (const [leaf, data] of values.entries()) {
        try {
          this.device.upload(at(this.#buffers, leaf), data);
        } catch (reason) {
          if (leaf > 0) this.#break("a write", reason);
          throw reason;
        }
      }
      this.#broken = undefined;
    });
  }

  /** Frees the device memory as soon as the run at hand is over; later uses are refused at once. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.device.queue.tidy(() => {
      for (const buffer of [...this.#buffers, ...this.#spares]) if (buffer !== undefined) this.device.free(buffer);
    });
  }

  /** @internal @throws EvenkeelError `disposed`, or `state` if it is broken. */
  requireUsable(): void {
    this.#requireAlive();
    // What is asked of a device that is gone that device refuses itself: writing the state wouldn't heal it.
    if (this.#broken !== undefined && this.device.usable) {
      // A new error each time: it tells where the state was used, and its cause what had happened.
      throw new EvenkeelError("state", this.#broken.message, { cause: this.#broken.cause });
    }
  }

  #requireAlive(): void {
    if (this.#disposed) throw new EvenkeelError("disposed", "this State has been disposed of; create a new one.");
  }

  #break(what: string, cause: unknown): void {
    const reason = messageOf(cause);
    this.#broken = new EvenkeelError(
      "state",
      `the values of this State are partly old and partly new: ${what} before failed when it had begun to replace them (${reason}) ` +
        "Write the state (State.write) or create a new one.",
      { cause },
    );
  }
}

/**
 * Puts a tree of tensors on a device. Tensors that are not computed yet are computed there, in one program, and never pass
 * through the host.
 * @example
 * ```ts
 * const state = await createState({ w: tensor([1, 2]) });
 * console.log(await (await state.read()).w.array()); // [ 1, 2 ]
 * state.dispose();
 * ```
 */
export async function createState<T>(tree: T, choice?: DeviceChoice): Promise<State<T>> {
  // All of the tree is looked at before anything is awaited: the caller may change it meanwhile.
  const leaves = treeLeaves(tree);
  for (const { tensor } of leaves) requireConcrete(tensor);
  const template = outlineOf(tree, "state");
  const device = await getDevice(choice);
  const buffers: DeviceBuffer[] = [];
  try {
    const wanted = leaves.map(({ tensor }) => ({ dtype: tensor.dtype, length: sizeOf(tensor.shape) }));
    if (device.allocateTogether !== undefined) buffers.push(...device.allocateTogether(wanted));
    else for (const { dtype, length } of wanted) buffers.push(device.allocate(dtype, length));
    const state = new State(device, template, buffers);
    const nodes = leaves.map(({ tensor }) => tensor.node);
    const { places } =
      device.runs === "kernels" && device.allocateTogether !== undefined
        ? placesTogether(wanted, 4 * device.limits.elements)
        : { places: [] };
    await fillBuffers(device, nodes, buffers, places);
    return state;
  } catch (reason) {
    for (const buffer of buffers) device.free(buffer);
    throw reason;
  }
}

/** @param places of the buffers in memory that they share */
async function fillBuffers(
  device: Device,
  nodes: readonly Node[],
  buffers: readonly DeviceBuffer[],
  places: ArenaPlaces["places"],
): Promise<void> {
  const lazy: { node: Node; buffer: DeviceBuffer; place: ArenaPlace | null }[] = [];
  await device.queue.run(() => {
    for (const [i, node] of nodes.entries()) {
      const data = knownData(node);
      if (data === undefined) lazy.push({ node, buffer: at(buffers, i), place: places[i] ?? null });
      else device.upload(at(buffers, i), data);
    }
  });
  if (lazy.length === 0) return;
  const graph = { inputs: [], outputs: lazy.map(({ node }) => node) };
  const placed = lazy.map(({ place }) => place);
  const program = await Program.compile(graph, device, [], undefined, undefined, placed);
  try {
    await device.queue.run(async () => {
      const run = program.bind(
        [],
        lazy.map(({ buffer }) => buffer),
      );
      await run();
      await program.read(lazy.length);
    });
  } finally {
    program.dispose();
  }
}

/** Where two trees differ first, in words. */
export function differenceOf(expected: unknown, got: unknown): string {
  const [wanted, given] = [treeLeaves(expected), treeLeaves(got)];
  for (const [i, { path, tensor }] of wanted.entries()) {
    const other = given[i];
    if (other === undefined || other.path !== path)
      return `${path} is missing${other === undefined ? "" : `, found ${other.path}`}.`;
    if (treeSignature(other.tensor) !== treeSignature(tensor)) {
      return `${path} is ${other.tensor.toString()}, expected ${tensor.toString()}.`;
    }
  }
  const extra = given[wanted.length];
  return extra === undefined ? "static values of the trees differ." : `${extra.path} is not part of it.`;
}
