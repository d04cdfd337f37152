/** Lists of tensors, whose lengths are part of the program's form. */
import { concat, squeeze, stack } from "../../engine/index.ts";
import { flag, graph, integer } from "../build/attributes.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { ListValue, TensorValue } from "../build/value.ts";
import type { OnnxGraph } from "../format/model.ts";
import { splitAlong } from "./shapes.ts";
import { axisOf, entry, upTo } from "./axes.ts";

/** A place in a list, counted from the front. @param end how many places there are */
function placeIn(call: NodeCall, i: number, end: number): number {
  const given = call.number(i);
  const place = given < 0 ? given + end : given;
  if (place < 0 || place >= end) throw call.error("range", `place ${given} is out of range for a sequence of ${end}.`);
  return place;
}

const isTensorValue = (value: unknown): value is TensorValue => value instanceof TensorValue;

function splitToSequence(call: NodeCall, axis: number, keepsAxis: boolean): Result {
  const { tensor: x, type } = call.value(0);
  const along = axisOf(call, axis, x.rank);
  const size = entry(call, x.shape, along);
  const given = call.optionalNumbers(1);
  const isOne = given !== undefined && call.value(1).shape.length === 0;
  const piece = isOne ? (given[0] ?? 1) : 1;
  const sizes =
    given !== undefined && !isOne ? given : upTo(Math.ceil(size / piece)).map((i) => Math.min(piece, size - i * piece));
  return new ListValue(
    splitAlong(call, along, sizes).map((part) =>
      call.typed(type, given === undefined && !keepsAxis ? squeeze(part, along) : part),
    ),
  );
}

/** A graph run for each item of a sequence; other inputs are the same each time, or sequences of as many items. */
function mapped(call: NodeCall, body: OnnxGraph): readonly Result[] {
  const length = call.list(0).length;
  const runs = upTo(length).map((i) =>
    call.run(
      body,
      call.inputs.map((value) => (value instanceof ListValue ? value.items[i] : value)),
    ),
  );
  return body.outputs.map(
    (_, k) => new ListValue(runs.flatMap((results) => results.slice(k, k + 1)).filter(isTensorValue)),
  );
}

export const sequences: OperatorTable = {
  SequenceConstruct: operator({
    since: 11,
    build: (call) => new ListValue(call.inputs.filter(isTensorValue)),
  }),
  SequenceEmpty: operator({
    since: 11,
    attributes: { dtype: integer },
    build: () => new ListValue([]),
  }),
  SequenceLength: operator({
    since: 11,
    build: (call) => call.known("i64", [], Float64Array.of(call.list(0).length)),
  }),
  SequenceAt: operator({
    since: 11,
    numbers: [1],
    build: (call) => call.list(0)[placeIn(call, 1, call.list(0).length)],
  }),
  SequenceErase: operator({
    since: 11,
    numbers: [1],
    build: (call) => {
      const items = call.list(0);
      const place = call.has(1) ? placeIn(call, 1, items.length) : items.length - 1;
      return new ListValue(items.filter((_, i) => i !== place));
    },
  }),
  SequenceInsert: operator({
    since: 11,
    numbers: [2],
    build: (call) => {
      const items = [...call.list(0)];
      // Behind the last is a place, too; negative ones are counted without it.
      const place = call.has(2) ? placeIn(call, 2, items.length + (call.number(2) < 0 ? 0 : 1)) : items.length;
      items.splice(place, 0, call.value(1));
      return new ListValue(items);
    },
  }),
  SequenceMap: operator({
    since: 17,
    attributes: { body: graph.required },
    build: (call, { body }) => mapped(call, body),
  }),
  SplitToSequence: operator({
    since: 11,
    numbers: [1],
    attributes: { axis: integer.or(0), keepdims: flag(true) },
    build: (call, { axis, keepdims }) => splitToSequence(call, axis, keepdims),
  }),
  ConcatFromSequence: operator({
    since: 11,
    attributes: { axis: integer.required, new_axis: flag(false) },
    build: (call, { axis, new_axis: isNew }) => {
      const parts = call.list(0).map(({ tensor }) => tensor);
      return isNew ? stack(parts, axis) : concat(parts, axis);
    },
  }),
};
