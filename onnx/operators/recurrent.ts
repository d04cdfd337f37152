/** Recurrent networks: loops over time, whose length is part of the shape. */
import {
  add,
  cast,
  elu,
  expandDims,
  iota,
  leakyRelu,
  less,
  matmul,
  multiply,
  permute,
  relu,
  scan,
  sigmoid,
  slice,
  softplus,
  split,
  squeeze,
  stack,
  subtract,
  tanh,
  type Tensor,
  transpose,
  where,
  zeros,
} from "../../engine/index.ts";
import { flag, float, floats, integer, oneOf, texts, unused } from "../build/attributes.ts";
import type { NodeCall } from "../build/nodeCall.ts";
import { operator, type OperatorTable } from "../build/operator.ts";
import { entry, upTo } from "./axes.ts";
import { hardSigmoid, softsign } from "./softSteps.ts";

type Activation = (x: Tensor) => Tensor;

/** By their names in small letters, with the parameters that ONNX assumes. */
const activations: { readonly [name: string]: Activation } = {
  sigmoid,
  tanh,
  relu,
  softplus,
  softsign,
  hardsigmoid: (x) => hardSigmoid(x),
  elu: (x) => elu(x),
  leakyrelu: (x) => leakyRelu(x),
};

/** What one direction does with states: weights [hidden, gates], their biases [gates], peepholes. */
type Weights = {
  readonly state: Tensor;
  readonly bias: Tensor | undefined;
  readonly peephole: Tensor | undefined;
};

/** The states, of which the first is the output, one step later. `x`: what the input gives to the gates, its bias included. */
type Step = (x: Tensor, states: readonly Tensor[], activate: readonly Activation[]) => readonly Tensor[];

type RecurrentAttributes = {
  readonly hidden_size: number;
  readonly direction: "forward" | "reverse" | "bidirectional";
  readonly activations: readonly string[] | undefined;
  readonly activation_alpha: readonly number[] | undefined;
  readonly activation_beta: readonly number[] | undefined;
  readonly clip: number | undefined;
  readonly isBatchFirst: boolean;
};

const gatesOf = (x: Tensor, count: number): Tensor[] =>
  split(x, new Array<number>(count).fill((x.shape.at(-1) ?? 0) / count), -1);

function activationsOf(call: NodeCall, attributes: RecurrentAttributes, defaults: readonly string[]): Activation[][] {
  const { direction, activation_alpha: alpha, activation_beta: beta, clip } = attributes;
  if (clip !== undefined) throw call.error("value", "attribute clip is not known: export the model without it.");
  if (alpha !== undefined || beta !== undefined) {
    throw call.error("value", "parameters of activations (activation_alpha, activation_beta) are not known.");
  }
  const directions = direction === "bidirectional" ? 2 : 1;
  const names = attributes.activations ?? upTo(directions).flatMap(() => defaults);
  const all = names.map((name) => {
    const found = activations[name.toLowerCase()];
    if (found === undefined) throw call.error("value", `activation ${JSON.stringify(name)} is not known.`);
    return found;
  });
  if (all.length !== directions * defaults.length) {
    throw call.error("value", `has ${all.length} activations, expected ${directions * defaults.length}.`);
  }
  return upTo(directions).map((d) => all.slice(d * defaults.length, (d + 1) * defaults.length));
}

/** Runs a cell over time, in one direction or both. @param states how many there are */
function runOverTime(
  call: NodeCall,
  attributes: RecurrentAttributes,
  defaults: readonly string[],
  states: number,
  cell: (weights: Weights) => Step,
): Tensor[] {
  const { hidden_size: hidden, direction, isBatchFirst } = attributes;
  const activate = activationsOf(call, attributes, defaults);
  const timeFirst = (x: Tensor): Tensor => (isBatchFirst ? permute(x, [1, 0, 2]) : x);
  const x = timeFirst(call.tensor(0));
  const [steps, batch] = [entry(call, x.shape, 0), entry(call, x.shape, 1)];
  const lengths = call.has(4) ? expandDims(cast(call.tensor(4), "i32"), 1) : undefined;
  const part = (value: Tensor, i: number): Tensor => squeeze(slice(value, [[i, i + 1]]), 0);
  const optionalPart = (i: number, d: number): Tensor | undefined => {
    const value = call.optionalTensor(i);
    return value === undefined ? undefined : part(value, d);
  };
  const runs = activate.map((own, d) => {
    const [ofInput, ofState] = halvesOf(optionalPart(3, d));
    const step = cell({ state: transpose(part(call.tensor(2), d)), bias: ofState, peephole: optionalPart(7, d) });
    const first = upTo(states).map((i) => {
      const given = call.optionalTensor(5 + i);
      return given === undefined ? zeros([batch, hidden]) : part(timeFirst(given), d);
    });
    // All times at once: one product in the place of many.
    const gates = plus(matmul(x, transpose(part(call.tensor(1), d))), ofInput);
    const { carry: last, ys: outputs } = scan(
      (before: readonly Tensor[], row: { readonly gates: Tensor; readonly time: Tensor }) => {
        const next = step(row.gates, before, own);
        const [output = row.gates] = next;
        if (lengths === undefined) return { carry: next, y: output };
        const isThere = less(row.time, lengths);
        const kept = next.map((state, i) => where(isThere, state, before[i] ?? state));
        return { carry: kept, y: where(isThere, output, 0) };
      },
      first as readonly Tensor[],
      { gates, time: iota([steps], 0) },
      { reverse: direction === "reverse" || d === 1 },
    );
    return { outputs, last };
  });
  const y = stack(
    runs.map(({ outputs }) => outputs),
    1,
  );
  const last = upTo(states).map((i) => {
    return stack(
      runs.map(({ last: own }) => own[i] ?? y),
      isBatchFirst ? 1 : 0,
    );
  });
  return [isBatchFirst ? permute(y, [2, 0, 1, 3]) : y, ...last];
}

const plus = (x: Tensor, bias: Tensor | undefined): Tensor => (bias === undefined ? x : add(x, bias));

/** Biases of inputs and of states, which lie behind each other. */
function halvesOf(bias: Tensor | undefined): readonly [Tensor | undefined, Tensor | undefined] {
  if (bias === undefined) return [undefined, undefined];
  const [ofInput, ofState] = split(bias, [bias.size / 2, bias.size / 2]);
  return [ofInput, ofState];
}

const sameActivation: Activation = (x) => x;

const elman =
  ({ state, bias }: Weights): Step =>
  (x, [h = x], [f = sameActivation]) => [f(add(x, plus(matmul(h, state), bias)))];

/** Gates lie in the order update, reset, hidden. @param isLinearFirst whether the reset gate comes behind the product with the state */
const gatedUnit =
  (isLinearFirst: boolean) =>
  ({ state, bias }: Weights): Step => {
    const recurrent = gatesOf(state, 3);
    const biases = bias === undefined ? [] : gatesOf(bias, 3);
    return (x, [h = x], [f = sameActivation, g = sameActivation]) => {
      const [update = x, reset = x, fresh = x] = gatesOf(x, 3);
      const fromState = (y: Tensor, gate: number): Tensor => plus(matmul(y, recurrent[gate] ?? state), biases[gate]);
      const z = f(add(update, fromState(h, 0)));
      const r = f(add(reset, fromState(h, 1)));
      const candidate = g(add(fresh, isLinearFirst ? multiply(r, fromState(h, 2)) : fromState(multiply(r, h), 2)));
      return [add(multiply(subtract(1, z), candidate), multiply(z, h))];
    };
  };

/** Gates lie in the order input, output, forget, cell; peepholes in the order input, output, forget. */
const longShortTerm = ({ state, bias, peephole }: Weights): Step => {
  const [peepInput, peepOutput, peepForget] = peephole === undefined ? [] : gatesOf(peephole, 3);
  const seen = (x: Tensor, cell: Tensor, weight: Tensor | undefined): Tensor =>
    weight === undefined ? x : add(x, multiply(cell, weight));
  return (x, [h = x, cell = x], [f = sameActivation, g = sameActivation, k = sameActivation]) => {
    const [enter = x, leave = x, forget = x, fresh = x] = gatesOf(add(x, plus(matmul(h, state), bias)), 4);
    const kept = multiply(f(seen(forget, cell, peepForget)), cell);
    const next = add(kept, multiply(f(seen(enter, cell, peepInput)), g(fresh)));
    return [multiply(f(seen(leave, next, peepOutput)), k(next)), next];
  };
};

const commonAttributes = {
  hidden_size: integer.required,
  direction: oneOf(["forward", "reverse", "bidirectional"]).or("forward"),
  activations: texts,
  activation_alpha: floats,
  activation_beta: floats,
  clip: float,
  output_sequence: unused,
};

/** Since opset 14 batches may come before time. */
const layout = { ...commonAttributes, layout: flag(false) };

const timeFirst = <A>(attributes: A) => ({ ...attributes, isBatchFirst: false });
const byLayout = <A extends { readonly layout: boolean }>(attributes: A) => ({
  ...attributes,
  isBatchFirst: attributes.layout,
});

const recurrent = (call: NodeCall, attributes: RecurrentAttributes): Tensor[] =>
  runOverTime(call, attributes, ["tanh"], 1, elman);

const gated = (call: NodeCall, attributes: RecurrentAttributes & { readonly linear_before_reset: boolean }): Tensor[] =>
  runOverTime(call, attributes, ["sigmoid", "tanh"], 1, gatedUnit(attributes.linear_before_reset));

function longShort(call: NodeCall, attributes: RecurrentAttributes & { readonly input_forget: boolean }): Tensor[] {
  if (attributes.input_forget) throw call.error("value", "input_forget = 1 (coupled gates) is not known.");
  return runOverTime(call, attributes, ["sigmoid", "tanh", "tanh"], 2, longShortTerm);
}

export const recurrents: OperatorTable = {
  RNN: [
    operator({ attributes: commonAttributes, build: (call, given) => recurrent(call, timeFirst(given)) }),
    operator({ since: 14, attributes: layout, build: (call, given) => recurrent(call, byLayout(given)) }),
  ],
  GRU: [
    operator({
      attributes: { ...commonAttributes, linear_before_reset: flag(false) },
      build: (call, given) => gated(call, timeFirst(given)),
    }),
    operator({
      since: 14,
      attributes: { ...layout, linear_before_reset: flag(false) },
      build: (call, given) => gated(call, byLayout(given)),
    }),
  ],
  LSTM: [
    operator({
      attributes: { ...commonAttributes, input_forget: flag(false) },
      build: (call, given) => longShort(call, timeFirst(given)),
    }),
    operator({
      since: 14,
      attributes: { ...layout, input_forget: flag(false) },
      build: (call, given) => longShort(call, byLayout(given)),
    }),
  ],
};
