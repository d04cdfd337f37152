/** A network's arrays as a tree, as its modules are nested, and by their full names; each is made of the other without loss. */
import { EvenkeelError, isTensor, type Tensor } from "../engine/index.ts";
import { isParameterSpec, type NamedParameters, type ParameterSpec } from "./parameters.ts";

/** Arrays nested in objects and lists: tensors, or their specifications. */
export type ParameterTree<Leaf = Tensor> =
  | { readonly [name: string]: Leaf | ParameterTree<Leaf> }
  | readonly (Leaf | ParameterTree<Leaf>)[];

function isLeaf(node: unknown): node is Tensor | ParameterSpec {
  return isTensor(node) || isParameterSpec(node);
}

/**
 * Full names: the keys on the way to each leaf, joined by dots, in the order of the keys; places of a list are 0, 1, 2, ... Keys of
 * objects that are `undefined` (absent modules) have none.
 * @throws EvenkeelError `value` for what `nestParameters` couldn't bring back: a key with a dot, an object whose keys are those of a list
 * (0, 1, 2, ...), an empty object or list within the tree, a gap in a list, anything but tensors, specifications, plain objects, lists
 * @example
 * ```ts
 * import { scalar } from "evenkeel/engine";
 *
 * console.log(Object.keys(flattenParameters({ a: { w: scalar(1), b: scalar(2) }, c: scalar(3) }))); // [ 'a.w', 'a.b', 'c' ]
 * ```
 */
export function flattenParameters<Leaf>(tree: object): Record<string, Leaf> {
  const flat: [string, Leaf][] = [];
  addNames(tree, null, flat);
  return Object.fromEntries(flat);
}

/** `path` is null for the tree itself: a key may be empty. */
function addNames(branch: object, path: string | null, flat: [string, unknown][]): void {
  for (const [key, child] of childrenOf(branch, path)) {
    const name = path === null ? key : `${path}.${key}`;
    if (key.includes(".")) {
      throw refusal(name, "has a key with a dot, which divides names. Rename it");
    }
    if (isLeaf(child)) flat.push([name, child]);
    else if (typeof child === "object" && child !== null) addNames(child, name, flat);
    else throw refusal(name, `is ${String(child)}. Give tensors only, and keep other values elsewhere`);
  }
}

function childrenOf(branch: object, path: string | null): [string, unknown][] {
  if (Array.isArray(branch)) {
    const list = Array.from<unknown>(branch);
    if (list.length === 0) throw refusal(path, "is an empty list, which has no names. Leave it out");
    const gap = list.indexOf(undefined);
    if (gap >= 0) throw refusal(path, `has nothing at place ${gap}. Leave no gaps in lists, or use an object`);
    return list.map((child, i) => [String(i), child]);
  }
  const prototype: unknown = Object.getPrototypeOf(branch);
  if (prototype !== Object.prototype && prototype !== null) {
    throw refusal(path, `is a ${branch.constructor.name}. Use plain objects and lists`);
  }
  const present = Object.entries(branch).filter(([, child]) => child !== undefined);
  if (present.length === 0 && path !== null)
    throw refusal(path, "is an empty object, which has no names. Leave it out");
  if (isNumbered(new Set(present.map(([key]) => key)))) {
    throw refusal(path, "is an object with the keys of a list (0, 1, 2, ...). Use a list, or other keys");
  }
  return present;
}

function refusal(path: string | null, what: string): EvenkeelError {
  return new EvenkeelError(
    "value",
    `flattenParameters: ${path === null ? "the tree" : path === "" ? '""' : path} ${what}.`,
  );
}

/** Whether keys are 0, 1, 2, ..., at least one, in any order. */
function isNumbered(keys: { readonly size: number; has(key: string): boolean }): boolean {
  return keys.size > 0 && Array.from({ length: keys.size }, (_, i) => String(i)).every((key) => keys.has(key));
}

/**
 * The tree of named arrays: the inverse of `flattenParameters`, whatever the order of the names. Branches whose keys are 0, 1, 2, ...
 * are lists. `Tree` is the caller's word for what these names make; `checkParameters` compares names and shapes with a description.
 * @throws EvenkeelError `value` if a name is that of an array and of a branch (`a` beside `a.b`)
 * @example console.log(nestParameters({ "a.w": 1, "a.b": 2 })); // { a: { w: 1, b: 2 } }
 */
export function nestParameters<Tree extends object = ParameterTree>(flat: NamedParameters<unknown>): Readonly<Tree> {
  const root: Branch = new Map();
  for (const [name, leaf] of Object.entries(flat)) {
    const keys = name.split(".");
    const last = keys.pop() ?? name;
    let branch = root;
    for (const key of keys) {
      const next = branch.get(key) ?? new Map<string, unknown>();
      if (!(next instanceof Map)) throw isBoth(name);
      branch.set(key, next);
      branch = next as Branch;
    }
    if (branch.has(last)) throw isBoth(name);
    branch.set(last, leaf);
  }
  return treeOf(root) as Tree;
}

type Branch = Map<string, unknown>;

function isBoth(name: string): EvenkeelError {
  return new EvenkeelError(
    "value",
    `nestParameters: ${name} is within another name, or another name within it: it can't be an array and a branch. Rename one.`,
  );
}

function treeOf(branch: ReadonlyMap<string, unknown>): unknown {
  const nested = new Map([...branch].map(([key, child]) => [key, child instanceof Map ? treeOf(child) : child]));
  if (isNumbered(nested)) return Array.from({ length: nested.size }, (_, i) => nested.get(String(i)));
  return Object.fromEntries(nested);
}
