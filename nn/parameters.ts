import { EvenkeelError, foldIn, type Shape, type Tensor } from "../engine/index.ts";
import { drawArray, type Initializer } from "./initializers.ts";
import { requireNames } from "./requireNames.ts";

/**
 * What an array of a network is: a `weight` is trained and, in some networks, normalized for each output;
 * a `gain` is a trained scalar; a `bias` and a `scale` are trained vectors that are never normalized; a `buffer` is drawn
 * once and stays.
 */
export type ParameterRole = "weight" | "gain" | "bias" | "scale" | "buffer";

/** An array of a network before it has values. */
export type ParameterSpec = {
  readonly shape: Shape;
  readonly role: ParameterRole;
  readonly init: Initializer;
  /** Training sets it to unit magnitude for each output before every step. Absent: it doesn't. */
  readonly isForced?: true;
};

/** Arrays by their full names, e.g. `enc.16x16_block0.conv_res0.weight`. */
export type NamedParameters<Leaf = Tensor> = Readonly<Record<string, Leaf>>;

/** A tree of specifications with an array in the place of each. */
export type Drawn<Specs> = Specs extends ParameterSpec
  ? Tensor
  : Specs extends NamedParameters<ParameterSpec>
    ? string extends keyof Specs
      ? Record<string, Tensor>
      : { readonly [K in keyof Specs]: Drawn<Specs[K]> }
    : Specs extends object
      ? { readonly [K in keyof Specs]: Drawn<Specs[K]> }
      : Specs;

/** Whether a node of a tree of specifications is one. A module may have arrays called `role` and `init`, but no strings. */
export function isParameterSpec(node: unknown): node is ParameterSpec {
  return typeof node === "object" && node !== null && "role" in node && typeof node.role === "string";
}

/** A tree with something in the place of each specification, in the order of its keys. */
function mapSpecs(tree: unknown, replace: (spec: ParameterSpec) => unknown): unknown {
  if (isParameterSpec(tree)) return replace(tree);
  if (Array.isArray(tree)) return tree.map((child) => mapSpecs(child, replace));
  if (typeof tree !== "object" || tree === null) return tree;
  return Object.fromEntries(Object.entries(tree).map(([key, child]) => [key, mapSpecs(child, replace)]));
}

/**
 * Draws every array of a network, given as a tree or by name. Each depends on the key and its own place in the order of the keys alone.
 * Nothing is computed yet: `createState` draws them where they are to be.
 * @example
 * ```ts
 * import { randomKey } from "evenkeel/engine";
 *
 * const { weight, bias } = initializeParameters(describeLinear(2, 3), randomKey(0));
 * console.log(weight.shape, bias?.shape); // [ 3, 2 ] [ 3 ]
 * ```
 */
export function initializeParameters<Specs extends object>(specs: Specs, key: Tensor): Drawn<Specs> {
  let place = 0;
  return mapSpecs(specs, ({ shape, init }) => drawArray(foldIn(key, place++), shape, init)) as Drawn<Specs>;
}

/**
 * The number of trained values of a network, given as a tree or by name: buffers don't count.
 * @example console.log(countParameters(describeLinear(2, 3))); // 9
 */
export function countParameters(specs: object): number {
  let count = 0;
  mapSpecs(specs, ({ role, shape }) => {
    if (role !== "buffer") count += shape.reduce((size, extent) => size * extent, 1);
  });
  return count;
}

/**
 * Checks that named arrays are those of a network. @throws EvenkeelError `shape` that names what is missing, too much or of another
 * shape.
 * @example
 * ```ts
 * const specs = flattenParameters<ParameterSpec>(describeLinear(2, 3));
 * try {
 *   checkParameters(specs, new Map([["weight", { shape: [3, 2] }]]), "old.safetensors");
 * } catch (error) {
 *   console.log((error as Error).message); // old.safetensors lacks "bias". Is it of another configuration?
 * }
 * ```
 */
export function checkParameters(
  specs: NamedParameters<ParameterSpec>,
  given: ReadonlyMap<string, { readonly shape: Shape }>,
  source: string,
): void {
  requireNames({
    source,
    wanted: new Set(Object.keys(specs)),
    given: given.keys(),
    about: "which the network doesn't",
    advice: " Is it of another configuration?",
  });
  for (const [name, { shape }] of Object.entries(specs)) {
    const got = given.get(name)?.shape ?? [];
    if (got.length !== shape.length || got.some((extent, axis) => extent !== shape[axis])) {
      throw new EvenkeelError(
        "shape",
        `${source}: ${name} is [${got.join(", ")}], expected [${shape.join(", ")}]. Is it of another configuration?`,
      );
    }
  }
}
