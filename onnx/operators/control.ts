/** Operators that run graphs of their own: branches, of which one is chosen, and loops. */
import { flip, iota, permute, reshape, slice, squeeze, stack, type Tensor, where } from "../../engine/index.ts";
import { graph, integer, integers } from "../build/attributes.ts";
import { looped } from "../build/looped.ts";
import type { NodeCall, Result } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { ListValue, TensorValue, type Value } from "../build/value.ts";
import type { OnnxGraph } from "../format/model.ts";
import { axisOf, entry, upTo } from "./axes.ts";

/** More steps than this that are written out are taken for a mistake: every one becomes a part of the program. */
const mostSteps = 10_000;

/** What a loop costs whose steps can't be one body. */
const writtenOut = "steps that are written out one after the other, as they differ by more than numbers";

/** The same with one axis in another place. */
function moveAxis(x: Tensor, from: number, to: number): Tensor {
  const axes = upTo(x.rank).filter((axis) => axis !== from);
  return permute(x, axes.toSpliced(to, 0, from));
}

/** A known condition chooses a branch; else both are computed, and what comes of them is chosen from. */
function branch(call: NodeCall, whenTrue: OnnxGraph, whenFalse: OnnxGraph): readonly Result[] {
  const condition = call.value(0);
  if (condition.isKnown) return call.run(call.number(0) === 0 ? whenFalse : whenTrue, []);
  const others = call.run(whenFalse, []);
  return call.run(whenTrue, []).map((value, i) => {
    const other = others[i];
    if (!(value instanceof TensorValue) || !(other instanceof TensorValue)) {
      throw call.error("trace", "chooses between sequences by a value that is known only when the program runs.");
    }
    if (value.shape.join() !== other.shape.join() || value.type !== other.type) {
      throw call.error(
        "shape",
        `chooses between [${value.shape.join(", ")}] and [${other.shape.join(", ")}] by a value that is known only when the program ` +
          "runs: shapes can't depend on data. If the condition is an input of the model, give it as a plain number.",
      );
    }
    const chosen = where(reshape(condition.tensor, []), value.tensor, other.tensor);
    return TensorValue.computed("", value.type, chosen, false);
  });
}

/** Tensors of all steps as one, along a new first axis. */
function stacked(call: NodeCall, steps: readonly (Value | undefined)[], axis = 0): TensorValue {
  const items = steps.map((value) => {
    if (value instanceof TensorValue) return value;
    throw call.error("value", "gathers sequences over steps, which has no shape.");
  });
  const [first] = items;
  if (first === undefined) throw call.error("shape", "has no steps: the shape of what it gathers isn't known.");
  const all = stack(
    items.map(({ tensor }) => tensor),
    axis,
  );
  return TensorValue.computed(
    "",
    first.type,
    all,
    items.every(({ isKnown }) => isKnown),
  );
}

/** Inputs: how many steps at most, whether to begin, and what is carried on. The body has the step, the condition, what is carried. */
function loop(call: NodeCall, body: OnnxGraph): readonly Result[] {
  const most = call.has(0) ? call.number(0) : Infinity;
  const carriedCount = call.inputs.length - 2;
  let carried: readonly (Value | undefined)[] = call.inputs.slice(2);
  let goesOn: Value | undefined = call.inputs[1] ?? call.known("bool", [], Uint8Array.of(1));
  const first = goesOn;
  if (most < Infinity && first instanceof TensorValue && first.isKnown && first.numbers[0] !== 0) {
    const made = looped({
      length: most,
      carried,
      rows: [TensorValue.computed("", "i64", iota([most], 0), false)],
      firstRows: [call.known("i64", [], Float64Array.of(0))],
      body: (own, [step]) => {
        const [ends, ...results] = call.run(body, [step, first, ...own]);
        if (ends instanceof TensorValue && ends.isKnown && ends.numbers[0] !== 0) return results;
        throw call.error("trace", "may end early.");
      },
    });
    if (made !== undefined) return made;
  }
  call.tellRoundabout(writtenOut);
  const gathered: Value[][] = [];
  for (let step = 0; step < most; step++) {
    if (step === mostSteps) throw call.error("range", `has more than ${mostSteps} steps.`);
    if (!(goesOn instanceof TensorValue) || !goesOn.isKnown) {
      throw call.error("trace", "ends by a value that is known only when the program runs, which can't be expressed.");
    }
    if (goesOn.numbers[0] === 0) break;
    const results = call.run(body, [call.known("i64", [], Float64Array.of(step)), goesOn, ...carried]);
    goesOn = results[0];
    carried = results.slice(1, 1 + carriedCount);
    gathered.push(results.slice(1 + carriedCount));
  }
  const gatheredCount = body.outputs.length - 1 - carriedCount;
  return [
    ...carried,
    ...upTo(gatheredCount).map((i) =>
      stacked(
        call,
        gathered.map((step) => step[i]),
      ),
    ),
  ];
}

type ScanAttributes = {
  readonly body: OnnxGraph;
  readonly num_scan_inputs: number;
  readonly scan_input_axes: readonly number[] | undefined;
  readonly scan_input_directions: readonly number[] | undefined;
  readonly scan_output_axes: readonly number[] | undefined;
  readonly scan_output_directions: readonly number[] | undefined;
};

/** Inputs: states, then tensors of which each step gets one slice. Outputs: states, then one slice of each step. */
function scan(call: NodeCall, attributes: ScanAttributes): readonly Result[] {
  const { body, num_scan_inputs: count } = attributes;
  const stateCount = call.inputs.length - count;
  const scanned = upTo(count).map((i) => {
    const { tensor, type, isKnown } = call.value(stateCount + i);
    const axis = axisOf(call, attributes.scan_input_axes?.[i] ?? 0, tensor.rank);
    const x = attributes.scan_input_directions?.[i] === 1 ? flip(tensor, axis) : tensor;
    return { x, axis, type, isKnown };
  });
  const [first] = scanned;
  if (first === undefined) throw call.error("value", "scans nothing.");
  let states: readonly (Value | undefined)[] = call.inputs.slice(0, stateCount);
  const sliceOf = (step: number): TensorValue[] =>
    scanned.map(({ x, axis, type, isKnown }) => {
      const part = slice(x, [...upTo(axis).map(() => null), [step, step + 1]]);
      return TensorValue.computed("", type, squeeze(part, axis), isKnown);
    });
  const length = entry(call, first.x.shape, first.axis);
  const made =
    length === 0
      ? undefined
      : looped({
          length,
          carried: states,
          rows: scanned.map(({ x, axis, type }) => TensorValue.computed("", type, moveAxis(x, axis, 0), false)),
          firstRows: sliceOf(0),
          body: (own, rows) => call.run(body, [...own, ...rows]),
        });
  if (made !== undefined) {
    return made.map((value, i) => {
      if (i < stateCount) return value;
      const axis = axisOf(call, attributes.scan_output_axes?.[i - stateCount] ?? 0, value.shape.length);
      const isBackwards = attributes.scan_output_directions?.[i - stateCount] === 1;
      const inOrder = isBackwards ? flip(value.tensor, 0) : value.tensor;
      return TensorValue.computed("", value.type, moveAxis(inOrder, 0, axis), false);
    });
  }
  call.tellRoundabout(writtenOut);
  const outputs: Value[][] = [];
  for (const step of upTo(length)) {
    const results = call.run(body, [...states, ...sliceOf(step)]);
    states = results.slice(0, stateCount);
    outputs.push(results.slice(stateCount));
  }
  const gathered = upTo(body.outputs.length - stateCount).map((i) => {
    const isBackwards = attributes.scan_output_directions?.[i] === 1;
    const steps = outputs.map((step) => step[i]);
    return stacked(call, isBackwards ? steps.reverse() : steps, attributes.scan_output_axes?.[i] ?? 0);
  });
  return [...states, ...gathered];
}

/** The first version: all inputs have an axis of batches in front, which are scanned one by one. */
function scanBatches(
  call: NodeCall,
  body: OnnxGraph,
  count: number,
  directions: readonly number[] | undefined,
): readonly Result[] {
  if (call.has(0))
    throw call.error("value", "lengths of sequences are not known here: export the model with opset 9 or later.");
  const inputs = upTo(call.inputs.length - 1).map((i) => call.value(i + 1));
  const [first] = inputs;
  if (first === undefined) throw call.error("value", "scans nothing.");
  call.tellRoundabout("examples of a batch that are scanned one after the other");
  const rows = upTo(entry(call, first.shape, 0)).map((row) => {
    const own = inputs.map(({ tensor, type, isKnown }) =>
      TensorValue.computed("", type, squeeze(slice(tensor, [[row, row + 1]]), 0), isKnown),
    );
    return scan(call.with(own), {
      body,
      num_scan_inputs: count,
      scan_input_axes: undefined,
      scan_input_directions: directions,
      scan_output_axes: undefined,
      scan_output_directions: undefined,
    });
  });
  return upTo(body.outputs.length).map((i) =>
    stacked(
      call,
      rows.map((row) => {
        const result = row[i];
        return result instanceof TensorValue || result instanceof ListValue ? result : undefined;
      }),
    ),
  );
}

export const controls: OperatorTable = {
  If: operator({
    attributes: { then_branch: graph.required, else_branch: graph.required },
    build: (call, { then_branch: whenTrue, else_branch: whenFalse }) => branch(call, whenTrue, whenFalse),
  }),
  Loop: operator({
    numbers: [0, 1],
    attributes: { body: graph.required },
    build: (call, { body }) => loop(call, body),
  }),
  Scan: [
    operator({
      since: 8,
      attributes: { body: graph.required, num_scan_inputs: integer.required, directions: integers },
      build: (call, { body, num_scan_inputs: count, directions }) => scanBatches(call, body, count, directions),
    }),
    operator({
      since: 9,
      attributes: {
        body: graph.required,
        num_scan_inputs: integer.required,
        scan_input_axes: integers,
        scan_input_directions: integers,
        scan_output_axes: integers,
        scan_output_directions: integers,
      },
      build: scan,
    }),
  ],
};
