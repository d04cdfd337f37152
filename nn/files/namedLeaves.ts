import { EvenkeelError, isTensor, type Tensor, treeLeaves } from "../../engine/index.ts";

/** A tensor of a tree, and what a file calls it. */
export type NamedLeaf = { readonly name: string; readonly tensor: Tensor };

/**
 * The tensors of any tree with the keys on the way to each joined by dots, places of lists as 0, 1, 2, ...: the names that PyTorch's modules
 * have, and `flattenParameters`. Other values have no names. The only tensor of a tree that is nothing else is called "".
 * @throws EvenkeelError `value` if two would be called the same, or for what no tree can hold
 */
export function namedLeaves(operation: string, tree: unknown): NamedLeaf[] {
  // Refuses class instances and functions, in words.
  treeLeaves(tree);
  const leaves: NamedLeaf[] = [];
  const visit = (node: unknown, path: string | null): void => {
    if (isTensor(node)) leaves.push({ name: path ?? "", tensor: node });
    else if (typeof node === "object" && node !== null) {
      for (const [key, child] of Object.entries(node)) visit(child, path === null ? key : `${path}.${key}`);
    }
  };
  visit(tree, null);
  const seen = new Set<string>();
  for (const { name } of leaves) {
    if (seen.has(name)) {
      throw new EvenkeelError(
        "value",
        `${operation}: two tensors of the tree would be called ${JSON.stringify(name)}: a key has a dot in it. Rename it.`,
      );
    }
    seen.add(name);
  }
  return leaves;
}
