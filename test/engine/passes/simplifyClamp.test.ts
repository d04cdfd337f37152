/** The rule for `clamp`: it leaves a minimum of a maximum where that has the same bits, and of nothing else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { evaluateGraph } from "../../../engine/devices/oracle/evaluate.ts";
import { makeNode, topologicalOrder } from "../../../engine/graph/graph.ts";
import type { Node, NodeOf } from "../../../engine/graph/node.ts";
import { at } from "../../../engine/graph/shape.ts";
import {
  add,
  broadcastTo,
  clamp,
  equal,
  less,
  lessEqual,
  maximum,
  minimum,
  scalar,
  subtract,
  Tensor,
  where,
} from "../../../engine/index.ts";
import { simplify } from "../../../engine/passes/simplify.ts";

const numbers = [0, -0, 1, -1, 0.5, -2, 3, 1e-40, Infinity, -Infinity, NaN].map(Math.fround);
const pairs = numbers.flatMap((x) => numbers.map((y) => [x, y] as const));
const input = (name: string): { readonly tensor: Tensor; readonly node: NodeOf<"input"> } => {
  const node = makeNode("input", [], { dtype: "f32", shape: [pairs.length], name });
  return { tensor: new Tensor(node), node };
};
const [x, y] = [input("x"), input("y")];
const columns = [0, 1].map((i) => Float64Array.from(pairs, (pair) => at(pair, i)));

const simplified = ({ node }: Tensor): Node => at(simplify({ inputs: [x.node, y.node], outputs: [node] }).outputs, 0);
const choices = (node: Node): number => topologicalOrder([node]).filter(({ kind }) => kind === "select").length;

/** For all pairs of special numbers the same bits before and after (NaN is NaN, whatever its bits). */
function keepsValues(before: Tensor, after: Node): void {
  const values = (node: Node): number[] => [
    ...at(evaluateGraph({ inputs: [x.node, y.node], outputs: [node] }, columns), 0),
  ];
  assert.deepEqual(values(after), values(before.node));
}

/** What `clamp(v, low, high)` is made of; a part may be any other one. */
type Parts = {
  readonly raised: (v: Tensor, low: Tensor) => Tensor;
  readonly limited: (raised: Tensor, high: Tensor) => Tensor;
  readonly condition: (v: Tensor, low: Tensor) => Tensor;
  readonly within: (v: Tensor, high: Tensor) => Tensor;
  readonly chosen: (v: Tensor) => Tensor;
  readonly inner: (within: Tensor, chosen: Tensor, limited: Tensor) => Tensor;
};

const clampParts: Parts = {
  raised: maximum,
  limited: minimum,
  condition: (v, low) => lessEqual(low, v),
  within: lessEqual,
  chosen: (v) => v,
  inner: where,
};

/** What isn't the clamp's, although it is of the same kind, or has the same operands, or has some of them. */
const others: { readonly [K in keyof Parts]: readonly Parts[K][] } = {
  raised: [minimum, add, (v) => maximum(v, y.tensor), (v) => v, (_, low) => maximum(y.tensor, low)],
  limited: [
    maximum,
    subtract,
    (raised) => minimum(raised, y.tensor),
    () => y.tensor,
    (_, high) => minimum(y.tensor, high),
    () => where(less(y.tensor, 1), y.tensor, 2),
  ],
  condition: [
    lessEqual,
    (v, low) => less(low, v),
    (v, low) => equal(low, v),
    (v) => lessEqual(y.tensor, v),
    (_, low) => lessEqual(low, y.tensor),
  ],
  within: [
    less,
    equal,
    (v, high) => lessEqual(high, v),
    (v) => lessEqual(v, y.tensor),
    (_, high) => lessEqual(y.tensor, high),
  ],
  chosen: [() => y.tensor, (v) => add(v, 1)],
  inner: [
    () => y.tensor,
    (within, chosen) => where(within, chosen, y.tensor),
    (within, chosen, limited) => where(within, limited, chosen),
    (_, chosen, limited) => add(chosen, limited),
  ],
};

function build(parts: Parts, low: Tensor, high: Tensor): Tensor {
  const v = x.tensor;
  const limited = parts.limited(parts.raised(v, low), high);
  return where(parts.condition(v, low), parts.inner(parts.within(v, high), parts.chosen(v), limited), limited);
}

describe("simplify of clamp", () => {
  const [low, high] = [scalar(-1), scalar(2)];

  it("leaves a minimum of a maximum, also of repeated values", () => {
    const column = new Tensor(makeNode("input", [], { dtype: "f32", shape: [2, 1], name: "column" }));
    const whole = build(clampParts, low, high);
    for (const clamped of [clamp(x.tensor, -1, 2), clamp(broadcastTo(column, [2, 3]), -1, 2), whole]) {
      const node = simplified(clamped);
      const computed = topologicalOrder([node]).flatMap(({ kind, attributes }) =>
        kind === "binary" ? [attributes] : [],
      );
      assert.deepEqual([choices(node), computed], [0, [{ op: "maximum" }, { op: "minimum" }]]);
    }
    keepsValues(whole, simplified(whole));
  });

  it("leaves what differs from it in one part", () => {
    const differing: readonly (readonly [string, Parts])[] = [
      ...others.raised.map((raised) => ["raised", { ...clampParts, raised }] as const),
      ...others.limited.map((limited) => ["limited", { ...clampParts, limited }] as const),
      ...others.condition.map((condition) => ["condition", { ...clampParts, condition }] as const),
      ...others.within.map((within) => ["within", { ...clampParts, within }] as const),
      ...others.chosen.map((chosen) => ["chosen", { ...clampParts, chosen }] as const),
      ...others.inner.map((inner) => ["inner", { ...clampParts, inner }] as const),
    ];
    for (const [part, parts] of differing) {
      const before = build(parts, low, high);
      const after = simplified(before);
      assert.deepEqual([after.kind, choices(after)], ["select", choices(before.node)], part);
      keepsValues(before, after);
    }
  });

  it("has the same bits before and after, whatever its parts and bounds", () => {
    const bounds = fc.constantFrom(low, high, ...numbers.map((value) => scalar(value)), y.tensor);
    const partly = fc.record({
      raised: fc.constantFrom(clampParts.raised, ...others.raised),
      limited: fc.constantFrom(clampParts.limited, ...others.limited),
      condition: fc.constantFrom(clampParts.condition, ...others.condition),
      within: fc.constantFrom(clampParts.within, ...others.within),
      chosen: fc.constantFrom(clampParts.chosen, ...others.chosen),
      inner: fc.constantFrom(clampParts.inner, ...others.inner),
    });
    fc.assert(
      fc.property(fc.oneof(partly, fc.constant(clampParts)), bounds, bounds, (parts, lower, upper) => {
        const before = build(parts, lower, upper);
        keepsValues(before, simplified(before));
      }),
    );
  });

  it("keeps its choices exactly where a bound is 0 or no number", () => {
    for (const lower of [...numbers, y.tensor]) {
      for (const upper of [...numbers, y.tensor]) {
        const clamped = clamp(x.tensor, lower, upper);
        const node = simplified(clamped);
        const isKept = [lower, upper].some((bound) => bound === 0 || bound === y.tensor);
        assert.equal(choices(node), isKept ? 2 : 0);
        keepsValues(clamped, node);
      }
    }
  });
});
