import { EvenkeelError } from "./errors.ts";
import { isTensor, type Tensor } from "./graph/tensor.ts";

/** Values nested in plain objects and arrays; leaves are tensors or static values. */
export type Tree<Leaf> = Leaf | Static | readonly Tree<Leaf>[] | { readonly [key: string]: Tree<Leaf> };

/** What a tree may hold beside its leaves. Part of a compiled function's signature: another value is another program. */
export type Static = number | string | boolean | null | undefined;

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
  ignoreRejection(tree);
  throw new EvenkeelError(
    "value",
    `a tree holds tensors, numbers, strings, booleans, arrays and plain objects; ${path === "" ? "the value" : path} is ` +
      `${describeValue(tree)}. ${adviceFor(tree)}`,
  );
}

/**
 * @internal Refuses what an asynchronous function gave.
 * @throws EvenkeelError `trace`
 */
export function refuseAsynchronous(operation: string, result: unknown): void {
  if (!isPromise(result)) return;
  ignoreRejection(result);
  throw new EvenkeelError(
    "trace",
    `${operation}: the function is asynchronous. It must build its result without awaiting anything: values don't exist yet ` +
      "while it is recorded. Read them outside, or pass them as arguments.",
  );
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** One error is enough: a promise that is refused may reject as well, and nobody else looks at it. */
function ignoreRejection(value: unknown): void {
  if (isPromise(value)) value.then(undefined, () => undefined);
}

function isStatic(value: unknown): value is Static {
  return value === null || value === undefined || ["number", "string", "boolean"].includes(typeof value);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** @internal What a value is, in words. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isPromise(value)) return "a promise";
  if (typeof value !== "object") return `a ${typeof value}`;
  if (isPlainObject(value)) return "a plain object";
  const name: unknown = (value.constructor as { readonly name?: unknown } | undefined)?.name;
  return typeof name === "string" && name !== "" ? `an instance of ${name}` : "an instance of a class";
}

function adviceFor(value: unknown): string {
  if (isPromise(value)) return "Await it first.";
  if (typeof value === "function") return "Close over functions instead of passing them.";
  if (ArrayBuffer.isView(value)) return "Make it a tensor: tensor(...).";
  if (typeof value === "object") {
    return "Give a plain object with the tensors it holds ({ ...instance } copies its own fields); a State is an argument of its own.";
  }
  return "";
}

/**
 * The tensors of a tree with their paths, in the order of their keys. @throws EvenkeelError `value` for class instances and functions.
 * @example console.log(treeLeaves({ a: scalar(1), layers: [zeros([2]), zeros([3])] }).map(({ path }) => path)); // [ 'a', 'layers[0]', 'layers[1]' ]
 */
export function treeLeaves(tree: unknown, path = ""): TreeLeaf[] {
  const leaves: TreeLeaf[] = [];
  visit(tree, path, (tensor, at) => void leaves.push({ path: at, tensor }));
  return leaves;
}

/** As many tensors as there are trees. */
type TensorsOf<Trees extends readonly unknown[]> = { readonly [K in keyof Trees]: Tensor };

/**
 * The tree with every tensor replaced. Static values stay.
 * @example
 * ```ts
 * const tree = { layers: [{ weight: tensor([1, 2]) }], steps: 3 };
 * const doubled = mapTree(tree, (each) => each.multiply(2));
 * console.log(await doubled.layers[0]?.weight.array(), doubled.steps); // [ 2, 4 ] 3
 * const sums = mapTree((x, y) => x.add(y), tree, doubled);
 * console.log(await sums.layers[0]?.weight.array()); // [ 3, 6 ]
 * ```
 */
export function mapTree<T>(tree: T, replace: (tensor: Tensor, path: string) => Tensor, path?: string): T;
export function mapTree(tree: unknown, replace: (tensor: Tensor, path: string) => unknown, path?: string): unknown;
/**
 * Several trees of one structure as one tree: each tensor is what `combine` makes of those at its place, as in
 * `mapTree((x, g) => subtract(x, multiply(g, rate)), parameters, gradients)`. Static values are those of the first tree.
 * @throws EvenkeelError `value` where the trees differ in their keys, in the lengths of arrays, or in what is a tensor.
 */
export function mapTree<T, Others extends readonly unknown[]>(
  combine: (tensor: Tensor, ...others: TensorsOf<Others>) => Tensor,
  tree: T,
  ...others: Others
): T;
export function mapTree<Others extends readonly unknown[]>(
  combine: (tensor: Tensor, ...others: TensorsOf<Others>) => unknown,
  tree: unknown,
  ...others: Others
): unknown;
export function mapTree(first: unknown, second: unknown, ...rest: readonly unknown[]): unknown {
  if (typeof first === "function") {
    return combineTrees(first as (...tensors: Tensor[]) => unknown, [second, ...rest], "");
  }
  const [path = ""] = rest as readonly [string?];
  return visit(first, path, second as (tensor: Tensor, path: string) => unknown);
}

function combineTrees(combine: (...tensors: Tensor[]) => unknown, trees: readonly unknown[], path: string): unknown {
  const [tree, ...others] = trees;
  others.forEach((other, i) => requireSameLevel(tree, other, path, i + 2));
  if (isTensor(tree)) return combine(...(trees as Tensor[]));
  if (Array.isArray(tree)) {
    const children = (i: number): unknown[] => (trees as readonly (readonly unknown[])[]).map((each) => each[i]);
    return tree.map((_, i) => combineTrees(combine, children(i), `${path}[${i}]`));
  }
  // What isn't a plain object is static, or refused as in any tree.
  if (typeof tree !== "object" || tree === null || !isPlainObject(tree)) return visit(tree, path, () => tree);
  const children = (key: string): unknown[] =>
    (trees as readonly Readonly<Record<string, unknown>>[]).map((each) => each[key]);
  return Object.fromEntries(
    Object.keys(tree).map((key) => [key, combineTrees(combine, children(key), childPath(path, key))]),
  );
}

/** @throws EvenkeelError `value` if tree number `number` isn't at this place what the first one is. */
function requireSameLevel(tree: unknown, other: unknown, path: string, number: number): void {
  const kindOf = (value: unknown): string => {
    if (isTensor(value)) return "a tensor";
    return isStatic(value) ? "no tensor" : describeValue(value);
  };
  const keysOf = (value: unknown): string[] =>
    typeof value === "object" && value !== null && isPlainObject(value) ? Object.keys(value) : [];
  const [wanted, given] = [kindOf(tree), kindOf(other)];
  const missing = keysOf(tree).filter((key) => !keysOf(other).includes(key));
  const surplus = keysOf(other).filter((key) => !keysOf(tree).includes(key));
  if (wanted === given && missing.length + surplus.length === 0) return;
  const what =
    wanted !== given
      ? `${given} where the first has ${wanted}`
      : missing.length > 0
        ? `without ${missing.join(", ")}, which the first has`
        : `with ${surplus.join(", ")}, which the first hasn't`;
  throw new EvenkeelError(
    "value",
    `mapTree: trees of one structure are expected, but tree ${number} is ${what}${path === "" ? "" : `, at ${path}`}.`,
  );
}

/**
 * The tree with its tensors replaced by those of a list, in the order of `treeLeaves`.
 * @example
 * ```ts
 * const { a, b } = fillTree({ a: scalar(0), b: scalar(0) }, [scalar(1), scalar(2)]);
 * console.log(await a.item(), await b.item()); // 1 2
 * ```
 */
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
