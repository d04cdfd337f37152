import { EvenkeelError, type Tensor, type TreeLeaf, treeLeaves } from "../../engine/index.ts";

/**
 * The tensors of a tree that belongs to parameters (their gradient, their moments), in the parameters' order.
 * @throws EvenkeelError `value` unless it has a tensor wherever they have one, and nowhere else; `shape` if one is of another shape
 */
export function leavesAs(operation: string, what: string, parameters: readonly TreeLeaf[], tree: unknown): Tensor[] {
  const leaves = treeLeaves(tree);
  const isAlike = leaves.length === parameters.length && leaves.every(({ path }, i) => path === parameters[i]?.path);
  const byPath = new Map(leaves.map(({ path, tensor }) => [path, tensor]));
  const found = parameters.map(({ path, tensor }, i) => {
    const own = isAlike ? leaves[i]?.tensor : byPath.get(path);
    if (own === undefined) throw unlike(operation, `${what} have no tensor at ${placeOf(path)}`);
    if (own.shape.join() !== tensor.shape.join()) {
      throw new EvenkeelError(
        "shape",
        `${operation}: the ${what} have [${own.shape.join(", ")}] at ${placeOf(path)}, where the parameters have [${tensor.shape.join(", ")}].`,
      );
    }
    return own;
  });
  const known = new Set(parameters.map(({ path }) => path));
  const extra = leaves.find(({ path }) => !known.has(path));
  if (extra !== undefined) {
    throw unlike(operation, `${what} have a tensor at ${placeOf(extra.path)}, where the parameters have none`);
  }
  return found;
}

const placeOf = (path: string): string => (path === "" ? "their root" : path);

function unlike(operation: string, problem: string): EvenkeelError {
  return new EvenkeelError(
    "value",
    `${operation}: the ${problem}. What belongs to parameters is a tree like theirs: as valueAndGrad gives a gradient, and ` +
      "adamMoments moments.",
  );
}
