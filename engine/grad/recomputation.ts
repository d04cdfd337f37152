/**
 * Values of regions that `checkpoint` has marked, computed a second time where the rules of derivatives ask for them: of what such a
 * region reads, behind the first cotangent that gets there. The walk itself goes over the nodes as they were first made, so that every
 * sum is that of a walk without such regions, bit for bit.
 */
import { makeNode } from "../graph/graph.ts";
import type { Node, Region } from "../graph/node.ts";
import { uniformValue } from "../graph/uniform.ts";
import { Copies } from "./copies.ts";

export class Recomputation {
  readonly #order: readonly Node[];
  /** Those around others come first. */
  readonly #regions: readonly Region[];
  readonly #copies = new Map<Region, Copies>();

  /** @param order all nodes that are walked over, in an order of computation */
  constructor(order: readonly Node[]) {
    const regions = new Set<Region>();
    for (const node of order) {
      if (node.kind === "ruled" && node.attributes.rule.kind === "recompute") regions.add(node.attributes.rule.region);
    }
    this.#regions = [...regions].sort((a, b) => a.first - b.first || b.end - a.end);
    this.#order = regions.size === 0 ? [] : [...order];
  }

  /** The node that the rule of `node` is to see, itself or computed again; its inputs are those that the rule is to see. */
  seen(node: Node, cotangent: Node): Node {
    const around = this.#regions.filter((region) => isIn(node, region));
    let seen = node;
    around.forEach((region, depth) => {
      const copies = this.#copies.get(region) ?? this.#copy(region, around.slice(0, depth), cotangent);
      seen = copies.get(node) ?? seen;
    });
    return seen;
  }

  /** @param around the regions that this one lies in, which have been copied */
  #copy(region: Region, around: readonly Region[], cotangent: Node): Copies {
    const copies = new Copies();
    const inputs = new Map<Node, Node>();
    /** What the region reads of outside. */
    const read = (input: Node): Node => {
      const holder = around.findLast((outer) => isIn(input, outer));
      const value = holder === undefined ? input : (this.#copies.get(holder)?.get(input) ?? input);
      if (value.kind === "constant" || uniformValue(value) !== undefined) return value;
      const known = inputs.get(value) ?? makeNode("barrier", [value, cotangent], {});
      inputs.set(value, known);
      return known;
    };
    copies.add(
      this.#order.filter((node) => isIn(node, region)),
      read,
    );
    this.#copies.set(region, copies);
    return copies;
  }
}

function isIn(node: Node, { first, end }: Region): boolean {
  return node.id >= first && node.id < end;
}
