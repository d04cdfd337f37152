import { readSafetensors, writeSafetensors } from "../../engine/io/node.ts";
import type { ParameterTree } from "../nesting.ts";
import { type LoadTreeOptions, parseTree, type SaveTreeOptions, storableLeaves } from "./treeFile.ts";

/**
 * Writes any tree of tensors to a safetensors file, array by array, whole or not at all; the same bytes as `serializeTree`'s.
 * @throws EvenkeelError `file` if the file system refuses, else as `serializeTree`
 * @example
 * ```ts
 * import { tensor } from "evenkeel/engine";
 * import { flattenParameters } from "evenkeel/nn";
 *
 * await saveTree("weights.safetensors", { layers: [{ weight: tensor([1, 2]) }] }, { floats: "F16" });
 * console.log(Object.keys(flattenParameters(await loadTree("weights.safetensors")))); // [ 'layers.0.weight' ]
 * ```
 */
export function saveTree(path: string, tree: unknown, options: SaveTreeOptions = {}): Promise<void> {
  return writeSafetensors(path, storableLeaves("saveTree", tree, options), options);
}

/**
 * Reads the tree of a safetensors file: see `parseTree`.
 * @throws EvenkeelError `file` if it can't be read, else as `parseTree`
 * @example
 * ```ts
 * import { tensor, zeros } from "evenkeel/engine";
 *
 * await saveTree("weights.safetensors", { layers: [{ weight: tensor([1, 2]) }] });
 * const { layers } = await loadTree("weights.safetensors", { layers: [{ weight: zeros([2]) }] });
 * console.log(await layers[0]?.weight.array()); // [ 1, 2 ]
 * ```
 */
export function loadTree(path: string): Promise<ParameterTree>;
/**
 * Reads the arrays of a safetensors file into the places of a tree's tensors: see `parseTree`.
 * @throws EvenkeelError `file` if it can't be read, else as `parseTree`
 */
export function loadTree<Tree>(path: string, like: Tree, options?: LoadTreeOptions): Promise<Tree>;
export async function loadTree(path: string, like?: unknown, options: LoadTreeOptions = {}): Promise<unknown> {
  const file = await readSafetensors(path);
  return like === undefined ? parseTree(file) : parseTree(file, like, options);
}
