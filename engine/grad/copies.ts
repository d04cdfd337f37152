/**
 * Nodes made again on other inputs, as derivatives need them: with them go the regions that `checkpoint` has marked, and what the rules of
 * `customVjp` read by closure is exchanged, too.
 */
import { makeNode, nextNodeId, topologicalOrder, withInputs } from "../graph/graph.ts";
import { newLoopId } from "../graph/loops.ts";
import type { CustomCall, DerivativeRule, Loop, Node, Region } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { isOrHoldsCustomRule, newCallId } from "./customCalls.ts";

export class Copies {
  readonly #copies: Map<Node, Node>;
  /** Nodes that have a copy, or are their own. */
  readonly #done: Set<Node>;
  readonly #calls = new Map<CustomCall, CustomCall>();
  readonly #loops = new Map<Loop, Loop>();
  readonly #around: Copies | null;

  /**
   * @param replaced nodes that others stand for
   * @param around of the body of a loop that is copied: what is exchanged around that
   */
  constructor(replaced: ReadonlyMap<Node, Node> = new Map(), around: Copies | null = null) {
    this.#copies = new Map(replaced);
    this.#done = new Set(replaced.keys());
    this.#around = around;
  }

  /** The copy of a node, if it has one. */
  get(node: Node): Node | undefined {
    return this.#copies.get(node);
  }

  /** Copies of nodes with all that they need; what reads nothing that is replaced is its own. */
  of(outputs: readonly Node[]): Node[] {
    this.add(topologicalOrder(outputs, this.#done));
    return outputs.map((node) => this.#copies.get(node) ?? node);
  }

  /**
   * Makes copies of nodes alone.
   * @param read what stands for inputs that have no copy
   */
  add(nodes: readonly Node[], read: (input: Node) => Node = (input) => input): void {
    // In the order in which they were made, so that regions stay ranges of numbers.
    const order = [...nodes].sort((a, b) => a.id - b.id);
    const starts: number[] = [];
    const ends: number[] = [];
    const regions = new Map<Region, Region>();
    const copyOfRegion = (region: Region): Region => {
      const known = regions.get(region);
      if (known !== undefined) return known;
      const [first, end] = [firstFrom(order, region.first), firstFrom(order, region.end)];
      const copy = first < end ? { first: at(starts, first), end: at(ends, end - 1) } : { first: 0, end: 0 };
      regions.set(region, copy);
      return copy;
    };
    for (const node of order) {
      const inputs = node.inputs.map((input) => this.#copies.get(input) ?? read(input));
      starts.push(nextNodeId());
      this.#done.add(node);
      const isSame = inputs.every((input, i) => input === node.inputs[i]) && !this.#hasRuleFromAround(node);
      this.#copies.set(node, isSame ? node : this.#onInputs(node, inputs, copyOfRegion));
      ends.push(nextNodeId());
    }
  }

  /** Whether rules that go with a node may read what is exchanged around this body. */
  #hasRuleFromAround(node: Node): boolean {
    return this.#around !== null && isOrHoldsCustomRule(node);
  }

  #onInputs(node: Node, inputs: readonly Node[], copyOfRegion: (region: Region) => Region): Node {
    if (node.kind === "ruled") {
      const rule = this.#ruleOf(node.attributes.rule, copyOfRegion);
      return makeNode("ruled", inputs as (typeof node)["inputs"], { rule });
    }
    if (node.kind !== "loop") return withInputs(node, inputs);
    return makeNode("loop", inputs, { ...node.attributes, loop: this.#loopOf(node.attributes.loop) });
  }

  #ruleOf(rule: DerivativeRule, copyOfRegion: (region: Region) => Region): DerivativeRule {
    switch (rule.kind) {
      case "surrogate":
        return rule;
      case "recompute":
        return { kind: "recompute", region: copyOfRegion(rule.region) };
      case "custom":
        return { ...rule, call: this.#callOf(rule.call) };
    }
  }

  /** A call whose derivatives are those of the given one as this exchanges nodes. */
  #callOf(call: CustomCall): CustomCall {
    const known = this.#calls.get(call);
    if (known !== undefined) return known;
    const given = this.#around === null ? call : this.#around.#callOf(call);
    const pull: CustomCall["pull"] = (args, cotangents) => {
      // They are there already as they are to be: what they come from is not the rule's.
      for (const node of [...args, ...cotangents]) if (node !== null) this.#done.add(node);
      const derivatives = given.pull(args, cotangents);
      const copies = this.of(derivatives.filter((derivative) => derivative !== null));
      let next = 0;
      return derivatives.map((derivative) => (derivative === null ? null : at(copies, next++)));
    };
    const copy: CustomCall = { id: newCallId(), pull };
    this.#calls.set(call, copy);
    return copy;
  }

  /** A loop the rules of whose body may read what is replaced. */
  #loopOf(loop: Loop): Loop {
    const known = this.#loops.get(loop);
    if (known !== undefined) return known;
    const { inputs, outputs } = loop.body;
    const body = { inputs, outputs: new Copies(new Map(inputs.map((input) => [input, input])), this).of(outputs) };
    const isSame = body.outputs.every((output, i) => output === outputs[i]);
    const copy = isSame ? loop : { ...loop, id: newLoopId(), body };
    this.#loops.set(loop, copy);
    return copy;
  }
}

/** The place of the first node whose number is at least `id`, in an order of numbers. */
function firstFrom(order: readonly Node[], id: number): number {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(order, middle).id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
