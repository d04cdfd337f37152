/** Derivatives of loops: loops in the other direction, over what was carried into each iteration. */
import { makeNode } from "../graph/graph.ts";
import { loopCallKey, type LoopCall, loopCallsOf } from "../graph/loops.ts";
import type { LoopResult, Node, NodeOf } from "../graph/node.ts";
import { at } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import { zerosLike } from "../ops/creation.ts";
import { add } from "../ops/elementwise.ts";
import { Copies } from "./copies.ts";
import { scan } from "./scan.ts";

/** Derivatives of sum(<outputs[i], cotangents[i]>) with respect to nodes (`backward`). */
type Walk = (outputs: readonly Tensor[], cotangents: readonly Tensor[], wrt: readonly Tensor[]) => readonly Tensor[];

type Cotangents = ReadonlyMap<Node, Tensor>;

/** Tensors by their number among the carried ones, rows, or results of a loop; those that have no derivative are left out. */
type Numbered = { readonly [number: string]: Tensor };

export class LoopDerivatives {
  readonly #calls = new Map<string, LoopCall>();
  readonly #dependent: ReadonlySet<Node>;
  readonly #backward: Walk;

  /**
   * @param order all nodes that are walked over, in an order of computation
   * @param dependent those of which a derivative is asked for
   */
  constructor(order: readonly Node[], dependent: ReadonlySet<Node>, walk: Walk) {
    for (const call of loopCallsOf(order)) this.#calls.set(loopCallKey(at(call.results, 0)), call);
    this.#dependent = dependent;
    this.#backward = walk;
  }

  /**
   * For each input of a loop its derivative, or null, once all cotangents are there: at the first of its results, to which the walk comes
   * last. At others there is none.
   * @param seenFor the result as its rule is to see it, given the cotangent that asks for it
   */
  pull(node: NodeOf<"loop">, cotangents: Cotangents, seenFor: (cotangent: Tensor) => Node): readonly (Tensor | null)[] {
    const call = this.#calls.get(loopCallKey(node));
    if (call?.results[0] !== node) return [];
    const flowing = { carry: {}, stacked: {}, history: {} } as Record<string, Record<string, Tensor>>;
    let first: Tensor | undefined;
    for (const result of call.results) {
      const cotangent = cotangents.get(result);
      const { result: what } = result.attributes;
      if (cotangent === undefined || what.kind === "any") continue;
      first ??= cotangent;
      const group = flowing[what.kind];
      if (group === undefined) continue;
      // A derivative that was taken before may have asked for the same result with a node of its own.
      const other = group[what.index];
      group[what.index] = other === undefined ? cotangent : add(other, cotangent);
    }
    if (first === undefined) return [];
    return this.#derivatives(node, seenFor(first).inputs, flowing);
  }

  #derivatives(
    node: NodeOf<"loop">,
    inputs: readonly Node[],
    flowing: Readonly<Record<string, Numbered>>,
  ): readonly (Tensor | null)[] {
    const { loop } = node.attributes;
    const { body, carried, rows } = loop;
    const resultOf = (result: LoopResult): Tensor => new Tensor(makeNode("loop", inputs, { loop, result }));
    const isFloat = (input: Node): boolean => input.dtype === "f32";
    const isWanted = (index: number): boolean =>
      this.#dependent.has(at(node.inputs, index)) && isFloat(at(inputs, index));
    const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
    const moved = numbers(0, carried).filter((i) => isFloat(at(body.inputs, i)));
    const movedRows = numbers(carried, rows).filter(isWanted);
    const constants = numbers(carried + rows, inputs.length - carried - rows);
    const movedConstants = constants.filter(isWanted);

    const step = (
      { carry, sums }: { readonly carry: readonly Tensor[]; readonly sums: readonly Tensor[] },
      row: { readonly given: readonly Tensor[]; readonly stacked: Numbered; readonly history: Numbered },
    ) => {
      // Fresh nodes: of constants only uses within the loop count.
      const given = [...row.given, ...constants.map((i) => new Tensor(at(inputs, i)))].map(
        (x) => new Tensor(makeNode("reshape", [x.node], { shape: x.shape })),
      );
      const replaced = new Map<Node, Node>(body.inputs.map((input, i) => [input, at(given, i).node]));
      const outputs = new Copies(replaced).of(body.outputs).map((output) => new Tensor(output));
      const stacked = Object.entries(row.stacked);
      const derivatives = this.#backward(
        [...moved.map((i) => at(outputs, i)), ...stacked.map(([i]) => at(outputs, carried + Number(i)))],
        [...carry, ...stacked.map(([, cotangent]) => cotangent)],
        [...moved, ...movedRows, ...movedConstants].map((i) => at(given, i)),
      );
      const after = derivatives.slice(0, moved.length).map((derivative, i) => {
        const kept = row.history[String(at(moved, i))];
        return kept === undefined ? derivative : add(derivative, kept);
      });
      const own = derivatives.slice(moved.length + movedRows.length);
      return {
        carry: { carry: after, sums: sums.map((sum, i) => add(sum, at(own, i))) },
        y: derivatives.slice(moved.length, moved.length + movedRows.length),
      };
    };
    const { carry, ys } = scan(
      step,
      {
        carry: moved.map((i) => flowing["carry"]?.[String(i)] ?? zerosLike(new Tensor(at(body.inputs, i)))),
        sums: movedConstants.map((i) => zerosLike(new Tensor(at(inputs, i)))),
      },
      {
        given: [
          ...numbers(0, carried).map((index) => resultOf({ kind: "history", index })),
          ...numbers(carried, rows).map((i) => new Tensor(at(inputs, i))),
        ],
        stacked: flowing["stacked"] ?? {},
        history: flowing["history"] ?? {},
      },
      { length: loop.length, reverse: !loop.reverse },
    );
    return inputs.map((_, i) => {
      if (i < carried) return carry.carry[moved.indexOf(i)] ?? null;
      return (i < carried + rows ? ys[movedRows.indexOf(i)] : carry.sums[movedConstants.indexOf(i)]) ?? null;
    });
  }
}
