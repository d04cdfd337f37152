/** Calls that bring their derivatives along, as the walk back over a graph meets their results. */
import { EvenkeelError } from "../errors.ts";
import { topologicalOrder } from "../graph/graph.ts";
import type { Node, NodeOf } from "../graph/node.ts";
import { Tensor } from "../graph/tensor.ts";
import { dependents } from "./dependents.ts";

type Result = NodeOf<"ruled">;

let calls = 0;

/** A number for a call. */
export function newCallId(): number {
  return calls++;
}

/** Whether a node is the result of a call that brings its derivative along, or of a loop with such a call in its body. */
export function isOrHoldsCustomRule(node: Node): boolean {
  if (node.kind === "loop") return topologicalOrder(node.attributes.loop.body.outputs).some(isOrHoldsCustomRule);
  return node.kind === "ruled" && node.attributes.rule.kind === "custom";
}

export class CustomCalls {
  readonly #sources: ReadonlySet<Node>;
  /** By call the results that are used, in the order of computation. */
  readonly #results = new Map<string, Result[]>();

  /** @param order all nodes that are walked over, in an order of computation */
  constructor(order: readonly Node[], sources: ReadonlySet<Node>) {
    this.#sources = sources;
    for (const node of order) {
      if (node.kind !== "ruled" || node.attributes.rule.kind !== "custom") continue;
      const key = keyOf(node);
      const known = this.#results.get(key);
      if (known === undefined) this.#results.set(key, [node]);
      else known.push(node);
    }
  }

  /**
   * For each tensor of the arguments of a call its derivative, once all cotangents are there: at the first of its results, to which the
   * walk comes last. At others there is none.
   * @param cotangents what has been collected
   * @param seenFor the result as the rule is to see it, given the cotangent that asks for it
   */
  pull(
    node: Result,
    cotangents: ReadonlyMap<Node, Tensor>,
    seenFor: (cotangent: Tensor) => Node,
  ): readonly (Tensor | null)[] {
    const { rule } = node.attributes;
    const results = this.#results.get(keyOf(node)) ?? [];
    if (rule.kind !== "custom" || results[0] !== node) return [];
    const collected: (Node | null)[] = [];
    let first: Tensor | undefined;
    for (const result of results) {
      const cotangent = cotangents.get(result);
      if (cotangent === undefined || result.attributes.rule.kind !== "custom") continue;
      first ??= cotangent;
      collected[result.attributes.rule.result] = cotangent.node;
    }
    if (first === undefined) return [];
    this.#requireOwn(results);
    const derivatives = rule.call.pull(seenFor(first).inputs.slice(1), collected);
    return derivatives.map((derivative) => (derivative === null ? null : new Tensor(derivative)));
  }

  /** Nothing tells the derivative by what the function reads besides its arguments. */
  #requireOwn(results: readonly Result[]): void {
    const args = new Set(results.flatMap(({ inputs }) => inputs.slice(1)));
    const values = results.map(({ inputs }) => inputs[0]);
    const dependent = dependents(topologicalOrder(values, args), this.#sources);
    if (!values.some((value) => dependent.has(value))) return;
    throw new EvenkeelError(
      "trace",
      "customVjp: the function uses a tensor from outside that a derivative is asked for. Pass it as an argument, so that `backward` " +
        "gives the derivative by it, or stop its derivative with stopGradient.",
    );
  }
}

/** Equal for the results of one call: copies of a call have arguments of their own. */
function keyOf(node: Result): string {
  const { rule } = node.attributes;
  const call = rule.kind === "custom" ? rule.call.id : -1;
  return `${call} ${node.inputs
    .slice(1)
    .map(({ id }) => id)
    .join()}`;
}
