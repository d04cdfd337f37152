import { EvenkeelError } from "./errors.ts";
import { isTensor, type Tensor } from "./graph/tensor.ts";

/** Values nested in plain objects and arrays; leaves are tensors or static values. */
export type Tree<Leaf> = Leaf | Static | readonly Tree<Leaf>[] | { readonly [key: string]: Tree<Leaf> };

/** What a tree may hold beside its leaves. Part of a compiled function's signature: another value is another program. */
export type Static = number | string | boolean | null | undefined;

/** A tree of tensors. */
export type TensorTree = Tree<Tensor>;

/** A tensor of a tree and its path there, e.g. `params.layers[2].weight`. */
export type TreeLeaf = { readonly path: string; readonly tensor: Tensor };

function childPath(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function visit(tree: unknown, path: string, onTensor: (tensor: Tensor, path: string) => unknown): unknown {
  if (isTensor(tree)) return onTensor(tree, path);
  if (Array.isArray(tree)) return tree.map((child, i) => visit(child, `${path}[${i}]`, onTensor));
  if (isStatic(tree)) return tree;
  if (typeof tree === "object" && isPlainObject(tree)) {
    return Object.fromEntries(
      Object.entries(tree).map(([key, child]) => [key, visit(child, childPath(path, key), onTensor)]),
    );
  }
  throw new EvenkeelError(
    "value",
    `a tree holds tensors, numbers, strings, booleans, arrays and plain objects; ${path === "" ? "the value" : path} is ${describe(tree)}.`,
  );
}

function isStatic(value: unknown): value is Static {
  return value === null || value === undefined || ["number", "string", "boolean"].includes(typeof value);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return `a ${typeof value}`;
  return `an instance of ${value.constructor.name}`;
}

/** The tensors of a tree with their paths, in the order of their keys. @throws EvenkeelError `value` for class instances and functions. */
export function treeLeaves(tree: unknown, path = ""): TreeLeaf[] {
  const leaves: TreeLeaf[] = [];
  visit(tree, path, (tensor, at) => void leaves.push({ path: at, tensor }));
  return leaves;
}

/** The tree with every tensor replaced. Static values stay. */
export function mapTree<T>(tree: T, replace: (tensor: Tensor, path: string) => Tensor, path?: string): T;
export function mapTree(tree: unknown, replace: (tensor: Tensor, path: string) => unknown, path?: string): unknown;
export function mapTree(tree: unknown, replace: (tensor: Tensor, path: string) => unknown, path = ""): unknown {
  return visit(tree, path, replace);
}

/** The tree with its tensors replaced by those of a list, in the order of `treeLeaves`. */
export function fillTree<T>(tree: T, tensors: readonly Tensor[]): T {
  let next = 0;
  return mapTree(tree, (_, path) => {
    const tensor = tensors[next++];
    if (tensor === undefined) throw new RangeError(`fillTree: no tensor for ${path}`);
    return tensor;
  });
}

/**
 * A text equal for two trees exactly if they have the same shape: keys, static values, and each tensor's dtype and shape.
 */
export function treeSignature(tree: unknown): string {
  const described = mapTree(tree, (tensor) => Symbol(`${tensor.dtype}[${tensor.shape.join(",")}]`));
  // A letter in front keeps tensors, texts and the numbers that JSON doesn't have apart.
  return JSON.stringify(described, (_, value: unknown) => {
    switch (typeof value) {
      case "symbol":
        return `t${value.description ?? ""}`;
      case "string":
        return `s${value}`;
      case "number":
        return `n${Object.is(value, -0) ? "-0" : String(value)}`;
      case "undefined":
        return "u";
      default:
        return value;
    }
  });
}
