import { readSafetensors, writeSafetensors } from "../../engine/io/node.ts";
import type { ParameterTree } from "../nesting.ts";
import { type LoadTreeOptions, parseTree, type SaveTreeOptions, storableLeaves } from "./treeFile.ts";

/**
 * Writes any tree of tensors to a safetensors file, array by array, whole or not at all; the same bytes as `serializeTree`'s.
 * @throws EvenkeelError `file` if the file system refuses, else as `serializeTree`
 */
export function saveTree(path: string, tree: unknown, options: SaveTreeOptions = {}): Promise<void> {
  return writeSafetensors(path, storableLeaves("saveTree", tree, options), options);
}

/**
 * Reads the tree of a safetensors file: see `parseTree`.
 * @throws EvenkeelError `file` if it can't be read, else as `parseTree`
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
