/** The plans of a graph: one, or those of its parts and of the bodies of its loops. */
import type { DeviceLimits } from "../devices/device.ts";
import { type Graph, makeNode, topologicalOrder } from "../graph/graph.ts";
import { onInputs } from "../graph/loops.ts";
import type { DType } from "../graph/dtype.ts";
import type { Loop, LoopResult, Node } from "../graph/node.ts";
import { at, type Shape, sizeOf } from "../graph/shape.ts";
import { Tensor } from "../graph/tensor.ts";
import type { Plan } from "../kernel/plan.ts";
import { add, concat, gather, or, reshape } from "../ops/index.ts";
import type { Donation } from "../passes/aliasOutputs.ts";
import { type OutputPlaces, planning } from "../passes/makePlan.ts";
import { optimizing } from "../passes/optimize.ts";
import { simplify } from "../passes/simplify.ts";
import { type Slot, splitAtLoops } from "./splitAtLoops.ts";
import { type StackLevel, stackLevels } from "./stacks.ts";

/** An array of a program between its parts. */
export type Own = { readonly dtype: DType; readonly length: number };

/** A graph as it is to be run. */
export type Planned =
  | { readonly kind: "whole"; readonly plan: Plan }
  | {
      readonly kind: "parts";
      readonly parts: readonly PlannedPart[];
      /** Gives the outputs. Its inputs are those of the program, then these. */
      readonly last: { readonly plan: Plan; readonly given: readonly Slot[] };
      readonly own: readonly Own[];
    };

export type PlannedPart =
  | { readonly kind: "plan"; readonly plan: Plan; readonly given: readonly Slot[]; readonly results: readonly Slot[] }
  | PlannedLoop;

/** Values of a loop that go from one iteration to the next. */
export type Carried = Own & {
  /** What goes into the first iteration: an array, or a number. */
  readonly first: Slot | number;
  /** Where what comes out of the last one goes. */
  readonly result: Slot | null;
};

export type PlannedLoop = {
  readonly kind: "loop";
  readonly length: number;
  readonly reverse: boolean;
  /** Gets what is carried and then `given`, gives what is carried on and then the values that are stacked. */
  readonly body: Planned;
  readonly given: readonly Slot[];
  readonly carried: readonly Carried[];
  readonly stacked: readonly (Own & { readonly result: Slot })[];
  /** The stacks of each array of `stacked`; none if nothing is stacked. */
  readonly levels: readonly StackLevel[];
  /** Each puts the stacks of one level together, for all of `stacked`; the next one those that this one makes. */
  readonly joins: readonly Plan[];
  /** Puts what is left together, highest stacks first (in time), and copies what is carried out. */
  readonly finish: Plan;
};

/** Sees what becomes of a graph. */
type Observe = (pass: string, after: Graph) => void;

/**
 * @param donations outputs that replace inputs
 * @param places of outputs that replace none
 */
export function* planningGraph(
  graph: Graph,
  limits: DeviceLimits,
  donations: readonly Donation[] = [],
  places: OutputPlaces = [],
  observe?: Observe,
): Generator<void, Planned> {
  // Simplified before it is cut, so that nothing is kept between parts that nobody needs.
  const whole = topologicalOrder(graph.outputs).some(({ kind }) => kind === "loop") ? simplify(graph) : graph;
  const split = splitAtLoops(whole);
  if (split === null) return { kind: "whole", plan: yield* plan(whole, limits, observe, donations, places) };
  const { parts, last, own } = split;
  const planned: PlannedPart[] = [];
  for (const part of parts) {
    const { given, results } = part;
    if (part.kind === "graph") {
      planned.push({ kind: "plan", plan: yield* plan(part.graph, limits, observe), given, results });
    } else {
      const wanted = part.call.results.map(({ attributes: { result } }, i) => ({ result, slot: at(results, i) }));
      planned.push(yield* planningLoop(part.call.loop, wanted, given, limits, observe));
    }
  }
  return {
    kind: "parts",
    parts: planned,
    last: { plan: yield* plan(last.graph, limits, observe, donations, places), given: last.given },
    own: own.map(ownOf),
  };
}

const ownOf = ({ dtype, shape }: { readonly dtype: DType; readonly shape: Shape }): Own => ({
  dtype,
  length: sizeOf(shape),
});

function* plan(
  graph: Graph,
  limits: DeviceLimits,
  observe?: Observe,
  donations: readonly Donation[] = [],
  places: OutputPlaces = [],
): Generator<void, Plan> {
  const optimized = yield* optimizing(graph, limits, observe);
  return yield* planning(optimized, limits, donations, places);
}

type Wanted = { readonly result: LoopResult; readonly slot: Slot };

function* planningLoop(
  loop: Loop,
  wanted: readonly Wanted[],
  given: readonly Slot[],
  limits: DeviceLimits,
  observe?: Observe,
): Generator<void, PlannedLoop> {
  const { length, reverse, carried, rows, body } = loop;
  const input = (dtype: DType, shape: Shape, name: string): Tensor =>
    new Tensor(makeNode("input", [], { dtype, shape, name: `loop ${name}` }));
  const counter = input("i32", [1], "counter");
  const arrays = body.inputs
    .slice(carried, carried + rows)
    .map(({ dtype, shape }) => input(dtype, [length, ...shape], "rows"));
  const replaced = new Map<Node, Node>(
    arrays.map((array, i) => {
      const row = at(body.inputs, carried + i);
      return [row, reshape(gather(array, counter), row.shape).node];
    }),
  );
  const checks = wanted.flatMap(({ result, slot }) => (result.kind === "any" ? [{ node: result.node, slot }] : []));
  const flags = checks.map(() => input("bool", [], "flag"));
  const stacks = wanted.flatMap(({ result, slot }) => {
    if (result.kind === "stacked") return [{ node: at(body.outputs, carried + result.index), slot }];
    return result.kind === "history" ? [{ node: at(body.inputs, result.index), slot }] : [];
  });
  const inner = onInputs(
    [...body.outputs.slice(0, carried), ...checks.map(({ node }) => node), ...stacks.map(({ node }) => node)],
    replaced,
  );
  const failed = flags.map((flag, i) => or(flag, new Tensor(at(inner, carried + i))).node);
  const outputs = [
    ...inner.slice(0, carried),
    ...failed,
    add(counter, reverse ? -1 : 1).node,
    ...inner.slice(carried + checks.length),
  ];
  const inputs = [
    ...body.inputs.slice(0, carried),
    ...[...flags, counter, ...arrays].map(({ node }) => node),
    ...body.inputs.slice(carried + rows),
  ];
  const resultOf = (index: number): Slot | null =>
    wanted.find(({ result }) => result.kind === "carry" && result.index === index)?.slot ?? null;
  const carriedOn: Carried[] = [
    ...body.inputs.slice(0, carried).map((node, i) => ({ ...ownOf(node), first: at(given, i), result: resultOf(i) })),
    ...checks.map(({ slot }) => ({ dtype: "bool" as const, length: 1, first: 0, result: slot })),
    { dtype: "i32", length: 1, first: reverse ? length - 1 : 0, result: null },
  ];
  const stacked = stacks.map(({ node, slot }) => ({ ...ownOf(node), result: slot }));
  const levels = stacked.length === 0 ? [] : stackLevels(length);
  const joins: Plan[] = [];
  for (const { height, most } of levels.slice(0, -1)) {
    joins.push(yield* plan(joining(stacked, new Array<number>(most).fill(height), reverse), limits));
  }
  // The oldest first.
  const left = levels.toReversed().flatMap((level) => new Array<number>(level.left).fill(level.height));
  const out = carriedOn.filter(({ result }) => result !== null);
  const finish = joining(stacked, left, reverse, out);
  return {
    kind: "loop",
    length,
    reverse,
    body: yield* planningGraph({ inputs: inputs as Graph["inputs"], outputs }, limits, [], [], observe),
    given: given.slice(carried),
    carried: carriedOn,
    stacked,
    levels,
    joins,
    finish: yield* plan(finish, limits),
  };
}

/** Puts stacks of all arrays together, which are given in the order of time; beside them values that are only copied. */
function joining(
  arrays: readonly Own[],
  heights: readonly number[],
  reverse: boolean,
  copied: readonly Own[] = [],
): Graph {
  const inputs: Graph["inputs"][number][] = [];
  const input = ({ dtype, length }: Own): Tensor => {
    const node = makeNode("input", [], { dtype, shape: [length], name: "stack" });
    inputs.push(node);
    return new Tensor(node);
  };
  const outputs = arrays.map(({ dtype, length }) => {
    const parts = heights.map((height) => input({ dtype, length: height * length }));
    return concat(reverse ? parts.reverse() : parts);
  });
  const copies = copied.map(input);
  return { inputs, outputs: [...outputs, ...copies].map(({ node }) => node) };
}
