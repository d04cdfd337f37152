import type { Device, DeviceBuffer } from "../devices/device.ts";
import { type DeviceChoice, getDevice } from "../devices/select.ts";
import { EvenkeelError } from "../errors.ts";
import { makeNode } from "../graph/graph.ts";
import { at, sizeOf } from "../graph/shape.ts";
import type { Node } from "../graph/node.ts";
import { Tensor } from "../graph/tensor.ts";
import { fillTree, mapTree, treeLeaves, treeSignature } from "../tree.ts";
import { runExclusively } from "./exclusive.ts";
import { Program } from "./program.ts";
import { requireConcrete } from "./trace.ts";

/**
 * A tree of tensors that lives on a device: parameters, optimizer moments, averages. Compiled functions take it in place of
 * the tree itself, and steps (`compileStep`) replace its values without a round trip through the host.
 * Owns device memory: dispose of it.
 */
export class State<T> {
  readonly device: Device;
  /** The tree with its tensors' shapes and dtypes; the tensors' values are not those of the state. */
  readonly template: T;
  readonly signature: string;
  #buffers: DeviceBuffer[];
  /** Second buffers of leaves that a step can't write in place. */
  readonly #spares: (DeviceBuffer | undefined)[];
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
    this.requireAlive();
    return this.#buffers;
  }

  /** @internal The buffer that a step may write leaf `index` to while the old value is still read. */
  spare(index: number): DeviceBuffer {
    const { dtype, length } = at(this.#buffers, index);
    return (this.#spares[index] ??= this.device.allocate(dtype, length));
  }

  /** @internal Makes the spare buffer of a leaf its value. */
  swap(index: number): void {
    const spare = this.spare(index);
    this.#spares[index] = at(this.#buffers, index);
    this.#buffers[index] = spare;
  }

  /** The current values, copied to the host. */
  read(): Promise<T> {
    return runExclusively(this.device, async () => {
      const leaves = treeLeaves(this.template);
      const tensors: Tensor[] = [];
      for (const [i, buffer] of this.buffers.entries()) {
        const { dtype, shape } = at(leaves, i).tensor;
        tensors.push(new Tensor(makeNode("constant", [], { dtype, shape, data: await this.device.download(buffer) })));
      }
      return fillTree(this.template, tensors);
    });
  }

  /** Replaces the values. @throws EvenkeelError `shape` unless the tree is like the state's. */
  write(tree: T): Promise<void> {
    return runExclusively(this.device, async () => {
      if (treeSignature(tree) !== this.signature) {
        throw new EvenkeelError("shape", `State.write: ${differenceOf(this.template, tree)}`);
      }
      for (const [i, { tensor }] of treeLeaves(tree).entries())
        this.device.upload(at(this.buffers, i), await tensor.data());
    });
  }

  /** Frees the device memory. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const buffer of [...this.#buffers, ...this.#spares]) if (buffer !== undefined) this.device.free(buffer);
  }

  /** @internal */
  requireAlive(): void {
    if (this.#disposed) throw new EvenkeelError("disposed", "this State has been disposed of; create a new one.");
  }
}

/**
 * Puts a tree of tensors on a device. Tensors that are not computed yet are computed there, in one program, and never pass
 * through the host.
 */
export async function createState<T>(tree: T, choice?: DeviceChoice): Promise<State<T>> {
  const device = await getDevice(choice);
  const leaves = treeLeaves(tree);
  for (const { tensor } of leaves) requireConcrete(tensor);
  const buffers = leaves.map(({ tensor }) => device.allocate(tensor.dtype, sizeOf(tensor.shape)));
  const template = mapTree(tree, (tensor, path) => {
    return new Tensor(makeNode("input", [], { dtype: tensor.dtype, shape: tensor.shape, name: `state ${path}` }));
  });
  const state = new State(device, template, buffers);
  try {
    await runExclusively(device, () =>
      fillBuffers(
        device,
        leaves.map(({ tensor }) => tensor.node),
        buffers,
      ),
    );
  } catch (reason) {
    state.dispose();
    throw reason;
  }
  return state;
}

async function fillBuffers(device: Device, nodes: readonly Node[], buffers: readonly DeviceBuffer[]): Promise<void> {
  const lazy: { node: Node; buffer: DeviceBuffer }[] = [];
  for (const [i, node] of nodes.entries()) {
    if (node.kind === "constant") device.upload(at(buffers, i), node.attributes.data);
    else lazy.push({ node, buffer: at(buffers, i) });
  }
  if (lazy.length === 0) return;
  const program = await Program.compile({ inputs: [], outputs: lazy.map(({ node }) => node) }, device);
  try {
    await program.run(
      [],
      lazy.map(({ buffer }) => buffer),
    );
    await program.checkRun();
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
